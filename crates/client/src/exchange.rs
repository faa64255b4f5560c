//! Sends one request and receives its response. Retries where the API is busy or a repeat is safe.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::sync::Arc;
use std::time::Duration;

use http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client as Pool, Error as PoolError};
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use tokio::time::{sleep, timeout};

use crate::{Backoff, Error, MAX_REQUEST_ATTEMPTS, ProblemDocument};

/// A connection that takes longer than this fails.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longer than the API's own limit for a request.
const TIMEOUT: Duration = Duration::from_secs(60);
/// The timeout grows with the request's body, as if it were sent at this rate.
const MIN_BYTES_PER_SECOND: u64 = 32_000;
/// Larger than any response of the API.
const MAX_RESPONSE_BYTES: usize = 32 << 20;
/// Fewer attempts after a timeout, because each of them takes that long.
const MAX_TIMEOUT_ATTEMPTS: u32 = 2;
/// The pause before the second attempt, unless the response has `Retry-After`.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// A longer `Retry-After` is cut to this.
const MAX_PAUSE: Duration = Duration::from_secs(60);

/// A body that a retry need not copy.
type Body = Full<Cursor<Arc<[u8]>>>;

/// A pool of connections, which use TLS for `https://` addresses.
#[derive(Debug, Clone)]
pub(crate) struct Exchange {
    pool: Pool<HttpsConnector<HttpConnector>, Body>,
    token: HeaderValue,
    timeout: Duration,
    first_pause: Duration,
}

#[derive(Debug)]
pub(crate) struct Request {
    method: Method,
    address: String,
    headers: BTreeMap<String, String>,
    body: Arc<[u8]>,
    /// Only requests to the API carry the token.
    is_for_api: bool,
    /// Whether it may be sent again although the first one may have arrived.
    is_repeatable: bool,
}

/// A response, from the API or from whatever else answers at the address.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn get(address: String) -> Self {
        Self {
            method: Method::GET,
            address,
            headers: BTreeMap::new(),
            body: Arc::default(),
            is_for_api: true,
            is_repeatable: true,
        }
    }

    /// An idempotency key makes a repeat safe.
    pub(crate) fn post(address: String, body: Option<&Value>, key: Option<&str>) -> Self {
        let mut headers = BTreeMap::new();
        if body.is_some() {
            headers.insert(CONTENT_TYPE.to_string(), "application/json".to_owned());
        }
        if let Some(key) = key {
            headers.insert("idempotency-key".to_owned(), key.to_owned());
        }
        Self {
            method: Method::POST,
            headers,
            body: body.map_or_else(Arc::default, |body| body.to_string().into_bytes().into()),
            is_repeatable: key.is_some(),
            ..Self::get(address)
        }
    }

    /// An upload to the payload bucket, with the headers that the API signed.
    pub(crate) fn put(address: String, headers: BTreeMap<String, String>, body: Vec<u8>) -> Self {
        Self {
            method: Method::PUT,
            headers,
            body: body.into(),
            ..Self::get_stored(address)
        }
    }

    /// A download from the payload bucket, by a signed link.
    pub(crate) fn get_stored(address: String) -> Self {
        Self {
            is_for_api: false,
            ..Self::get(address)
        }
    }

    /// The same request, marked as safe to repeat without a key.
    pub(crate) fn repeatable(self) -> Self {
        Self {
            is_repeatable: true,
            ..self
        }
    }

    /// The address for error texts: the query may contain a signature or what the user searches for.
    fn address_without_query(&self) -> &str {
        self.address.split('?').next().unwrap_or_default()
    }
}

impl Response {
    /// Whether another attempt may give a better response.
    fn is_retryable(&self, request: &Request) -> bool {
        match self.status {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => true,
            // The API may have done the work and lost the response.
            StatusCode::INTERNAL_SERVER_ERROR | StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT => {
                request.is_repeatable
            }
            _ => false,
        }
    }

