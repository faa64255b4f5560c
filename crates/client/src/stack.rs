//! The operations that concern the stack as a whole.

use http::header::DATE;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use mesh_api_types::{Health, ModelList, ModelView, StatsResponse, WorkerList};
use serde::Deserialize;

use crate::exchange::Request;
use crate::query::Query;
use crate::{Client, Error};

/// What responds at an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeResponse {
    pub status: u16,
    /// `None` if the response is not the API's.
    pub health: Option<Health>,
    /// The server's clock from the `Date` header, to the second.
    pub date: Option<Timestamp>,
}

#[derive(Deserialize)]
struct OpenApiDocument {
    info: OpenApiInfo,
}

#[derive(Deserialize)]
struct OpenApiInfo {
    version: String,
}

impl Client {
    /// Task counts, rates and queue depths.
    ///
    /// # Errors
    /// [`Error`] when the API does not return them.
    pub async fn stats(&self) -> Result<StatsResponse, Error> {
        self.read("/v1/stats", Query::default()).await
    }

    /// The models that the stack runs or calls.
    ///
    /// # Errors
    /// [`Error`] when the API does not return them.
    pub async fn models(&self) -> Result<Vec<ModelView>, Error> {
        let response: ModelList = self.read("/v1/models", Query::default()).await?;
        Ok(response.models)
    }

    /// The worker functions, and what each did recently.
    ///
    /// # Errors
    /// [`Error`] when the API does not return them.
    pub async fn workers(&self) -> Result<WorkerList, Error> {
        self.read("/v1/workers", Query::default()).await
    }

    /// The API's version, from its OpenAPI document.
    ///
    /// # Errors
    /// [`Error`] when the API does not return the document.
    pub async fn version(&self) -> Result<String, Error> {
        let document: OpenApiDocument = self.read("/openapi.json", Query::default()).await?;
        Ok(document.info.version)
    }

    /// Finds out what responds at the address: the API or something else. It sends one request, without a retry.
    ///
    /// # Errors
    /// [`Error::Unreachable`] or [`Error::TimedOut`] when nothing responds.
    pub async fn probe(&self) -> Result<ProbeResponse, Error> {
        let sent = self.exchange.send_once(&self.health_request("")).await;
        let response = sent.map_err(|(error, _)| error)?;
        let date = response.headers.get(DATE).and_then(|date| date.to_str().ok());
        // An HTTP date is a subset of a mail date (RFC 9110, section 5.6.7).
        let date = date.and_then(|date| DateTimeParser::new().parse_timestamp(date).ok());
        Ok(ProbeResponse {
            status: response.status.as_u16(),
            health: serde_json::from_slice(&response.body).ok(),
            date,
        })
    }

    /// Whether the API reaches its table, bucket and queues. A failing check is a result and not an error. It sends one
    /// request, without a retry.
    ///
    /// # Errors
    /// [`Error::Problem`] when the API refuses the token.
    pub async fn health(&self) -> Result<Health, Error> {
        let sent = self.exchange.send_once(&self.health_request("?deep=1")).await;
        let response = sent.map_err(|(error, _)| error)?;
        if let Ok(health) = serde_json::from_slice(&response.body) {
            return Ok(health);
        }
        let status = response.status.as_u16();
        Err(response
            .success()
            .err()
            .unwrap_or(Error::UnexpectedResponse { status }))
    }

    fn health_request(&self, query: &str) -> Request {
        Request::get(format!("{}/health{query}", self.url))
    }
}
