//! What is asked of the stack, not of a task.

use http::header::DATE;
use jiff::fmt::rfc2822::DateTimeParser;
use serde::Deserialize;

use crate::exchange::Asked;
use crate::query::Query;
use crate::{Client, Error, Greeting, Health, Model, Stats, Workers};

#[derive(Deserialize)]
struct Models {
    models: Vec<Model>,
}

#[derive(Deserialize)]
struct Document {
    info: Info,
}

#[derive(Deserialize)]
struct Info {
    version: String,
}

impl Client {
    /// The tenant's counters.
    ///
    /// # Errors
    /// [`Error`], when they can't be had.
    pub async fn stats(&self) -> Result<Stats, Error> {
        self.read("/v1/stats", Query::default()).await
    }

    /// The models of the stack.
    ///
    /// # Errors
    /// [`Error`], when they can't be had.
    pub async fn models(&self) -> Result<Vec<Model>, Error> {
        let models: Models = self.read("/v1/models", Query::default()).await?;
        Ok(models.models)
    }

    /// The worker functions.
    ///
    /// # Errors
    /// [`Error`], when they can't be had.
    pub async fn workers(&self) -> Result<Workers, Error> {
        self.read("/v1/workers", Query::default()).await
    }

    /// The version that the API's document gives.
    ///
    /// # Errors
    /// [`Error`], when there is no such document.
    pub async fn version(&self) -> Result<String, Error> {
        let document: Document = self.read("/openapi.json", Query::default()).await?;
        Ok(document.info.version)
    }

    /// Who answers at the address, asked once.
    ///
    /// # Errors
    /// [`Error::Unreachable`] or [`Error::TimedOut`], when nobody does.
    pub async fn greet(&self) -> Result<Greeting, Error> {
        let sent = self.exchange.once(&self.health_of("")).await;
        let answer = sent.map_err(|(error, _)| error)?;
        let date = answer.headers.get(DATE).and_then(|date| date.to_str().ok());
        // HTTP's form of a date is a narrower one of mail's (RFC 9110, section 5.6.7).
        let date = date.and_then(|date| DateTimeParser::new().parse_timestamp(date).ok());
        Ok(Greeting {
            status: answer.status.as_u16(),
            health: serde_json::from_slice(&answer.body).ok(),
            date,
        })
    }

    /// Whether the API reaches all that it needs. A failing one is an answer, not an error, and is asked once.
    ///
    /// # Errors
    /// [`Error::Problem`] when the token is refused.
    pub async fn health(&self) -> Result<Health, Error> {
        let sent = self.exchange.once(&self.health_of("?deep=1")).await;
        let answer = sent.map_err(|(error, _)| error)?;
        if let Ok(health) = serde_json::from_slice(&answer.body) {
            return Ok(health);
        }
        let status = answer.status.as_u16();
        Err(answer.success().err().unwrap_or(Error::Stranger { status }))
    }

    fn health_of(&self, query: &str) -> Asked {
        Asked::get(format!("{}/health{query}", self.url))
    }
}
