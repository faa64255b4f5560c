//! A host that streams, as Lambda does and local clouds don't: it starts the event stream's own bootstrap, hands it one
//! request, and passes each piece of the answer on as it comes. Unlike Lambda it ends the function when nobody reads.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{PATIENCE, eventually, setting};

/// What ends the answer's head in a streamed response (Lambda's runtime API).
const HEAD_END: &[u8] = &[0; 8];

/// What the function is asked, and how it is run.
#[derive(Debug, Clone)]
pub struct Streaming {
    /// The method.
    pub method: String,
    /// The path, which may have a query.
    pub path: String,
    /// The headers, their names in small letters.
    pub headers: Vec<(String, String)>,
    /// The invocation ends after it.
    pub time: Duration,
    /// Where the artifacts lie, the event stream's among them.
    pub artifacts: PathBuf,
    /// What the function finds in its environment besides what it has on a stack.
    pub environment: Vec<(&'static str, String)>,
}

impl Streaming {
    /// A GET of the functions with test faults, whose invocation ends after more time than any test takes.
    #[must_use]
    pub fn get(path: &str, headers: &[(&str, &str)]) -> Self {
        let headers = headers.iter();
        Self {
            method: "GET".to_owned(),
            path: path.to_owned(),
            headers: headers
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            time: Duration::from_secs(600),
            artifacts: setting("AI_MESH_FAULT_ARTIFACTS").into(),
            environment: Vec::new(),
        }
    }

    /// Starts the function, and asks it.
    ///
    /// # Panics
    /// When the function does not start.
    #[must_use]
    pub fn start(&self) -> Streamed {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it has an address");
        let function = self.bootstrap(&address.to_string());
        let event = self.event().to_string();
        let deadline = (SystemTime::now() + self.time)
            .duration_since(SystemTime::UNIX_EPOCH)
            .expect("it is after 1970");
        let (sender, pieces) = mpsc::channel();
        let (opened, connections) = mpsc::channel();
        thread::spawn(move || {
            let mut event = Some(event);
            for connection in listener.incoming() {
                let (Ok(connection), sender) = (connection, sender.clone()) else {
                    return;
                };
                let _ = opened.send(connection.try_clone().expect("a socket can be held twice"));
                let event = event.take();
                thread::spawn(move || serve(connection, event, deadline, &sender));
            }
        });
        Streamed {
            function,
            connections,
            pieces,
            head: Value::Null,
            text: String::new(),
        }
    }

    fn bootstrap(&self, address: &str) -> Child {
        let folder = self.artifacts.join("EventStreamFunction");
        let token = hex::encode(Sha256::digest(setting("AI_MESH_TOKEN")));
        let mut command = Command::new(folder.join("bootstrap"));
        command
            .current_dir(&folder)
            .env_clear()
            .stdin(Stdio::null())
            // The host's own output is read for what it tells.
            .stdout(std::io::stderr())
            .env("AWS_LAMBDA_RUNTIME_API", address)
            .env("AWS_LAMBDA_FUNCTION_NAME", "event-stream")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("TOKEN_SHA256", token)
            .env("LOG_LEVEL", "warn")
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        for name in [
            "AWS_ENDPOINT_URL",
            "AWS_REGION",
            "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY",
            "TASKS_TABLE",
            "STATS_TABLE",
        ] {
            command.env(name, setting(name));
        }
        let started = command.spawn();
        started
            .unwrap_or_else(|error| panic!("the bootstrap in {} does not start: {error}", folder.display()))
    }

    /// The request as a function's address passes it on.
    fn event(&self) -> Value {
        let (path, query) = self.path.split_once('?').unwrap_or((&self.path, ""));
        let headers: serde_json::Map<_, _> = self
            .headers
            .iter()
            .map(|(name, value)| (name.clone(), json!(value)))
            .collect();
        json!({
            "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": query, "headers": headers,
            "requestContext": {
                "accountId": "anonymous", "apiId": "events", "domainName": "events", "domainPrefix": "events",
                "http": { "method": self.method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1",
                          "userAgent": "test" },
                "requestId": "request", "routeKey": "$default", "stage": "$default", "time": "25/Nov/2026:00:00:00 +0000",
                "timeEpoch": 0,
            },
            "isBase64Encoded": false,
        })
    }
}

/// A request whose answer is still coming.
#[derive(Debug)]
pub struct Streamed {
    function: Child,
    connections: Receiver<TcpStream>,
    pieces: Receiver<Vec<u8>>,
    /// The status and the headers; null until they have come.
    pub head: Value,
    text: String,
}

impl Streamed {
    /// Reads on until the text so far has what is looked for, and returns all of it. The answer may still go on.
    ///
    /// # Panics
    /// When the answer ends before, or does not come.
    pub fn until(&mut self, has: impl Fn(&str) -> bool) -> &str {
        while !has(&self.text) {
            assert!(self.read(), "it ended with {:?}", self.text);
        }
        &self.text
    }

