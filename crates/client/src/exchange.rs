//! One request and its answer, with what a busy API asks for: to come again.

use std::io::Cursor;
use std::time::Duration;

use http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client as Pool, Error as PoolError};
use hyper_util::rt::TokioExecutor;
use tokio::time::{sleep, timeout};

use crate::{Error, Problem};

/// A connection that is not made by then is not going to be.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Above the longest that the API takes.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Above the largest answer that the API gives.
const MAX_ANSWER_BYTES: usize = 32 << 20;
/// How often a request is sent at most.
const MOST_TRIES: u32 = 4;
/// The pause before the second try where the API names none; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// What a server may ask of our patience.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A pool of connections, over TLS where the address says so.
#[derive(Debug, Clone)]
pub(crate) struct Exchange {
    pool: Pool<HttpsConnector<HttpConnector>, Full<Cursor<Vec<u8>>>>,
    token: HeaderValue,
}

/// What is asked.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) address: String,
    pub(crate) body: Option<Vec<u8>>,
    /// Makes a repeat of a POST safe.
    pub(crate) key: Option<String>,
}

impl Asked {
    /// Whether it may be sent again although it may have arrived.
    fn is_repeatable(&self) -> bool {
        self.method == Method::GET || self.key.is_some()
    }
}

impl Exchange {
    pub(crate) fn new(token: &str) -> Result<Self, Error> {
        let mut token = HeaderValue::from_str(&format!("Bearer {token}"))
            .map_err(|_| Error::Setup("the token holds characters that no header takes".to_owned()))?;
        // It is not printed with the headers.
        token.set_sensitive(true);
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        connector.set_nodelay(true);
        connector.enforce_http(false);
        let connector = HttpsConnectorBuilder::new()
            .with_native_roots()
            .map_err(|error| Error::Setup(format!("the system's certificates can't be read: {error}")))?
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        Ok(Self {
            pool: Pool::builder(TokioExecutor::new()).build(connector),
            token,
        })
    }

    /// Sends a request to the API until it is answered for good, and returns the body of a success.
    pub(crate) async fn call(&self, asked: &Asked) -> Result<(StatusCode, Vec<u8>), Error> {
        let mut tries = 1;
        loop {
            let sent = self.once(asked).await;
            let pause = match &sent {
                Ok((status, headers, _)) if is_busy(*status) => retry_after(headers),
                // A connection that was not made has brought nothing there.
                Err((error, was_sent)) if !was_sent || asked.is_repeatable() => match error {
                    Error::Unreachable { .. } => None,
                    _ => {
                        return sent
                            .map(|(status, _, body)| (status, body))
                            .map_err(|(error, _)| error);
                    }
                },
                _ => {
                    let (status, _, body) = sent.map_err(|(error, _)| error)?;
                    return answered(status, body);
                }
            };
            if tries == MOST_TRIES {
                let (status, _, body) = sent.map_err(|(error, _)| error)?;
                return answered(status, body);
            }
            let own = FIRST_PAUSE * (1 << (tries - 1));
            sleep(pause.unwrap_or(own).min(LONGEST_PAUSE)).await;
            tries += 1;
        }
    }

    /// Sends a request with these headers alone to whoever it is for: the token stays here.
    pub(crate) async fn put(
        &self,
        address: &str,
        headers: &std::collections::BTreeMap<String, String>,
        body: Vec<u8>,
    ) -> Result<(), Error> {
        let mut request = Request::put(address);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(Cursor::new(body)));
        let request = request.map_err(|error| Error::Setup(format!("{address} can't be asked: {error}")))?;
        let (status, _, _) = self.send(address, request).await.map_err(|(error, _)| error)?;
        if status.is_success() {
            Ok(())
        } else {
            Err(Error::Stranger {
                status: status.as_u16(),
            })
        }
    }

    /// Reads what lies at an address that needs no token.
    pub(crate) async fn get(&self, address: &str) -> Result<Vec<u8>, Error> {
        let request = Request::get(address).body(Full::new(Cursor::new(Vec::new())));
        let request =
            request.map_err(|error| Error::Setup(format!("the result's address is none: {error}")))?;
        let (status, _, body) = self.send(address, request).await.map_err(|(error, _)| error)?;
        if status.is_success() {
            Ok(body)
        } else {
            Err(Error::Expired {
                status: status.as_u16(),
            })
        }
    }

    pub(crate) async fn once(
        &self,
        asked: &Asked,
    ) -> Result<(StatusCode, HeaderMap, Vec<u8>), (Error, bool)> {
        let mut request = Request::builder()
            .method(asked.method.clone())
            .uri(&asked.address)
            .header(AUTHORIZATION, self.token.clone());
        if asked.body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        if let Some(key) = &asked.key {
            request = request.header(IDEMPOTENCY_KEY, key);
        }
        let body = Full::new(Cursor::new(asked.body.clone().unwrap_or_default()));
        let unsound = |error| Error::Setup(format!("{} can't be asked: {error}", asked.address));
        let request = request.body(body).map_err(|error| (unsound(error), false))?;
        self.send(&asked.address, request).await
    }

    /// The answer; or why there is none, and whether the request may have arrived.
    async fn send(
        &self,
        address: &str,
        request: Request<Full<Cursor<Vec<u8>>>>,
    ) -> Result<(StatusCode, HeaderMap, Vec<u8>), (Error, bool)> {
        let unreachable = |source: Box<dyn std::error::Error + Send + Sync>| Error::Unreachable {
            address: address.split('?').next().unwrap_or_default().to_owned(),
            source,
        };
        let sent = async {
            let response = self.pool.request(request).await.map_err(|error: PoolError| {
                let was_sent = !error.is_connect();
                (unreachable(error.into()), was_sent)
            })?;
            let (parts, body) = response.into_parts();
            let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await;
            let body = body.map_err(|error| (unreachable(error), true))?;
            Ok((parts.status, parts.headers, body.to_bytes().into()))
        };
        timeout(TIMEOUT, sent).await.unwrap_or_else(|_| {
            let seconds = TIMEOUT.as_secs();
            Err((Error::TimedOut { seconds }, true))
        })
    }
}

fn answered(status: StatusCode, body: Vec<u8>) -> Result<(StatusCode, Vec<u8>), Error> {
    if status.is_success() {
        return Ok((status, body));
    }
    match serde_json::from_slice::<Problem>(&body) {
        Ok(problem) => Err(problem.into()),
        Err(_) => Err(Error::Stranger {
            status: status.as_u16(),
        }),
    }
}

fn is_busy(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
    )
}

/// The seconds of `Retry-After`. The API gives no dates.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}
