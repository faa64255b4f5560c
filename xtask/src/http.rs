//! HTTP calls to the local stack, on this machine's loopback address.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use ureq::Agent;

/// More than the API's longest wait (20 s) and the slowest start of a function together.
const TIMEOUT: Duration = Duration::from_secs(90);

/// A client for one API with one token.
#[derive(Debug)]
pub(crate) struct Client {
    agent: Agent,
    url: String,
    authorization: String,
}

impl Client {
    pub(crate) fn new(url: &str, token: &str) -> Self {
        Self {
            agent: agent(TIMEOUT),
            url: url.to_owned(),
            authorization: format!("Bearer {token}"),
        }
    }

    /// Posts JSON and returns the response's JSON.
    pub(crate) fn post(&self, path: &str, body: &Value) -> Result<Value> {
        let response = self
            .agent
            .post(format!("{}{path}", self.url))
            .header("authorization", &self.authorization)
            .content_type("application/json")
            .send(serde_json::to_vec(body)?)
            .with_context(|| format!("POST {path} got no response"))?;
        read(response, &format!("POST {path}"))
    }

    pub(crate) fn get(&self, path: &str) -> Result<Value> {
        let response = self
            .agent
            .get(format!("{}{path}", self.url))
            .header("authorization", &self.authorization)
            .call()
            .with_context(|| format!("GET {path} got no response"))?;
        read(response, &format!("GET {path}"))
    }
}

/// Returns whether the address answers 200 within the timeout.
pub(crate) fn is_ok(url: &str, timeout: Duration) -> bool {
    agent(timeout)
        .get(url)
        .call()
        .is_ok_and(|response| response.status() == 200)
}

fn agent(timeout: Duration) -> Agent {
    Agent::config_builder()
        .timeout_global(Some(timeout))
        // The body of an error, such as a 422, explains the error.
        .http_status_as_error(false)
        // A proxy for the internet can't reach this machine's loopback address.
        .proxy(None)
        .build()
        .new_agent()
}

fn read(mut response: ureq::http::Response<ureq::Body>, call: &str) -> Result<Value> {
    let status = response.status();
    let text = response
        .body_mut()
        .read_to_string()
        .with_context(|| format!("{call}: can't read the response"))?;
    if !status.is_success() {
        bail!("{call} failed with {status}: {text}");
    }
    serde_json::from_str(&text).with_context(|| format!("{call}: the response is not JSON: {text}"))
}
