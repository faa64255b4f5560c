//! Clients that are slow, silent or gone, and what must go on working beside them.

use std::convert::Infallible;
use std::io;
use std::path::Path;

use axum::body::{Body, BodyDataStream, Bytes};
use axum::extract::Request;
use axum::routing::{get, post};
use futures_util::{StreamExt, stream};
use http::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc};
use tokio::task::{JoinHandle, yield_now};
use tokio::time::sleep;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::*;
use crate::tls;

/// What a client waits between two parts of what it sends.
const STEP: Duration = Duration::from_millis(10);
/// A limit that a test exceeds.
const SHORT: Duration = Duration::from_millis(100);
/// Limits that nothing here exceeds, also where the machine is busy.
const LIMITS: Limits = Limits {
    connections: 8,
    handshake: Duration::from_secs(60),
    head: Duration::from_secs(60),
    body_pause: Duration::from_secs(60),
    untaken: Duration::from_secs(60),
};

/// A listener in memory. How much room its channel has says how many connections were accepted.
struct InMemory(mpsc::Receiver<DuplexStream>);

impl Listener for InMemory {
    type Io = DuplexStream;
    type Addr = ();

    async fn accept(&mut self) -> (DuplexStream, ()) {
        match self.0.recv().await {
            Some(stream) => (stream, ()),
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<()> {
        Ok(())
    }
}

struct Server {
    clients: mpsc::Sender<DuplexStream>,
    /// Lets the answers of `/held` go.
    release: Arc<Notify>,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
}

impl Server {
    fn start(limits: Limits) -> Self {
        Self::start_with(limits, None)
    }

    fn start_with(limits: Limits, acceptor: Option<TlsAcceptor>) -> Self {
        let (clients, listener) = mpsc::channel(8);
        let (stop, stopped) = watch::channel(false);
        let release = Arc::<Notify>::default();
        let router = routes(Arc::clone(&release));
        Self {
            clients,
            release,
            stop,
            serving: tokio::spawn(serve(InMemory(listener), acceptor, router, limits, stopped)),
        }
    }

    async fn connect(&self) -> DuplexStream {
        let (client, server) = duplex(1_024);
        self.clients.send(server).await.unwrap();
        client
    }
}

fn routes(release: Arc<Notify>) -> Router {
    let held = async move || {
        release.notified().await;
        "released"
    };
    Router::new()
        .route("/", get(async || "served"))
        .route("/held", get(held))
        .route("/read", post(read))
        .route("/slow", get(slow_answer))
        .route("/unread", post(async || StatusCode::UNAUTHORIZED))
}

async fn read(request: Request) -> Result<String, StatusCode> {
    let mut body: BodyDataStream = request.into_body().into_data_stream();
    let mut bytes = 0;
    while let Some(part) = body.next().await {
        bytes += part.map_err(|_| StatusCode::REQUEST_TIMEOUT)?.len();
    }
    Ok(format!("{bytes} bytes"))
}

/// An answer that takes longer than any of the limits that a test exceeds.
async fn slow_answer() -> Body {
    sleep(2 * SHORT).await;
    let parts = stream::iter(["not ", "cut ", "off"]).then(async |part| {
        sleep(SHORT).await;
        Ok::<_, Infallible>(part)
    });
    Body::from_stream(parts)
}

/// Says when an answer is dropped.
struct AnswersEnd(mpsc::Sender<()>);

impl Drop for AnswersEnd {
    fn drop(&mut self) {
        // The test may have ended.
        let _ = self.0.try_send(());
    }
}

fn request(method: &str, path: &str, headers: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n")
}

/// Sends a request whose connection then ends, and returns the answer.
async fn ask(mut client: impl AsyncRead + AsyncWrite + Unpin, method: &str, path: &str) -> String {
    let request = request(method, path, "connection: close\r\n");
    client.write_all(request.as_bytes()).await.unwrap();
    answer(&mut client).await
}

/// All that comes until the connection ends.
async fn answer(client: &mut (impl AsyncRead + Unpin)) -> String {
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    answer
}

/// Reads until the answer ends with this text, and leaves the connection open.
async fn read_until(client: &mut (impl AsyncRead + Unpin), end: &str) {
    let mut answer = Vec::new();
    while !answer.ends_with(end.as_bytes()) {
        answer.push(client.read_u8().await.unwrap());
    }
}

/// A certificate of localhost for these tests only, which signed itself, and its key.
fn acceptor() -> TlsAcceptor {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tls");
    tls::acceptor(&folder.join("cert.pem"), &folder.join("key.pem")).unwrap()
}

async fn connect_tls(stream: DuplexStream) -> TlsStream<DuplexStream> {
    let mut roots = RootCertStore::empty();
    let certificate = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tls/cert.pem");
    roots
        .add(CertificateDer::from_pem_file(certificate).unwrap())
        .unwrap();
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    connector.connect(name, stream).await.unwrap()
}

#[tokio::test]
async fn a_head_that_comes_byte_by_byte_is_given_up() {
    let server = Server::start(Limits {
        head: SHORT,
        ..LIMITS
    });
    let mut client = server.connect().await;
    client
        .write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nx-slow: ")
        .await
        .unwrap();
    while client.write_all(b"a").await.is_ok() {
        sleep(STEP).await;
    }
}

#[tokio::test]
async fn a_connection_without_a_request_ends_before_the_first_and_after_each() {
    let server = Server::start(Limits {
        head: SHORT,
        ..LIMITS
    });
    let mut silent = server.connect().await;
    assert_eq!(answer(&mut silent).await, "");
    let mut idle = server.connect().await;
    for _ in 0..2 {
        idle.write_all(request("GET", "/", "").as_bytes()).await.unwrap();
        read_until(&mut idle, "served").await;
    }
    assert_eq!(answer(&mut idle).await, "");
}

#[tokio::test]
async fn a_body_that_stops_is_given_up_and_its_client_is_answered() {
    let server = Server::start(Limits {
        body_pause: SHORT,
        ..LIMITS
    });
    let mut client = server.connect().await;
    let head = request("POST", "/read", "content-length: 9\r\n");
    client.write_all(head.as_bytes()).await.unwrap();
    client.write_all(b"four").await.unwrap();
    let answer = answer(&mut client).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
}

#[tokio::test]
async fn a_body_that_nobody_reads_ends_its_connection() {
    let server = Server::start(LIMITS);
    let mut client = server.connect().await;
    let head = request("POST", "/unread", "content-length: 9000000\r\n");
    client.write_all(head.as_bytes()).await.unwrap();
    let answer = answer(&mut client).await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
}

#[tokio::test]
async fn a_body_may_take_longer_than_a_pause_in_it() {
    let pause = Duration::from_secs(1);
    let server = Server::start(Limits {
        head: SHORT,
        body_pause: pause,
        ..LIMITS
    });
    let mut client = server.connect().await;
    let head = request("POST", "/read", "content-length: 15\r\nconnection: close\r\n");
    client.write_all(head.as_bytes()).await.unwrap();
    for _ in 0..15 {
        sleep(pause / 10).await;
        client.write_all(b"a").await.unwrap();
    }
    let answer = answer(&mut client).await;
    assert!(answer.ends_with("15 bytes"), "{answer}");
}

#[tokio::test]
async fn an_answer_and_a_stream_may_take_longer_than_all_limits() {
    let server = Server::start(Limits {
        head: SHORT,
        body_pause: SHORT,
        handshake: SHORT,
        ..LIMITS
    });
    let answer = ask(server.connect().await, "GET", "/slow").await;
    assert!(answer.ends_with("\r\noff\r\n0\r\n\r\n"), "{answer}");
}

#[tokio::test]
async fn a_client_that_takes_nothing_of_its_answer_is_disconnected() {
    let untaken = Duration::from_millis(500);
    let limits = Limits { untaken, ..LIMITS };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, mut ended) = mpsc::channel(1);
    let endless = async move || {
        let end = AnswersEnd(sender.clone());
        Body::from_stream(stream::repeat_with(move || {
            let _answers = &end;
            Ok::<_, Infallible>(Bytes::from_static(&[b'a'; 65_536]))
        }))
    };
    let router = Router::new().route("/", get(endless));
    let (_stop, stopped) = watch::channel(false);
    tokio::spawn(serve(
        limit_untaken(listener, limits),
        None,
        router,
        limits,
        stopped,
    ));
    let mut client = TcpStream::connect(address).await.unwrap();
    client
        .write_all(request("GET", "/", "").as_bytes())
        .await
        .unwrap();
    assert_eq!(ended.recv().await, Some(()));
    drop(client);
}

#[tokio::test]
async fn a_client_without_a_place_waits_until_another_has_gone() {
    let server = Server::start(Limits {
        connections: 2,
        ..LIMITS
    });
    let mut clients = Vec::new();
    for _ in 0..3 {
        clients.push(server.connect().await);
    }
    let mut first = clients.remove(0);
    first.write_all(request("GET", "/", "").as_bytes()).await.unwrap();
    read_until(&mut first, "served").await;
    // All of it is in memory, so nothing is left to do then.
    for _ in 0..100 {
        yield_now().await;
    }
    let waiting = server.clients.max_capacity() - server.clients.capacity();
    assert_eq!(waiting, 1);
    drop(first);
    let last = clients.pop().unwrap();
    assert!(ask(last, "GET", "/").await.ends_with("served"));
}

#[tokio::test]
async fn a_client_that_makes_no_handshake_holds_up_no_other_and_is_disconnected() {
    let server = Server::start_with(
        Limits {
            handshake: Duration::from_secs(1),
            ..LIMITS
        },
        Some(acceptor()),
    );
    let mut silent = server.connect().await;
    let mut plain = server.connect().await;
    plain.write_all(request("GET", "/", "").as_bytes()).await.unwrap();
    let encrypted = connect_tls(server.connect().await).await;
    assert!(ask(encrypted, "GET", "/").await.ends_with("served"));
    assert_eq!(answer(&mut silent).await, "");
    let mut answer = Vec::new();
    plain.read_to_end(&mut answer).await.unwrap();
    // There may be an alert, but no answer in plain text.
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
}

#[tokio::test]
async fn a_server_that_stops_answers_what_is_under_way_and_closes_what_is_idle() {
    for acceptor in [None, Some(acceptor())] {
        let is_encrypted = acceptor.is_some();
        let server = Server::start_with(LIMITS, acceptor);
        let connect = async || {
            let stream = server.connect().await;
            if is_encrypted {
                Box::new(connect_tls(stream).await) as Box<dyn Connection>
            } else {
                Box::new(stream)
            }
        };
        let [mut idle, mut busy] = [connect().await, connect().await];
        let mut silent = server.connect().await;
        idle.write_all(request("GET", "/", "").as_bytes()).await.unwrap();
        read_until(&mut idle, "served").await;
        busy.write_all(request("GET", "/held", "").as_bytes())
            .await
            .unwrap();
        for _ in 0..100 {
            yield_now().await;
        }
        server.stop.send_replace(true);
        assert_eq!(answer(&mut idle).await, "");
        assert_eq!(answer(&mut silent).await, "");
        assert!(!server.serving.is_finished());
        server.release.notify_one();
        assert!(answer(&mut busy).await.ends_with("released"));
        server.serving.await.unwrap();
    }
}

/// A connection of a client, encrypted or not.
trait Connection: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Connection for T {}
