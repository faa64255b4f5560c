//! One request and its answer, with what a busy API asks for: to come again.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::sync::Arc;
use std::time::Duration;

use http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client as Pool, Error as PoolError};
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use tokio::time::{sleep, timeout};

use crate::{Error, Problem};

/// A connection that is not made by then is not going to be.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Above the longest that the API takes.
const TIMEOUT: Duration = Duration::from_secs(60);
/// A request's body has the time besides that it takes at this many bytes a second.
const SLOWEST: u64 = 32_000;
/// Above the largest answer that the API gives.
const MAX_ANSWER_BYTES: usize = 32 << 20;
/// How often a request is sent at most.
const MOST_TRIES: u32 = 4;
/// The same where the answer did not come in time: each try takes as long as that.
const MOST_WAITS: u32 = 2;
/// The pause before the second try where the API names none; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// What a server may ask of our patience.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// A body that a repeat need not copy.
type Body = Full<Cursor<Arc<[u8]>>>;

/// A pool of connections, over TLS where the address says so.
#[derive(Debug, Clone)]
pub(crate) struct Exchange {
    pool: Pool<HttpsConnector<HttpConnector>, Body>,
    token: HeaderValue,
    timeout: Duration,
    first_pause: Duration,
}

/// What is asked.
#[derive(Debug)]
pub(crate) struct Asked {
    method: Method,
    address: String,
    headers: BTreeMap<String, String>,
    body: Arc<[u8]>,
    /// The token goes to nobody else.
    is_for_api: bool,
    /// Whether it may be sent again although it may have arrived.
    is_repeatable: bool,
}

/// What came back, from whomever.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Asked {
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

    /// A key makes a repeat safe.
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

    /// An upload to the storage, as the API announced it.
    pub(crate) fn put(address: String, headers: BTreeMap<String, String>, body: Vec<u8>) -> Self {
        Self {
            method: Method::PUT,
            headers,
            body: body.into(),
            ..Self::stored(address)
        }
    }

    /// What the storage keeps.
    pub(crate) fn stored(address: String) -> Self {
        Self {
            is_for_api: false,
            ..Self::get(address)
        }
    }

    /// The same where a repeat does no harm without a key.
    pub(crate) fn repeatable(self) -> Self {
        Self {
            is_repeatable: true,
            ..self
        }
    }

    /// The address without what is signed or searched for.
    fn place(&self) -> &str {
        self.address.split('?').next().unwrap_or_default()
    }
}

impl Answer {
    /// Whether there may be a better one.
    fn is_passing(&self, asked: &Asked) -> bool {
        match self.status {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => true,
            // The work may be done, and its answer lost.
            StatusCode::INTERNAL_SERVER_ERROR | StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT => {
                asked.is_repeatable
            }
            _ => false,
        }
    }

    /// The API's answer, if it is a success.
    pub(crate) fn success(self) -> Result<Self, Error> {
        if self.status.is_success() {
            return Ok(self);
        }
        match serde_json::from_slice::<Problem>(&self.body) {
            Ok(problem) => Err(problem.into()),
            Err(_) => Err(Error::Stranger {
                status: self.status.as_u16(),
            }),
        }
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
            timeout: TIMEOUT,
            first_pause: FIRST_PAUSE,
        })
    }

    /// Sends a request until it is answered for good.
    pub(crate) async fn call(&self, asked: &Asked) -> Result<Answer, Error> {
        let mut tries = 1;
        loop {
            let sent = self.once(asked).await;
            let (most_tries, pause) = match &sent {
                Ok(answer) if answer.is_passing(asked) => (MOST_TRIES, retry_after(&answer.headers)),
                // A connection that was not made has brought nothing there.
                Err((Error::Unreachable { .. }, was_sent)) if !was_sent || asked.is_repeatable => {
                    (MOST_TRIES, None)
                }
                Err((Error::TimedOut { .. }, _)) if asked.is_repeatable => (MOST_WAITS, None),
                _ => (1, None),
            };
            if tries >= most_tries {
                return sent.map_err(|(error, _)| error);
            }
            let own = self.first_pause * (1 << (tries - 1));
            sleep(pause.unwrap_or(own).min(LONGEST_PAUSE)).await;
            tries += 1;
        }
    }

    /// The answer; or why there is none, and whether the request may have arrived.
    pub(crate) async fn once(&self, asked: &Asked) -> Result<Answer, (Error, bool)> {
        let mut request = Request::builder()
            .method(asked.method.clone())
            .uri(&asked.address);
        if asked.is_for_api {
            request = request.header(AUTHORIZATION, self.token.clone());
        }
        for (name, value) in &asked.headers {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(Cursor::new(Arc::clone(&asked.body))));
        let unsound = |error| Error::Setup(format!("{} can't be asked: {error}", asked.place()));
        let request = request.map_err(|error| (unsound(error), false))?;
        let unreachable = |source: Box<dyn std::error::Error + Send + Sync>| Error::Unreachable {
            address: asked.place().to_owned(),
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
            Ok(Answer {
                status: parts.status,
                headers: parts.headers,
                body: body.to_bytes().into(),
            })
        };
        let time = self.timeout + sending_time(asked.body.len());
        timeout(time, sent).await.unwrap_or_else(|_| {
            let seconds = time.as_secs();
            Err((Error::TimedOut { seconds }, true))
        })
    }
}

