use std::sync::{Mutex, mpsc};
use std::time::SystemTime;

use mesh_aws::testing::{config, item, requests};
use mesh_aws::{Payloads, SqsQueue, TaskTable};
use mesh_backend::TaskQueue;
use mesh_task::{
    OwnPolicies, RetryPolicies, RetryPolicy, RunError, RunOutput, Status, Task, TaskType, testing,
};
use serde_json::{Value, json};
use tracing::Span;
use wiremock::matchers::header_regex;
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use super::*;
use crate::Stop;

/// Ends with the test, whatever it is told.
#[derive(Debug)]
pub(super) struct Deaf(pub(super) Mutex<mpsc::Receiver<()>>);

impl Runner for Deaf {
    const READS_OBJECTS: bool = false;

    fn run(&self, _: &[Job], _: &Stop) -> Vec<Result<RunOutput, RunError>> {
        let _ = self.0.lock().unwrap().recv();
        Vec::new()
    }
}

pub(super) fn worker<R: Runner>(server: &MockServer, runner: R) -> Worker<R> {
    let config = config(server);
    let policy = RetryPolicy {
        max_attempts: 3,
        base: Duration::from_secs(1),
        cap: Duration::from_secs(60),
    };
    Worker {
        tasks: Arc::new(TaskTable::new(&config, "tasks".to_owned())),
        payloads: Arc::new(Payloads::new(&config, "payloads".to_owned())),
        policies: RetryPolicies {
            general: policy,
            own: OwnPolicies::default(),
        },
        lease: Duration::from_secs(60),
        max_receives: 3,
        batch_metrics: Arc::default(),
        runner: Arc::new(runner),
    }
}

pub(super) fn delivery(task: &Task, queue: &Arc<dyn TaskQueue>, receipt_handle: &str) -> Delivery {
    Delivery {
        message: task.message(),
        message_id: task.id.to_string(),
        queue: Arc::clone(queue),
        receipt_handle: receipt_handle.to_owned(),
        receives: 1,
        trace: None,
        span: Span::none(),
    }
}

/// Makes the table accept each write to the first task, and refuse each to the others.
async fn table_of(server: &MockServer, tasks: Vec<Task>) {
    let first = tasks[0].id.to_string();
    let answer = move |request: &Request| {
        let body: Value = request.body_json().unwrap();
        let id = &body["Key"]["id"]["S"];
        let task = tasks.iter().find(|task| *id == task.id.to_string()).unwrap();
        let item = item(&serde_json::to_value(task).unwrap());
        let (status, body) = if *id == first {
            (200, json!({ "Attributes": item }))
        } else {
            let kind = "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException";
            (400, json!({ "__type": kind, "message": "", "Item": item }))
        };
        ResponseTemplate::new(status).set_body_raw(body.to_string(), "application/x-amz-json-1.0")
    };
    Mock::given(header_regex("x-amz-target", "UpdateItem$"))
        .respond_with(answer)
        .mount(server)
        .await;
    Mock::given(header_regex("x-amz-target", "ChangeMessageVisibility$"))
        .respond_with(ResponseTemplate::new(200).set_body_raw("{}", "application/x-amz-json-1.0"))
        .mount(server)
        .await;
}

#[tokio::test]
async fn what_waits_behind_a_run_that_ignores_its_stop_is_delivered_again_at_once() {
    let task = || testing::task_with(TaskType::Sentiment, json!({ "text": "a" })).0;
    let running = Task {
        status: Status::Processing,
        attempt: 1,
        fence: 1,
        ..task()
    };
    let quarantined = || Task {
        consecutive_crashes: 1,
        ..task()
    };
    let tasks = vec![running, quarantined(), quarantined()];
    let server = MockServer::start().await;
    table_of(&server, tasks.clone()).await;
    let queue = SqsQueue::with_url(&config(&server), format!("{}/queue", server.uri()));
    let handles = ["running", "first", "second"];
    let deliveries = tasks
        .iter()
        .zip(handles)
        .map(|(task, handle)| delivery(task, &queue, handle));
    let batch = Deliveries {
        received: 4,
        deliveries: deliveries.collect(),
        foreign: vec![ForeignMessage {
            message_id: "foreign".to_owned(),
            queue: Arc::clone(&queue),
            receipt_handle: Some("foreign".to_owned()),
        }],
    };

    let (_test, ends_with_test) = mpsc::channel();
    // The run has no time at all.
    let handled = worker(&server, Deaf(Mutex::new(ends_with_test)))
        .handle(batch, Invocation::until(SystemTime::now()))
        .await;

    assert!(handled.must_exit);
    for task in &tasks[1..] {
        assert!(handled.retained.contains(&task.id.to_string()), "{handled:?}");
    }
    let requests = requests(&server).await;
    for handle in ["first", "second", "foreign"] {
        let of_handle: Vec<_> = requests
            .iter()
            .filter(|request| request["ReceiptHandle"] == handle)
            .map(|request| &request["VisibilityTimeout"])
            .collect();
        assert_eq!(of_handle, [&json!(0)], "{handle}");
    }
}
