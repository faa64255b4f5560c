//! When the tasks of a batch are claimed, loaded and settled, by the writes that the table receives.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, mpsc};
use std::time::SystemTime;

use jiff::Timestamp;
use mesh_aws::SqsQueue;
use mesh_aws::testing::{config, item, requests};
use mesh_backend::{BackendFuture, BoxFuture, PayloadStore, Pinned, ReadError, SignedUpload};
use mesh_task::{
    NewUpload, ObjectRef, Payload, RunError, RunOutput, Status, Task, TaskId, TaskType, Tenant, testing,
};
use serde_json::{Map, Value, json};
use wiremock::matchers::{any, header_regex};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use super::tests::{Deaf, delivery, worker};
use super::*;
use crate::Stop;

const MINUTE: Duration = Duration::from_secs(60);

/// Completes each task at once.
struct Quick;

impl Runner for Quick {
    const READS_OBJECTS: bool = true;

    fn run(&self, jobs: &[Job], _: &Stop) -> Vec<Result<RunOutput, RunError>> {
        vec![Ok(testing::run_output()); jobs.len()]
    }
}

/// A store of which the function reads every object.
struct Objects<F>(F);

impl<F> fmt::Debug for Objects<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Objects")
    }
}

impl<F: Fn() -> BoxFuture<'static, Result<Vec<u8>, ReadError>> + Send + Sync> PayloadStore for Objects<F> {
    fn read<'a>(&'a self, _: &'a ObjectRef) -> BoxFuture<'a, Result<Vec<u8>, ReadError>> {
        self.0()
    }

    fn put_input<'a>(
        &'a self,
        _: &'a Tenant,
        _: TaskId,
        _: Vec<u8>,
        _: &'a str,
    ) -> BackendFuture<'a, ObjectRef> {
        unreachable!("a worker stores no input")
    }

    fn put_result<'a>(&'a self, _: &'a Task, _: Vec<u8>) -> BackendFuture<'a, ObjectRef> {
        unreachable!("the results are small")
    }

    fn link<'a>(&'a self, _: &'a ObjectRef, _: Duration) -> BackendFuture<'a, String> {
        unreachable!("a worker makes no links")
    }

    fn address(&self) -> BackendFuture<'_, String> {
        unreachable!("a worker makes no links")
    }

    fn sign_upload<'a>(
        &'a self,
        _: &'a str,
        _: &'a NewUpload,
        _: Duration,
    ) -> BackendFuture<'a, SignedUpload> {
        unreachable!("a worker signs no uploads")
    }

    fn pin(&self, _: String) -> BoxFuture<'_, Result<Pinned, ReadError>> {
        unreachable!("a worker pins no uploads")
    }

    fn warm(&self) -> BoxFuture<'_, ()> {
        unreachable!("the test begins with the batch")
    }

    fn check(&self) -> BackendFuture<'_, ()> {
        unreachable!("a worker has no health check")
    }
}

fn pending() -> Task {
    testing::task_with(TaskType::Sentiment, json!({ "text": "a" })).0
}

fn quarantined(consecutive_crashes: u32) -> Task {
    Task {
        consecutive_crashes,
        ..pending()
    }
}

/// A task as its claim returns it.
fn claimed(task: Task) -> Task {
    Task {
        status: Status::Processing,
        attempt: 1,
        fence: 1,
        consecutive_crashes: 1,
        ..task
    }
}

/// The task with an input in the bucket.
fn with_object(task: Task) -> Task {
    let object = ObjectRef {
        key: "default/uploads/1".to_owned(),
        etag: "e".to_owned(),
        sha256: "00".repeat(32),
        bytes: 1,
        content_type: "text/plain".to_owned(),
    };
    let parameters = Map::new();
    Task {
        payload: Payload::Object { object, parameters },
        ..task
    }
}

