//! The embedded backend keeps the contract of a backend.

use std::sync::Arc;
use std::time::Duration;

use mesh_backend::contract::{
    COUNTER_CASES, Case, Consumer, CountedStores, PAYLOAD_CASES, QUEUE_CASES, QueueUnderTest,
    ReceivedMessage, TASK_CASES,
};
use mesh_backend::{BoxFuture, TaskQueue};
use mesh_embedded::{Embedded, EmbeddedQueue, Settings};
use mesh_reactor::EmfMetrics;
use mesh_task::{Lane, TaskType};
use tempfile::TempDir;

/// How long a consumer waits for a message.
const WAIT: Duration = Duration::from_millis(500);

fn open() -> (TempDir, Embedded) {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = Settings {
        address: "http://127.0.0.1:8000".to_owned(),
        max_receives: 3,
    };
    let embedded = Embedded::open(folder.path(), settings).expect("a new folder opens");
    (folder, embedded)
}

async fn run<S: ?Sized>(cases: &[Case<S>], under_test: &S) {
    for case in cases {
        println!("{}", case.name);
        (case.run)(under_test).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks() {
    let (_folder, embedded) = open();
    run(TASK_CASES, &*embedded.tasks()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn payloads() {
    let (_folder, embedded) = open();
    run(PAYLOAD_CASES, &*embedded.payload_store()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn counters() {
    let (_folder, embedded) = open();
    let embedded = Arc::new(embedded);
    let stores = CountedStores {
        tasks: embedded.tasks(),
        counters: embedded.counters(),
    };
    let reactor = tokio::spawn(async move {
        loop {
            let records = embedded.uncounted(100).await.unwrap();
            mesh_reactor::follow(&*embedded.counters(), &EmfMetrics, records)
                .await
                .unwrap();
        }
    });
    tokio::select! {
        () = run(COUNTER_CASES, &stores) => {}
        ended = reactor => panic!("the reactor ended: {ended:?}"),
    }
}

#[derive(Debug)]
struct OfQueue(Arc<EmbeddedQueue>);

impl Consumer for OfQueue {
    fn receive(&self, most: usize, visibility: Duration) -> BoxFuture<'_, Vec<ReceivedMessage>> {
        Box::pin(async move {
            let received = self.0.receive(most, visibility, WAIT).await;
            let received = received.expect("the queue answers").into_iter();
            let received = received.map(|received| ReceivedMessage {
                message: received.message.expect("a task's message"),
                receipt: received.receipt,
                receives: received.receives,
            });
            received.collect()
        })
    }

    fn delete(&self, receipt: String) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            self.0.delete(receipt).await.expect("the queue answers");
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn queue() {
    let (_folder, embedded) = open();
    let lane = Lane::all()
        .find(|lane| lane.worker_kind == TaskType::Sentiment.default_worker())
        .unwrap();
    let queue = embedded.lane(lane);
    let under_test = QueueUnderTest {
        queue: Arc::<EmbeddedQueue>::clone(&queue) as Arc<dyn TaskQueue>,
        consumer: Arc::new(OfQueue(queue)),
        dead_letters: Arc::new(OfQueue(embedded.dead_letters())),
    };
    run(QUEUE_CASES, &under_test).await;
}
