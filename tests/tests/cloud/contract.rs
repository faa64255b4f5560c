//! The AWS backend keeps the contract of a backend.

use std::sync::Arc;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType,
};
use aws_sdk_sqs::types::QueueAttributeName;
use mesh_aws::{Payloads, SqsQueue, StatsTable, TaskTable};
use mesh_backend::contract::{
    COUNTER_CASES, Case, Consumer, CountedStores, PAYLOAD_CASES, QUEUE_CASES, QueueUnderTest,
    ReceivedMessage, TASK_CASES,
};
use mesh_backend::{BoxFuture, TaskQueue};
use mesh_task::TaskId;
use mesh_tests::{Cloud, setting};
use serde_json::json;

/// The case that needs SQS's fair queues, which deliver a message of a quiet group before the backlog of a busy one. The local
/// cloud delivers in the order of arrival.
///
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-fair-queues.html>
const NEEDS_FAIR_QUEUES: [&str; 1] = ["the_backlog_of_one_tenant_does_not_delay_another"];
/// How long a consumer waits for a message, in seconds.
const WAIT_SECONDS: i32 = 1;

/// Runs the cases but those that need what an emulator does not have: these are only named.
pub(crate) async fn run<S: ?Sized>(cases: &[Case<S>], not_here: &[&str], under_test: &S) {
    for case in cases {
        if not_here.contains(&case.name) {
            println!("{}: not run here", case.name);
            continue;
        }
        println!("{}", case.name);
        (case.run)(under_test).await;
    }
}

pub(crate) fn attribute(name: &str, kind: ScalarAttributeType) -> AttributeDefinition {
    let definition = AttributeDefinition::builder()
        .attribute_name(name)
        .attribute_type(kind);
    definition.build().expect("it is complete")
}

pub(crate) fn keys(hash: &str, range: &str) -> [KeySchemaElement; 2] {
    [(hash, KeyType::Hash), (range, KeyType::Range)].map(|(name, kind)| {
        let key = KeySchemaElement::builder().attribute_name(name).key_type(kind);
        key.build().expect("it is complete")
    })
}

/// Creates a table with the keys and indexes of the template's, which no sweeper looks at. Returns its name.
pub(crate) async fn new_task_table(config: &SdkConfig) -> String {
    let name = format!("contract-{}", TaskId::generate());
    let index = |name: &str, hash: &str, range: &str| {
        let projection = Projection::builder().projection_type(ProjectionType::KeysOnly);
        let index = GlobalSecondaryIndex::builder()
            .index_name(name)
            .set_key_schema(Some(keys(hash, range).into()))
            .projection(projection.build());
        index.build().expect("it is complete")
    };
    let client = aws_sdk_dynamodb::Client::new(config);
    let create = client
        .create_table()
        .table_name(&name)
        .billing_mode(BillingMode::PayPerRequest)
        .set_key_schema(Some(keys("tenant_shard", "id").into()))
        .global_secondary_indexes(index("due", "due_shard", "due_at"))
        .global_secondary_indexes(index("failures", "failed_tenant_shard", "id"))
        .set_attribute_definitions(Some(vec![
            attribute("tenant_shard", ScalarAttributeType::S),
            attribute("id", ScalarAttributeType::S),
            attribute("due_shard", ScalarAttributeType::S),
            attribute("due_at", ScalarAttributeType::N),
            attribute("failed_tenant_shard", ScalarAttributeType::S),
        ]));
    create.send().await.expect("the table is created");
    name
}

#[test]
fn the_task_table_keeps_the_contract() {
    let cloud = Cloud::new();
    cloud.block_on(async {
        let table = TaskTable::new(cloud.config(), new_task_table(cloud.config()).await);
        run(TASK_CASES, &[], &table).await;
    });
}

#[test]
fn the_payload_bucket_keeps_the_contract() {
    let cloud = Cloud::new();
    let payloads = Payloads::new(cloud.config(), setting("PAYLOAD_BUCKET"));
    cloud.block_on(run(PAYLOAD_CASES, &[], &payloads));
}

#[test]
fn the_counters_that_the_reactor_keeps_have_the_contract() {
    let cloud = Cloud::new();
    let stores = CountedStores {
        tasks: Arc::new(TaskTable::new(cloud.config(), setting("TASKS_TABLE"))),
        counters: Arc::new(StatsTable::new(cloud.config(), setting("STATS_TABLE"))),
    };
    cloud.block_on(run(COUNTER_CASES, &[], &stores));
}

#[derive(Debug)]
struct OfQueue {
    client: aws_sdk_sqs::Client,
    url: String,
}

impl Consumer for OfQueue {
    fn receive(&self, most: usize, visibility: Duration) -> BoxFuture<'_, Vec<ReceivedMessage>> {
        Box::pin(async move {
            let receive = self
                .client
                .receive_message()
                .queue_url(&self.url)
                .max_number_of_messages(most as i32)
                .visibility_timeout(visibility.as_secs() as i32)
                .wait_time_seconds(WAIT_SECONDS)
                .message_system_attribute_names("ApproximateReceiveCount".into());
            let received = receive.send().await.expect("the queue answers");
            let received = received.messages.unwrap_or_default().into_iter();
            let received = received.map(|message| {
                let attributes = message.attributes.unwrap_or_default();
                let receives = attributes.get(&"ApproximateReceiveCount".into());
                ReceivedMessage {
                    message: serde_json::from_str(message.body.as_deref().expect("a body"))
                        .expect("a task's message"),
                    receipt: message.receipt_handle.expect("a receipt"),
                    receives: receives.and_then(|count| count.parse().ok()).expect("a count"),
                }
            });
            received.collect()
        })
    }

    fn delete(&self, receipt: String) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let delete = self.client.delete_message().queue_url(&self.url);
            let deleted = delete.receipt_handle(receipt).send().await;
            deleted.expect("the message is deleted");
        })
    }
}

/// Creates a queue, with a dead-letter queue if one is given.
async fn new_queue(client: &aws_sdk_sqs::Client, dead_letters: Option<&str>) -> String {
    let mut create = client
        .create_queue()
        .queue_name(format!("contract-{}", TaskId::generate()));
    if let Some(url) = dead_letters {
        let arn = client
            .get_queue_attributes()
            .queue_url(url)
            .attribute_names(QueueAttributeName::QueueArn);
        let attributes = arn.send().await.expect("the queue answers").attributes;
        let arn = attributes.and_then(|mut attributes| attributes.remove(&QueueAttributeName::QueueArn));
        let policy = json!({ "deadLetterTargetArn": arn, "maxReceiveCount": 3 });
        create = create.attributes(QueueAttributeName::RedrivePolicy, policy.to_string());
    }
    let created = create.send().await.expect("the queue is created");
    created.queue_url.expect("it has a URL")
}

#[test]
fn a_queue_keeps_the_contract() {
    let cloud = Cloud::new();
    cloud.block_on(async {
        let client = aws_sdk_sqs::Client::new(cloud.config());
        let dead_letters = new_queue(&client, None).await;
        let url = new_queue(&client, Some(&dead_letters)).await;
        let consumer = |url: String| {
            let client = client.clone();
            Arc::new(OfQueue { client, url })
        };
        let queue: Arc<dyn TaskQueue> = SqsQueue::with_url(cloud.config(), url.clone());
        let under_test = QueueUnderTest {
            queue,
            consumer: consumer(url),
            dead_letters: consumer(dead_letters),
        };
        run(QUEUE_CASES, &NEEDS_FAIR_QUEUES, &under_test).await;
    });
}