    /// The response if its status is a success, else the problem that it describes.
    pub(crate) fn success(self) -> Result<Self, Error> {
        if self.status.is_success() {
            return Ok(self);
        }
        match serde_json::from_slice::<ProblemDocument>(&self.body) {
            Ok(problem) => Err(problem.into()),
            Err(_) => Err(Error::UnexpectedResponse {
                status: self.status.as_u16(),
            }),
        }
    }
}

impl Exchange {
    pub(crate) fn new(token: &str) -> Result<Self, Error> {
        let mut token = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| {
            Error::Setup(
                "the token contains characters that an HTTP header cannot carry: copy it again".to_owned(),
            )
        })?;
        // Its Debug output hides the value.
        token.set_sensitive(true);
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        connector.set_nodelay(true);
        connector.enforce_http(false);
        let connector = HttpsConnectorBuilder::new()
            .with_native_roots()
            .map_err(|error| Error::Setup(format!("cannot read the system's certificates: {error}")))?
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        Ok(Self {
            pool: Pool::builder(TokioExecutor::new()).build(connector),
            token,
            timeout: TIMEOUT,
            first_pause: FIRST_PAUSE,
        })
    }

    /// Sends a request, and sends it again while another attempt may help.
    pub(crate) async fn send(&self, request: &Request) -> Result<Response, Error> {
        let mut backoff = Backoff::new(self.first_pause);
        loop {
            let sent = self.send_once(request).await;
            let (max_attempts, retry_after) = match &sent {
                Ok(response) if response.is_retryable(request) => {
                    (MAX_REQUEST_ATTEMPTS, retry_after(&response.headers))
                }
                // Without a connection, the request did not arrive.
                Err((Error::Unreachable { .. }, was_sent)) if !was_sent || request.is_repeatable => {
                    (MAX_REQUEST_ATTEMPTS, None)
                }
                Err((Error::TimedOut { .. }, _)) if request.is_repeatable => (MAX_TIMEOUT_ATTEMPTS, None),
                _ => (1, None),
            };
            let Some(pause) = backoff.next_pause(max_attempts) else {
                return sent.map_err(|(error, _)| error);
            };
            sleep(retry_after.unwrap_or(pause).min(MAX_PAUSE)).await;
        }
    }

    /// The response; or the error, and whether the request may have arrived.
    pub(crate) async fn send_once(&self, request: &Request) -> Result<Response, (Error, bool)> {
        let mut builder = http::Request::builder()
            .method(request.method.clone())
            .uri(&request.address);
        if request.is_for_api {
            builder = builder.header(AUTHORIZATION, self.token.clone());
        }
        for (name, value) in &request.headers {
            builder = builder.header(name, value);
        }
        let built = builder.body(Full::new(Cursor::new(Arc::clone(&request.body))));
        let invalid = |error| {
            let address = request.address_without_query();
            Error::Setup(format!("cannot make a request to {address}: {error}"))
        };
        let built = built.map_err(|error| (invalid(error), false))?;
        let unreachable = |source: Box<dyn std::error::Error + Send + Sync>| Error::Unreachable {
            address: request.address_without_query().to_owned(),
            source,
        };
        let sent = async {
            let response = self.pool.request(built).await.map_err(|error: PoolError| {
                let was_sent = !error.is_connect();
                (unreachable(error.into()), was_sent)
            })?;
            let (parts, body) = response.into_parts();
            let body = Limited::new(body, MAX_RESPONSE_BYTES).collect().await;
            let body = body.map_err(|error| (unreachable(error), true))?;
            Ok(Response {
                status: parts.status,
                headers: parts.headers,
                body: body.to_bytes().into(),
            })
        };
        let time = self.timeout + upload_time(request.body.len());
        timeout(time, sent).await.unwrap_or_else(|_| {
            let seconds = time.as_secs();
            Err((Error::TimedOut { seconds }, true))
        })
    }
}

