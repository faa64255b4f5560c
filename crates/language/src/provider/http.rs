//! One HTTP exchange with a language model's server.
//!
//! The client is the one that the AWS SDK brings along (hyper with rustls and ring), used as it is. No retries: the task
//! has its own. No redirects: a key goes to the address that was set up, and nowhere else.

use std::io::Cursor;
use std::time::Duration;

use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

/// A connection that is not made by then is not going to be.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Far above the longest answer that may be asked for.
const MAX_ANSWER_BYTES: usize = 4 << 20;

type Body = Full<Cursor<Vec<u8>>>;

/// A pool of connections.
#[derive(Debug)]
pub(super) enum Http {
    Plain(Client<HttpConnector, Body>),
    Tls(Client<HttpsConnector<HttpConnector>, Body>),
}

/// An answer with its whole body.
pub(super) struct Response {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    #[error("it can't be reached")]
    Unreachable(#[source] hyper_util::client::legacy::Error),
    #[error("the connection broke off")]
    CutOff(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Http {
    /// Over TLS by the system's certificates, or not at all.
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

    pub(super) async fn send(&self, request: Request<Vec<u8>>) -> Result<Response, Broken> {
        let request = request.map(|body| Full::new(Cursor::new(body)));
        let sent = match self {
            Self::Plain(client) => client.request(request),
            Self::Tls(client) => client.request(request),
        };
        let response = sent.await.map_err(|error| {
            if error.is_connect() {
                Broken::Unreachable(error)
            } else {
                Broken::CutOff(error.into())
            }
        })?;
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, MAX_ANSWER_BYTES)
            .collect()
            .await
            .map_err(Broken::CutOff)?;
        Ok(Response {
            status: parts.status,
            headers: parts.headers,
            body: body.to_bytes().into(),
        })
    }
}