/// Makes the table answer the writes to each task in turn: it applies a write or refuses it, and returns the task. The last
/// answer is repeated.
async fn table(server: &MockServer, answers: Vec<Vec<(bool, Task)>>) {
    let by_id = answers.into_iter().map(|answers| {
        let id = answers[0].1.id.to_string();
        (id, answers.into_iter().peekable())
    });
    let by_id = Mutex::new(by_id.collect::<HashMap<_, _>>());
    let answer = move |request: &Request| {
        let body: Value = request.body_json().unwrap();
        let mut by_id = by_id.lock().unwrap();
        let answers = by_id.get_mut(body["Key"]["id"]["S"].as_str().unwrap()).unwrap();
        let (applies, task) = answers.next().unwrap();
        if answers.peek().is_none() {
            *answers = vec![(applies, task.clone())].into_iter().peekable();
        }
        let item = item(&serde_json::to_value(task).unwrap());
        let (status, body) = if applies {
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
    Mock::given(any())
        .respond_with(ResponseTemplate::new(200).set_body_raw("{}", "application/x-amz-json-1.0"))
        .mount(server)
        .await;
}

fn batch(server: &MockServer, tasks: &[Task]) -> Deliveries {
    let queue = SqsQueue::with_url(&config(server), format!("{}/queue", server.uri()));
    let deliveries = tasks.iter().map(|task| delivery(task, &queue, "handle"));
    Deliveries {
        received: tasks.len(),
        deliveries: deliveries.collect(),
        foreign: Vec::new(),
    }
}

/// The writes to the table so far: the task's id, and the request.
async fn writes(server: &MockServer) -> Vec<(String, Value)> {
    let requests = requests(server).await.into_iter();
    requests
        .filter_map(|request| Some((request["Key"]["id"]["S"].as_str()?.to_owned(), request)))
        .collect()
}

#[tokio::test]
async fn a_quarantined_task_without_enough_time_is_not_claimed_and_delivered_again_at_once() {
    let server = MockServer::start().await;
    let task = quarantined(1);
    table(&server, vec![vec![(false, task.clone())]]).await;
    let handled = worker(&server, Quick)
        .handle(
            batch(&server, std::slice::from_ref(&task)),
            Invocation::until(SystemTime::now()),
        )
        .await;
    assert_eq!(handled.retained, [task.id.to_string()]);
    assert_eq!(writes(&server).await.len(), 1);
    let released = requests(&server).await;
    assert!(released.iter().any(|request| request["VisibilityTimeout"] == 0));
}

#[tokio::test]
async fn the_quarantined_task_that_crashed_most_often_is_claimed_last() {
    let server = MockServer::start().await;
    let tasks = [3, 1, 2].map(quarantined);
    let refused = tasks.iter().map(|task| vec![(false, task.clone())]);
    table(&server, refused.collect()).await;
    worker(&server, Quick)
        .handle(
            batch(&server, &tasks),
            Invocation::until(SystemTime::now() + MINUTE),
        )
        .await;
    let isolated: Vec<_> = writes(&server)
        .await
        .into_iter()
        .skip(3)
        .map(|(id, _)| id)
        .collect();
    let [most, least, middle] = tasks.map(|task| task.id.to_string());
    assert_eq!(isolated, [least, middle, most]);
}

#[tokio::test]
async fn a_task_whose_lease_has_expired_is_reclaimed_and_then_run_isolated() {
    let server = MockServer::start().await;
    let expired = Task {
        lease_until: Some(Timestamp::UNIX_EPOCH),
        ..claimed(pending())
    };
    let reclaimed = Task {
        status: Status::Pending,
        lease_until: None,
        attempt: 0,
        ..expired.clone()
    };
    let isolated = Task {
        consecutive_crashes: 2,
        fence: 3,
        ..expired.clone()
    };
    let answers = vec![(false, expired.clone()), (true, reclaimed), (true, isolated)];
    table(&server, vec![answers]).await;
    let handled = worker(&server, Quick)
        .handle(
            batch(&server, &[expired]),
            Invocation::until(SystemTime::now() + MINUTE),
        )
        .await;
    assert!(handled.retained.is_empty(), "{handled:?}");
    let writes = writes(&server).await;
    // The claim that is refused, the reclaim, the isolated claim, and the end of the attempt.
    assert_eq!(writes.len(), 4);
    assert!(writes[1].1.to_string().contains("crashed"), "{:?}", writes[1]);
    assert!(writes[3].1.to_string().contains("completed"), "{:?}", writes[3]);
}

#[tokio::test]
async fn inputs_that_take_the_time_of_others_end_their_attempts_unspent() {
    for (count, code) in [(1, "storage_unavailable"), (2, "interrupted")] {
        let server = MockServer::start().await;
        let tasks: Vec<_> = (0..count).map(|_| with_object(claimed(pending()))).collect();
        let applied = tasks.iter().map(|task| vec![(true, task.clone())]);
        table(&server, applied.collect()).await;
        let mut worker = worker(&server, Quick);
        worker.payloads = Arc::new(Objects(|| -> BoxFuture<'static, _> {
            Box::pin(std::future::pending())
        }));
        worker
            .handle(batch(&server, &tasks), Invocation::until(SystemTime::now()))
            .await;
        let ends: Vec<_> = writes(&server).await.into_iter().skip(count).collect();
        assert_eq!(ends.len(), count, "{code}");
        assert!(
            ends.iter().all(|(_, write)| write.to_string().contains(code)),
            "{code}: {ends:?}"
        );
    }
}

#[tokio::test]
async fn leases_are_renewed_while_inputs_load() {
    let server = Arc::new(MockServer::start().await);
    let task = with_object(claimed(pending()));
    table(&server, vec![vec![(true, task.clone())]]).await;
    let mut worker = worker(&server, Quick);
    worker.lease = Duration::from_millis(6);
    let table = Arc::clone(&server);
    // The object comes once the lease was renewed.
    worker.payloads = Arc::new(Objects(move || -> BoxFuture<'static, _> {
        let table = Arc::clone(&table);
        Box::pin(async move {
            while writes(&table).await.len() < 2 {
                tokio::task::yield_now().await;
            }
            Ok(b"a".to_vec())
        })
    }));
    worker
        .handle(
            batch(&server, &[task]),
            Invocation::until(SystemTime::now() + MINUTE),
        )
        .await;
    let last = writes(&server).await.pop().unwrap().1.to_string();
    assert!(last.contains("completed"), "{last}");
}

#[tokio::test]
async fn the_end_of_an_input_that_can_not_be_read_is_written_while_the_others_run() {
    let server = MockServer::start().await;
    let tasks = [with_object(claimed(pending())), claimed(pending())];
    let applied = tasks.iter().map(|task| vec![(true, task.clone())]);
    table(&server, applied.collect()).await;
    let (test, ends_with_test) = mpsc::channel();
    let mut worker = worker(&server, Deaf(Mutex::new(ends_with_test)));
    worker.payloads = Arc::new(Objects(|| -> BoxFuture<'static, _> {
        Box::pin(async { Err(ReadError::Missing) })
    }));
    let written = async {
        let is_end = |(_, write): &(String, Value)| write.to_string().contains("payload_missing");
        while !writes(&server).await.iter().any(is_end) {
            tokio::task::yield_now().await;
        }
    };
    let invocation = Invocation::until(SystemTime::now() + Duration::from_secs(20));
    let mut handling = Box::pin(worker.handle(batch(&server, &tasks), invocation));
    tokio::select! {
        // Where both are done, the end was written too late.
        biased;
        handled = &mut handling => panic!("the run ended before: {handled:?}"),
        () = written => {}
    }
    drop(test);
    assert!(!handling.await.must_exit);
}