    /// Reads to the end of the answer, and returns all of it.
    pub fn end(&mut self) -> String {
        while self.read() {}
        std::mem::take(&mut self.text)
    }

    /// The next piece of the answer's body; none at its end. The head is there before the first.
    ///
    /// # Panics
    /// When nothing comes.
    pub fn piece(&mut self) -> Option<Vec<u8>> {
        loop {
            let piece = match self.pieces.recv_timeout(PATIENCE) {
                Ok(piece) if piece.is_empty() => return None,
                Ok(piece) => piece,
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => {
                    panic!("nothing came for {PATIENCE:?} after {:?}", self.text)
                }
            };
            if !self.head.is_null() {
                return Some(piece);
            }
            self.head = serde_json::from_slice(&piece).expect("the head comes first, as JSON");
        }
    }

    /// Hangs up on the function in the middle of its answer, and returns how it ended.
    ///
    /// # Panics
    /// When it does not end.
    pub fn hang_up(mut self) -> ExitStatus {
        for connection in self.connections.try_iter() {
            let _ = connection.shutdown(Shutdown::Both);
        }
        eventually("the function ends", || {
            self.function.try_wait().expect("it is our child")
        })
    }

    /// Whether there was more.
    fn read(&mut self) -> bool {
        let Some(piece) = self.piece() else { return false };
        self.text
            .push_str(std::str::from_utf8(&piece).expect("a piece is text"));
        true
    }
}

impl Drop for Streamed {
    fn drop(&mut self) {
        let _ = self.function.kill();
        let _ = self.function.wait();
    }
}

/// One connection of the function's runtime: it asks for the next event, or posts its answer, piece by piece.
fn serve(mut connection: TcpStream, event: Option<String>, deadline: Duration, pieces: &Sender<Vec<u8>>) {
    let mut event = event;
    let mut reader = BufReader::new(connection.try_clone().expect("a socket has two ends"));
    while let Some(request) = read_line(&mut reader) {
        while read_line(&mut reader).is_some_and(|line| !line.is_empty()) {}
        if request.starts_with("GET ") {
            let Some(event) = event.take() else {
                // There is no other. As on Lambda, it waits for ever: until its process is ended.
                let _ = reader.read(&mut [0]);
                return;
            };
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
                 lambda-runtime-aws-request-id: request\r\nlambda-runtime-deadline-ms: {}\r\n\
                 lambda-runtime-invoked-function-arn: arn:aws:lambda:us-east-1:000000000000:function:event-stream\r\n\r\n{event}",
                event.len(),
                deadline.as_millis(),
            );
            if connection.write_all(answer.as_bytes()).is_err() {
                return;
            }
        } else {
            pass_on(&mut reader, pieces);
            let _ = connection.write_all(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n");
        }
    }
}

/// Passes a chunked body on: its head as one piece, then each chunk, then an empty piece for its end.
fn pass_on(reader: &mut impl BufRead, pieces: &Sender<Vec<u8>>) {
    let mut head = Some(Vec::new());
    while let Some(line) = read_line(reader) {
        let size = usize::from_str_radix(line.trim(), 16).expect("a chunk begins with its size");
        let mut chunk = vec![0; size];
        if reader.read_exact(&mut chunk).is_err() {
            return;
        }
        read_line(reader);
        if let Some(so_far) = &mut head {
            so_far.append(&mut chunk);
            let Some(at) = so_far.windows(HEAD_END.len()).position(|bytes| bytes == HEAD_END) else {
                continue;
            };
            chunk = so_far.split_off(at + HEAD_END.len());
            so_far.truncate(at);
            let _ = pieces.send(head.take().unwrap_or_default());
        }
        if size == 0 || !chunk.is_empty() {
            let _ = pieces.send(chunk);
        }
        if size == 0 {
            return;
        }
    }
}

fn read_line(reader: &mut impl BufRead) -> Option<String> {
    let mut line = String::new();
    (reader.read_line(&mut line).ok()? > 0).then(|| line.trim_end().to_owned())
}
