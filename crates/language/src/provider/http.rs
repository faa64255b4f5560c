//! One HTTP exchange with a language model's server.
//!
//! The client is the one that the AWS SDK depends on: hyper with rustls and ring. It does not retry, since the task is
//! retried as a whole. It does not follow redirects, since the key must go to the configured address only.

use std::io::Cursor;
use std::time::Duration;

use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Far above the longest response that a request allows.
const MAX_RESPONSE_BYTES: usize = 1 << 20;

type Body = Full<Cursor<Vec<u8>>>;

#[derive(Debug)]
pub(super) enum Http {
    Plain(Client<HttpConnector, Body>),
    Tls(Client<HttpsConnector<HttpConnector>, Body>),
}

/// A response with its whole body.
pub(super) struct Response {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// Why there is no response.
#[derive(Debug, thiserror::Error)]
pub(super) enum HttpError {
    #[error("it can't be reached")]
    Connect(#[source] hyper_util::client::legacy::Error),
    #[error("the connection was interrupted")]
    Interrupted(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Http {
    /// With `tls`, only HTTPS, verified with the system's certificates; else only HTTP.
    pub(super) fn new(tls: bool) -> std::io::Result<Self> {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        connector.set_nodelay(true);
        let builder = Client::builder(TokioExecutor::new());
        if !tls {
            return Ok(Self::Plain(builder.build(connector)));
        }
        connector.enforce_http(false);
        let connector = HttpsConnectorBuilder::new()
            .with_native_roots()?
            .https_only()
            .enable_http1()
            .wrap_connector(connector);
        Ok(Self::Tls(builder.build(connector)))
    }

    pub(super) async fn send(&self, request: Request<Vec<u8>>) -> Result<Response, HttpError> {
        let request = request.map(|body| Full::new(Cursor::new(body)));
        let sent = match self {
            Self::Plain(client) => client.request(request),
            Self::Tls(client) => client.request(request),
        };
        let response = sent.await.map_err(|error| {
            if error.is_connect() {
                HttpError::Connect(error)
            } else {
                HttpError::Interrupted(error.into())
            }
        })?;
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, MAX_RESPONSE_BYTES)
            .collect()
            .await
            .map_err(HttpError::Interrupted)?;
        Ok(Response {
            status: parts.status,
            headers: parts.headers,
            body: body.to_bytes().into(),
        })
    }
}