/// How long a body of that many bytes may take to send.
fn upload_time(bytes: usize) -> Duration {
    Duration::from_secs(bytes as u64 / MIN_BYTES_PER_SECOND)
}

/// The seconds of `Retry-After`. The API never sends a date there.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::net::TcpListener;
    use std::sync::atomic::{AtomicU32, Ordering};

    use wiremock::matchers::method;
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;

    /// An exchange that hardly pauses between attempts.
    fn exchange(timeout: Duration) -> Exchange {
        Exchange {
            timeout,
            first_pause: Duration::from_millis(1),
            ..Exchange::new("secret").expect("the token is valid")
        }
    }

    #[tokio::test]
    async fn the_timeout_of_an_upload_grows_with_its_length() {
        // The largest upload, at 5 Mbit/s.
        assert!(upload_time(50_000_000) > Duration::from_secs(80));
        let server = MockServer::start().await;
        let slow = ResponseTemplate::new(200).set_delay(Duration::from_millis(500));
        Mock::given(method("PUT")).respond_with(slow).mount(&server).await;
        let exchange = exchange(Duration::from_millis(100));
        let put = |bytes| Request::put(server.uri(), BTreeMap::new(), vec![0; bytes]);
        let large = exchange.send(&put(1_000_000)).await.unwrap();
        assert_eq!(large.status, StatusCode::OK);
        let small = exchange.send(&put(1)).await.unwrap_err();
        assert!(matches!(small, Error::TimedOut { .. }), "{small}");
    }

    #[tokio::test]
    async fn a_request_that_timed_out_is_sent_once_more_if_a_repeat_is_safe() {
        let server = MockServer::start().await;
        let slow = ResponseTemplate::new(200).set_delay(Duration::from_secs(60));
        Mock::given(method("GET"))
            .respond_with(slow.clone())
            .up_to_n_times(1)
            .mount(&server)
            .await;
        Mock::given(method("GET"))
            .respond_with(ResponseTemplate::new(200))
            .mount(&server)
            .await;
        Mock::given(method("POST"))
            .respond_with(slow)
            .expect(1)
            .mount(&server)
            .await;
        let exchange = exchange(Duration::from_secs(5));
        let [get, post] = [
            Request::get(server.uri()),
            Request::post(server.uri(), None, None),
        ];
        let (read, changed) = tokio::join!(exchange.send(&get), exchange.send(&post));
        assert_eq!(read.unwrap().status, StatusCode::OK);
        assert!(matches!(changed, Err(Error::TimedOut { .. })), "{changed:?}");
    }

    /// A server that closes the connection after each request, and the number of requests it received.
    fn closing_server() -> (String, Arc<AtomicU32>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("the listener has an address");
        let received = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&received);
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let mut lines = BufReader::new(connection).lines();
                // An empty line ends the request's head.
                if lines.any(|line| line.is_ok_and(|line| line.is_empty())) {
                    count.fetch_add(1, Ordering::SeqCst);
                }
            }
        });
        (format!("http://{address}/v1"), received)
    }

    #[tokio::test]
    async fn a_request_whose_connection_closed_is_sent_again_if_a_repeat_is_safe_up_to_a_limit() {
        let (at, received) = closing_server();
        let address = || format!("{at}?a=b");
        for (request, attempts) in [
            (Request::get(address()), MAX_REQUEST_ATTEMPTS),
            (Request::post(address(), None, Some("key")), MAX_REQUEST_ATTEMPTS),
            (Request::post(address(), None, None), 1),
        ] {
            let error = exchange(TIMEOUT).send(&request).await.unwrap_err();
            let Error::Unreachable { address, .. } = error else {
                panic!("{error}")
            };
            assert_eq!(
                (address, received.swap(0, Ordering::SeqCst)),
                (at.clone(), attempts),
                "the error does not show the query"
            );
        }
    }
}
