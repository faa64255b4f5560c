//! A Lambda runtime API with response streaming, which local clouds lack. It starts the event-stream function's bootstrap,
//! gives it one request, and passes each chunk of the response on as it arrives. Unlike Lambda, it kills the function when
//! the response is dropped.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{TIMEOUT, eventually, setting};

/// The separator between the head and the body of a streamed response (Lambda's runtime API).
const HEAD_END: &[u8] = &[0; 8];

/// A request to the event-stream function, and how the function runs.
#[derive(Debug, Clone)]
pub struct StreamRequest {
    /// The HTTP method, in capital letters.
    pub method: String,
    /// The path, with a query if there is one.
    pub path: String,
    /// The headers, with lower-case names.
    pub headers: Vec<(String, String)>,
    pub timeout: Duration,
    /// The folder with the artifacts of all functions.
    pub artifacts: PathBuf,
    /// Environment variables of the function in addition to those that it has on a stack.
    pub environment: Vec<(&'static str, String)>,
}

impl StreamRequest {
    /// A GET request to the function that is built with fault injection. Its timeout is longer than any test.
    #[must_use]
    pub fn get(path: &str, headers: &[(&str, &str)]) -> Self {
        let headers = headers.iter();
        Self {
            method: "GET".to_owned(),
            path: path.to_owned(),
            headers: headers
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            timeout: Duration::from_secs(600),
            artifacts: setting("AI_MESH_FAULT_ARTIFACTS").into(),
            environment: Vec::new(),
        }
    }

    /// Starts the function with this request.
    ///
    /// # Panics
    /// When the function does not start.
    #[must_use]
    pub fn start(&self) -> StreamResponse {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it has an address");
        let function = self.bootstrap(&address.to_string());
        let event = self.event().to_string();
        let deadline = (SystemTime::now() + self.timeout)
            .duration_since(SystemTime::UNIX_EPOCH)
            .expect("it is after 1970");
        let (sender, chunks) = mpsc::channel();
        let (opened, connections) = mpsc::channel();
        thread::spawn(move || {
            let mut event = Some(event);
            for connection in listener.incoming() {
                let (Ok(connection), sender) = (connection, sender.clone()) else {
                    return;
                };
                let _ = opened.send(connection.try_clone().expect("a socket can be cloned"));
                let event = event.take();
                thread::spawn(move || serve(connection, event, deadline, &sender));
            }
        });
        StreamResponse {
            function,
            connections,
            chunks,
            head: Value::Null,
            text: String::new(),
        }
    }

    fn bootstrap(&self, address: &str) -> Child {
        let folder = self.artifacts.join("EventStreamFunction");
        let token = hex::encode(Sha256::digest(setting("AI_MESH_CLOUD_TOKEN")));
        let mut command = Command::new(folder.join("bootstrap"));
        command
            .current_dir(&folder)
            .env_clear()
            .stdin(Stdio::null())
            // The host's standard output is an interface of its own.
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

    /// The request as a Lambda function URL's event.
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

/// A response that may still be arriving.
#[derive(Debug)]
pub struct StreamResponse {
    function: Child,
    connections: Receiver<TcpStream>,
    chunks: Receiver<Vec<u8>>,
    /// The status and the headers; null until they have arrived.
    pub head: Value,
    text: String,
}

impl StreamResponse {
    /// Reads until `is_enough` returns true for the text so far, and returns that text. The response may still continue.
    ///
    /// # Panics
    /// When the response ends before, or no more of it arrives.
    #[track_caller]
    pub fn read_until(&mut self, is_enough: impl Fn(&str) -> bool) -> &str {
        while !is_enough(&self.text) {
            assert!(self.read(), "the response ended with {:?}", self.text);
        }
        &self.text
    }

    /// Reads to the end of the response, and returns its text.
    pub fn read_to_end(&mut self) -> String {
        while self.read() {}
        std::mem::take(&mut self.text)
    }

    /// The next chunk of the response's body; `None` at its end. Before it returns the first one, it sets `head`.
    ///
    /// # Panics
    /// When no chunk arrives.
    pub fn next_chunk(&mut self) -> Option<Vec<u8>> {
        loop {
            let chunk = match self.chunks.recv_timeout(TIMEOUT) {
                Ok(chunk) if chunk.is_empty() => return None,
                Ok(chunk) => chunk,
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => {
                    panic!("nothing arrived for {TIMEOUT:?} after {:?}", self.text)
                }
            };
            if !self.head.is_null() {
                return Some(chunk);
            }
            self.head = serde_json::from_slice(&chunk).expect("the head comes first, as JSON");
        }
    }

    /// Closes the function's connections in the middle of its response, and returns its exit status.
    ///
    /// # Panics
    /// When the function does not end.
    pub fn disconnect(mut self) -> ExitStatus {
        for connection in self.connections.try_iter() {
            let _ = connection.shutdown(Shutdown::Both);
        }
        eventually("the function ends", || {
            self.function.try_wait().expect("it is our child")
        })
    }

    /// Appends the next chunk to the text; false at the end of the response.
    fn read(&mut self) -> bool {
        let Some(chunk) = self.next_chunk() else {
            return false;
        };
        self.text
            .push_str(std::str::from_utf8(&chunk).expect("a chunk is text"));
        true
    }
}

impl Drop for StreamResponse {
    fn drop(&mut self) {
        let _ = self.function.kill();
        let _ = self.function.wait();
    }
}

/// Serves one connection of the function's runtime, on which it requests the next event or posts its response in chunks.
fn serve(mut connection: TcpStream, event: Option<String>, deadline: Duration, chunks: &Sender<Vec<u8>>) {
    let mut event = event;
    let mut reader = BufReader::new(connection.try_clone().expect("a socket can be cloned"));
    while let Some(request) = read_line(&mut reader) {
        while read_line(&mut reader).is_some_and(|line| !line.is_empty()) {}
        if request.starts_with("GET ") {
            let Some(event) = event.take() else {
                // There is no second event. As on Lambda, the runtime waits until its process is killed.
                let _ = reader.read(&mut [0]);
                return;
            };
            let response = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
                 lambda-runtime-aws-request-id: request\r\nlambda-runtime-deadline-ms: {}\r\n\
                 lambda-runtime-invoked-function-arn: arn:aws:lambda:us-east-1:000000000000:function:event-stream\r\n\r\n{event}",
                event.len(),
                deadline.as_millis(),
            );
            if connection.write_all(response.as_bytes()).is_err() {
                return;
            }
        } else {
            forward_body(&mut reader, chunks);
            let _ = connection.write_all(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n");
        }
    }
}

/// Sends a chunked body on: its head in one piece, then each chunk, then an empty one for its end.
fn forward_body(reader: &mut impl BufRead, chunks: &Sender<Vec<u8>>) {
    let mut head = Some(Vec::new());
    while let Some(line) = read_line(reader) {
        let size = usize::from_str_radix(line.trim(), 16).expect("a chunk starts with its size");
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
            let _ = chunks.send(head.take().unwrap_or_default());
        }
        if size == 0 || !chunk.is_empty() {
            let _ = chunks.send(chunk);
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