/// What a body of that length may take on its way.
fn sending_time(bytes: usize) -> Duration {
    Duration::from_secs(bytes as u64 / SLOWEST)
}

/// The seconds of `Retry-After`. The API gives no dates.
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

    /// One that waits less than the client does.
    fn hasty(timeout: Duration) -> Exchange {
        Exchange {
            timeout,
            first_pause: Duration::from_millis(1),
            ..Exchange::new("secret").expect("the token is one")
        }
    }

    #[tokio::test]
    async fn an_upload_has_the_time_that_its_length_takes() {
        // The most that an upload has, over 5 Mbit/s.
        assert!(sending_time(50_000_000) > Duration::from_secs(80));
        let server = MockServer::start().await;
        let slow = ResponseTemplate::new(200).set_delay(Duration::from_millis(500));
        Mock::given(method("PUT")).respond_with(slow).mount(&server).await;
        let exchange = hasty(Duration::from_millis(100));
        let put = |bytes| Asked::put(server.uri(), BTreeMap::new(), vec![0; bytes]);
        let large = exchange.call(&put(1_000_000)).await.unwrap();
        assert_eq!(large.status, StatusCode::OK);
        let small = exchange.call(&put(1)).await.unwrap_err();
        assert!(matches!(small, Error::TimedOut { .. }), "{small}");
    }

    #[tokio::test]
    async fn an_answer_that_does_not_come_is_waited_for_once_more_where_a_repeat_does_no_harm() {
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
        let exchange = hasty(Duration::from_secs(5));
        let [get, post] = [Asked::get(server.uri()), Asked::post(server.uri(), None, None)];
        let (read, changed) = tokio::join!(exchange.call(&get), exchange.call(&post));
        assert_eq!(read.unwrap().status, StatusCode::OK);
        assert!(matches!(changed, Err(Error::TimedOut { .. })), "{changed:?}");
    }

    /// Someone who hangs up on each request; how many there were.
    fn rude() -> (String, Arc<AtomicU32>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it has one");
        let asked = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&asked);
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let mut lines = BufReader::new(connection).lines();
                // Up to the head's end.
                if lines.any(|line| line.is_ok_and(|line| line.is_empty())) {
                    count.fetch_add(1, Ordering::SeqCst);
                }
            }
        });
        (format!("http://{address}/v1"), asked)
    }

    #[tokio::test]
    async fn who_hangs_up_is_asked_again_where_that_does_no_harm_and_not_for_ever() {
        let (at, asked) = rude();
        let address = || format!("{at}?a=b");
        for (ask, times) in [
            (Asked::get(address()), MOST_TRIES),
            (Asked::post(address(), None, Some("key")), MOST_TRIES),
            (Asked::post(address(), None, None), 1),
        ] {
            let error = hasty(TIMEOUT).call(&ask).await.unwrap_err();
            let Error::Unreachable { address, .. } = error else {
                panic!("{error}")
            };
            assert_eq!(
                (address, asked.swap(0, Ordering::SeqCst)),
                (at.clone(), times),
                "what is signed or searched for is not shown"
            );
        }
    }
}
