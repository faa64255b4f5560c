//! A minimal replacement of Lambda and of the AWS services for one function. It responds at once, so that the
//! measurement is that of the function and not of an emulator.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use anyhow::{Context, Result};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use mesh_task::Task;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::cases::Work;

/// What the function did, and when.
#[derive(Debug)]
pub(crate) enum Event {
    /// It requested an invocation.
    Next(Instant),
    /// It responded to the invocation.
    Response(Instant),
    /// It wrote the end of a task.
    Finish {
        /// False if the task failed.
        completed: bool,
    },
    /// It reported an error of its start.
    InitError(String),
}

struct Shared {
    /// The payload for the first `next`. Later calls wait forever, as on Lambda.
    payload: Mutex<Option<Value>>,
    /// The response to a claim.
    item: Value,
    object: Bytes,
    events: mpsc::UnboundedSender<Event>,
}

/// A host for one process.
pub(crate) struct Host {
    pub(crate) address: SocketAddr,
    events: mpsc::UnboundedReceiver<Event>,
    server: tokio::task::JoinHandle<()>,
}

impl Host {
    /// Listens on the loopback address. With work, the first invocation has the task's message.
    pub(crate) async fn start(work: Option<Work>) -> Result<Self> {
        let (sender, events) = mpsc::unbounded_channel();
        let (payload, item, object) = match work {
            None => (None, Value::Null, Vec::new()),
            Some(Work { task, object }) => (Some(sqs_batch(&task)), claimed_item(&task), object),
        };
        let shared = Arc::new(Shared {
            payload: Mutex::new(payload),
            item,
            object: object.into(),
            events: sender,
        });
        let app = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
            .route("/2018-06-01/runtime/init/error", post(init_error))
            .fallback(service)
            .with_state(shared);
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, app).await {
                eprintln!("the host stopped: {error}");
            }
        });
        Ok(Self {
            address,
            events,
            server,
        })
    }

    /// Waits for the next event.
    pub(crate) async fn next_event(&mut self) -> Result<Event> {
        let event = tokio::time::timeout(std::time::Duration::from_secs(60), self.events.recv()).await;
        event
            .context("the function did nothing for 60 s")?
            .context("the host has stopped")
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// An SQS batch of one message.
fn sqs_batch(task: &Task) -> Value {
    json!({ "Records": [{
        "messageId": "1", "receiptHandle": "1", "body": json!(task.message()).to_string(),
        "attributes": { "ApproximateReceiveCount": "1" }, "messageAttributes": {},
        "eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:bench", "awsRegion": "us-east-1",
    }] })
}

/// The item that a claim returns, in DynamoDB's JSON.
fn claimed_item(task: &Task) -> Value {
    fn attribute(value: &Value) -> Value {
        match value {
            Value::String(text) => json!({ "S": text }),
            Value::Number(number) => json!({ "N": number.to_string() }),
            Value::Object(map) => {
                let map: serde_json::Map<_, _> = map
                    .iter()
                    .map(|(key, value)| (key.clone(), attribute(value)))
                    .collect();
                json!({ "M": map })
            }
            Value::Array(list) => json!({ "L": list.iter().map(attribute).collect::<Vec<_>>() }),
            other => unreachable!("a claimed task has no {other}"),
        }
    }
    let mut task = task.clone();
    task.attempt = 1;
    task.fence = 1;
    attribute(&json!(task))["M"].take()
}

async fn next(State(shared): State<Arc<Shared>>) -> Response {
    let payload = shared
        .payload
        .lock()
        .expect("nothing panics under this lock")
        .take();
    let _ = shared.events.send(Event::Next(Instant::now()));
    let Some(payload) = payload else {
        return std::future::pending().await;
    };
    let end = std::time::SystemTime::now() + std::time::Duration::from_secs(600);
    let deadline = end
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |time| time.as_millis());
    let headers = [
        (
            "lambda-runtime-aws-request-id",
            "00000000-0000-0000-0000-000000000001".to_owned(),
        ),
        ("lambda-runtime-deadline-ms", deadline.to_string()),
        (
            "lambda-runtime-invoked-function-arn",
            "arn:aws:lambda:us-east-1:000000000000:function:bench".to_owned(),
        ),
    ];
    (headers, axum::Json(payload)).into_response()
}

async fn response(State(shared): State<Arc<Shared>>) -> &'static str {
    let _ = shared.events.send(Event::Response(Instant::now()));
    "{}"
}

async fn init_error(State(shared): State<Arc<Shared>>, body: String) -> &'static str {
    let _ = shared.events.send(Event::InitError(body));
    "{}"
}

/// DynamoDB and SQS for requests with the header of an operation, S3 for all others.
async fn service(State(shared): State<Arc<Shared>>, headers: axum::http::HeaderMap, body: Bytes) -> Response {
    let operation = headers
        .get("x-amz-target")
        .and_then(|target| target.to_str().ok());
    match operation.and_then(|target| target.rsplit('.').next()) {
        Some("UpdateItem") => {
            let update: Value = serde_json::from_slice(&body).unwrap_or_default();
            let values = &update["ExpressionAttributeValues"];
            let has_status = |status: &str| {
                let mut values = values.as_object().into_iter().flatten();
                values.any(|(_, value)| value["S"] == status)
            };
            if has_status("completed") || has_status("failed") {
                let _ = shared.events.send(Event::Finish {
                    completed: has_status("completed"),
                });
            }
            axum::Json(json!({ "Attributes": shared.item })).into_response()
        }
        Some(_) => axum::Json(json!({})).into_response(),
        None => ([("etag", "\"bench\"")], shared.object.clone()).into_response(),
    }
}
