//! A minimal replacement of Lambda and of the AWS services for one function. It responds at once, so that the
//! measurement is that of the function and not of an emulator.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use mesh_task::Task;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::tasks::Work;

/// What the function did, and when.
#[derive(Debug)]
pub(crate) enum Event {
    /// It requested an invocation.
    Next(Instant),
    /// It responded to the invocation.
    Response {
        at: Instant,
        /// The status code of a response to an HTTP request.
        status: Option<u64>,
    },
    /// It wrote the end of a task.
    Finish {
        /// False if the task failed.
        is_completed: bool,
    },
    /// It reported an error of its start, or of the invocation.
    Error(String),
}

/// What the host gives the function.
#[derive(Clone, Default)]
pub(crate) struct Scenario {
    /// The payloads of the invocations, in order. After the last one, the function waits for ever in its `next`.
    pub(crate) payloads: Vec<Value>,
    /// The tasks that it can claim, and their objects.
    pub(crate) works: Vec<Work>,
    /// The tasks that each page of the table contains, whatever is read.
    pub(crate) stored: Vec<Task>,
    /// What the language model writes.
    pub(crate) completion: String,
}

impl Scenario {
    /// Tasks that a worker receives as one batch.
    pub(crate) fn batch(works: Vec<Work>) -> Self {
        Self {
            payloads: vec![sqs_batch(&works)],
            works,
            ..Self::default()
        }
    }

    /// Tasks that a worker receives one by one, as those of a large queue.
    pub(crate) fn one_by_one(works: Vec<Work>) -> Self {
        Self {
            payloads: works
                .iter()
                .map(|work| sqs_batch(std::slice::from_ref(work)))
                .collect(),
            works,
            ..Self::default()
        }
    }
}

struct Shared {
    /// The payloads that are left. Without one, `next` waits forever, as on Lambda.
    payloads: Mutex<VecDeque<Value>>,
    /// The response to a claim, by the task's id.
    items: BTreeMap<String, Value>,
    /// By the task's id, which is the object's key.
    objects: BTreeMap<String, Bytes>,
    /// The response to each read of the table.
    page: Bytes,
    completion: String,
    events: mpsc::UnboundedSender<Event>,
}

/// A host for one process.
pub(crate) struct Host {
    pub(crate) address: SocketAddr,
    events: mpsc::UnboundedReceiver<Event>,
    server: tokio::task::JoinHandle<()>,
}

impl Host {
    /// Listens on the loopback address.
    pub(crate) async fn start(scenario: Scenario) -> Result<Self> {
        let (sender, events) = mpsc::unbounded_channel();
        let stored: Vec<_> = scenario.stored.iter().map(item).collect();
        let works = scenario.works.into_iter();
        let (items, objects) = works
            .map(|Work { task, object }| {
                let id = task.id.to_string();
                ((id.clone(), claimed_item(&task)), (id, object))
            })
            .unzip();
        let shared = Arc::new(Shared {
            payloads: Mutex::new(scenario.payloads.into()),
            items,
            objects,
            page: json!({ "Items": stored, "Item": stored.first() })
                .to_string()
                .into(),
            completion: scenario.completion,
            events: sender,
        });
        let app = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
            .route("/2018-06-01/runtime/init/error", post(error))
            .route("/v1/chat/completions", post(complete))
            .fallback(service)
            .layer(DefaultBodyLimit::disable())
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
    pub(crate) async fn next_event(&mut self, timeout: Duration) -> Result<Event> {
        let event = tokio::time::timeout(timeout, self.events.recv()).await;
        event
            .with_context(|| format!("the function did nothing for {} s", timeout.as_secs()))?
            .context("the host has stopped")
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// An SQS batch with each task's message.
fn sqs_batch(works: &[Work]) -> Value {
    let record = |(number, work): (usize, &Work)| {
        json!({
            "messageId": number.to_string(), "receiptHandle": number.to_string(),
            "body": json!(work.task.message()).to_string(),
            "attributes": { "ApproximateReceiveCount": "1" }, "messageAttributes": {}, "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:bench", "awsRegion": "us-east-1",
        })
    };
    json!({ "Records": works.iter().enumerate().map(record).collect::<Vec<_>>() })
}

/// The item that a claim returns, in DynamoDB's JSON.
fn claimed_item(task: &Task) -> Value {
    let mut task = task.clone();
    task.attempt = 1;
    task.fence = 1;
    item(&task)
}

/// A task's item, in DynamoDB's JSON.
pub(crate) fn item(task: &Task) -> Value {
    fn attribute(value: &Value) -> Value {
        match value {
            Value::Null => json!({ "NULL": true }),
            Value::Bool(value) => json!({ "BOOL": value }),
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
        }
    }
    let mut item = attribute(&json!(task))["M"].take();
    item["tenant_shard"] = json!({ "S": task.id.shard().partition(&task.tenant) });
    item
}

async fn next(State(shared): State<Arc<Shared>>) -> Response {
    let payload = shared
        .payloads
        .lock()
        .expect("nothing panics under this lock")
        .pop_front();
    let _ = shared.events.send(Event::Next(Instant::now()));
    let Some(payload) = payload else {
        return std::future::pending().await;
    };
    let end = std::time::SystemTime::now() + Duration::from_secs(600);
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

async fn response(State(shared): State<Arc<Shared>>, body: Bytes) -> &'static str {
    let at = Instant::now();
    // A streamed response has its status in a prelude, which ends with a zero.
    let head = body.split(|byte| *byte == 0).next().unwrap_or_default();
    let response: Value = serde_json::from_slice(head).unwrap_or_default();
    let status = response["statusCode"].as_u64();
    let _ = shared.events.send(Event::Response { at, status });
    "{}"
}

async fn error(State(shared): State<Arc<Shared>>, body: String) -> &'static str {
    let _ = shared.events.send(Event::Error(body));
    "{}"
}

/// A language model, as an OpenAI-compatible server.
async fn complete(State(shared): State<Arc<Shared>>) -> Response {
    axum::Json(json!({
        "model": "scripted",
        "choices": [{ "message": { "content": shared.completion }, "finish_reason": "stop" }],
        "usage": { "prompt_tokens": 1, "completion_tokens": 1 },
    }))
    .into_response()
}

/// DynamoDB and SQS for requests with the header of an operation, S3 for all others.
async fn service(State(shared): State<Arc<Shared>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
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
                    is_completed: has_status("completed"),
                });
            }
            let id = update["Key"]["id"]["S"].as_str().unwrap_or_default();
            axum::Json(json!({ "Attributes": shared.items.get(id) })).into_response()
        }
        Some("Query" | "Scan" | "GetItem") if reads_tasks(&body) => shared.page.clone().into_response(),
        Some(_) => axum::Json(json!({})).into_response(),
        None => {
            let key = uri.path().rsplit('/').next().unwrap_or_default();
            let object = shared.objects.get(key).cloned().unwrap_or_default();
            ([("etag", "\"bench\"")], object).into_response()
        }
    }
}

/// Whether a call of DynamoDB is about the tasks. The other table is empty.
fn reads_tasks(body: &[u8]) -> bool {
    let call: Value = serde_json::from_slice(body).unwrap_or_default();
    call["TableName"] == "TasksTable"
}
