//! AWS clients for the stack's functions, tables and bucket, with the access of its operator.

use std::collections::HashMap;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::types::{AttributeValue, DeleteRequest, PutRequest, WriteRequest};
use aws_sdk_dynamodbstreams::types::{Record, ShardIteratorType};
use aws_sdk_lambda::config::timeout::TimeoutConfig;
use aws_sdk_lambda::operation::invoke::InvokeOutput;
use aws_sdk_lambda::primitives::Blob;
use mesh_task::TaskId;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::runtime::{Builder, Runtime};

use crate::{TIMEOUT, setting};

/// The error of a call.
pub type BoxError = Box<dyn std::error::Error>;

/// Blocking AWS clients.
#[derive(Debug)]
pub struct Cloud {
    runtime: Runtime,
    config: SdkConfig,
}

impl Cloud {
    /// The clients of the stack under test.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it reads the environment")]
    pub fn new() -> Self {
        // Without it the SDK would use the AWS account of whoever runs the tests.
        let _ = setting("AWS_ENDPOINT_URL");
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime can be built");
        let config = runtime.block_on(mesh_aws::sdk_config());
        let config = config.unwrap_or_else(|error| panic!("the AWS clients can't be created: {error}"));
        crate::log::start();
        Self { runtime, config }
    }

    /// Runs the sweeper once, as its schedule does, and returns its report.
    pub fn run_sweeper(&self) -> Value {
        let answer = self.try_run_sweeper().expect("the sweeper can be invoked");
        let payload = answer.payload.unwrap_or_else(|| Blob::new([]));
        assert_eq!(
            answer.function_error,
            None,
            "{}",
            String::from_utf8_lossy(payload.as_ref())
        );
        serde_json::from_slice(payload.as_ref()).expect("the sweeper's report is JSON")
    }

    /// Runs the sweeper once, where the stack may be down.
    ///
    /// # Errors
    /// When the function could not be invoked.
    pub fn try_run_sweeper(&self) -> Result<InvokeOutput, BoxError> {
        let invoke = self.lambda().invoke().function_name(setting("JANITOR_FUNCTION"));
        let invoke = invoke.payload(Blob::new(json!({ "detail-type": "Scheduled Event" }).to_string()));
        Ok(self.block_on(invoke.send())?)
    }

    /// A task's item in the table.
    pub fn item(&self, id: &str) -> HashMap<String, AttributeValue> {
        let client = aws_sdk_dynamodb::Client::new(&self.config);
        let get = client
            .get_item()
            .table_name(setting("TASKS_TABLE"))
            .set_key(Some(key(id)))
            .consistent_read(true);
        let got = self.block_on(get.send()).expect("the table can be read");
        got.item.unwrap_or_else(|| panic!("the table contains task {id}"))
    }

    /// Adds a copy of a task to another tenant's tasks, and returns its new id.
    pub fn copy_to(&self, tenant: &str, id: &str) -> String {
        let copy = TaskId::generate().to_string();
        let mut item = self.item(id);
        item.extend(key_of(tenant, &copy));
        item.insert("tenant".to_owned(), AttributeValue::S(tenant.to_owned()));
        let put = PutRequest::builder().set_item(Some(item)).build();
        let put = put.expect("it has an item");
        self.write_all(vec![WriteRequest::builder().put_request(put).build()]);
        copy
    }

    /// Changes a task's item directly in the table, for example by `SET due_at = :now`.
    pub fn edit(&self, id: &str, update: &str, values: &[(&str, AttributeValue)]) {
        assert!(
            self.edit_if(id, "attribute_exists(id)", update, values),
            "the table contains task {id}"
        );
    }

    /// Changes a task's item directly in the table if a condition holds, and returns whether it did.
    pub fn edit_if(
        &self,
        id: &str,
        condition: &str,
        update: &str,
        values: &[(&str, AttributeValue)],
    ) -> bool {
        let client = aws_sdk_dynamodb::Client::new(&self.config);
        let values = values
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()));
        let update = client
            .update_item()
            .table_name(setting("TASKS_TABLE"))
            .set_key(Some(key(id)))
            .condition_expression(condition)
            .update_expression(update)
            .set_expression_attribute_values(Some(values.collect()));
        match self.block_on(update.send()) {
            Ok(_) => true,
            Err(error) => {
                let error = error.into_service_error();
                assert!(
                    error.is_conditional_check_failed_exception(),
                    "the item can be changed: {error:?}"
                );
                false
            }
        }
    }

    /// Moves an idempotency key's expiry into the past.
    pub fn age_key(&self, idempotency_key: &str, by: jiff::SignedDuration) {
        let client = aws_sdk_dynamodb::Client::new(&self.config);
        let update = client
            .update_item()
            .table_name(setting("TASKS_TABLE"))
            .set_key(Some(record_key(idempotency_key)))
            .condition_expression("attribute_exists(id)")
            .update_expression("SET kept_until = kept_until - :by")
            .expression_attribute_values(":by", AttributeValue::N(by.as_millis().to_string()));
        self.block_on(update.send()).expect("the key is stored");
    }

    /// The id of the task that was submitted under an idempotency key.
    #[must_use]
    pub fn task_of_key(&self, idempotency_key: &str) -> String {
        let client = aws_sdk_dynamodb::Client::new(&self.config);
        let get = client
            .get_item()
            .table_name(setting("TASKS_TABLE"))
            .set_key(Some(record_key(idempotency_key)))
            .consistent_read(true);
        let record = self.block_on(get.send()).expect("the table answers").item;
        let record = record.expect("the key is stored");
        record["task_id"].as_s().expect("an id is text").clone()
    }

    /// Adds copies of a task's item under new ids, without messages, and returns the ids.
    pub fn copy(&self, id: &str, copies: usize) -> Vec<String> {
        let item = self.item(id);
        let ids: Vec<_> = std::iter::successors(Some(TaskId::generate()), |id| Some(id.plus(1)))
            .take(copies)
            .collect();
        let puts = ids.iter().map(|id| {
            let mut copy = item.clone();
            copy.extend(key(&id.to_string()));
            if let Some(shard) = copy.get_mut("due_shard") {
                *shard = AttributeValue::S(id.shard().to_string());
            }
            let put = PutRequest::builder().set_item(Some(copy)).build();
            WriteRequest::builder()
                .put_request(put.expect("it has an item"))
                .build()
        });
        self.write_all(puts.collect());
        ids.iter().map(ToString::to_string).collect()
    }

    /// Deletes tasks from the table, so that they need not run.
    pub fn delete_tasks(&self, ids: &[String]) {
        let deletes = ids.iter().map(|id| {
            let delete = DeleteRequest::builder().set_key(Some(key(id))).build();
            WriteRequest::builder()
                .delete_request(delete.expect("it has a key"))
                .build()
        });
        self.write_all(deletes.collect());
    }

    fn write_all(&self, requests: Vec<WriteRequest>) {
        let client = aws_sdk_dynamodb::Client::new(&self.config);
        for page in requests.chunks(25) {
            let write = client
                .batch_write_item()
                .request_items(setting("TASKS_TABLE"), page.to_vec());
            let written = self.block_on(write.send()).expect("the table accepts writes");
            assert!(written.unprocessed_items.is_none_or(|left| left.is_empty()));
        }
    }

    /// Every item of the table whose metadata has this value under this key.
    pub fn items_with_metadata(&self, key: &str, value: &str) -> Vec<HashMap<String, AttributeValue>> {
        let client = aws_sdk_dynamodb::Client::new(&self.config);
        let scan = client
            .scan()
            .table_name(setting("TASKS_TABLE"))
            .consistent_read(true)
            .filter_expression("metadata.#key = :value")
            .expression_attribute_names("#key", key)
            .expression_attribute_values(":value", AttributeValue::S(value.to_owned()));
        let items = scan.into_paginator().items().send().try_collect();
        self.block_on(items).expect("the table can be scanned")
    }

    /// Every item of the table.
    ///
    /// # Errors
    /// When the table did not answer.
    pub fn items(&self) -> Result<Vec<Value>, BoxError> {
        let client = aws_sdk_dynamodb::Client::new(&self.config);
        let scan = client
            .scan()
            .table_name(setting("TASKS_TABLE"))
            .consistent_read(true);
        let items: Vec<_> = self.block_on(scan.into_paginator().items().send().try_collect())?;
        let read = |item| serde_dynamo::from_item(item).expect("an item is JSON");
        Ok(items.into_iter().map(read).collect())
    }

    /// Passes the records of the table's stream to `read`, from the oldest on, until that returns false.
    ///
    /// # Errors
    /// When the stream ended before that.
    pub fn follow_stream(&self, read: impl FnMut(Vec<Record>) -> bool) -> Result<(), BoxError> {
        self.block_on(self.read_stream(read))
    }

    async fn read_stream(&self, mut read: impl FnMut(Vec<Record>) -> bool) -> Result<(), BoxError> {
        let client = aws_sdk_dynamodbstreams::Client::new(&self.config);
        let streams = client
            .list_streams()
            .table_name(setting("TASKS_TABLE"))
            .send()
            .await?;
        let stream = streams.streams().first().and_then(|stream| stream.stream_arn());
        let described = client
            .describe_stream()
            .set_stream_arn(stream.map(str::to_owned))
            .send()
            .await?;
        // The local cloud's streams have one shard.
        let shards = described.stream_description.and_then(|stream| stream.shards);
        let shard = shards.and_then(|shards| shards.into_iter().next()?.shard_id);
        let first = client
            .get_shard_iterator()
            .set_stream_arn(stream.map(str::to_owned))
            .set_shard_id(shard)
            .shard_iterator_type(ShardIteratorType::TrimHorizon)
            .send()
            .await?;
        let mut iterator = first.shard_iterator;
        while let Some(position) = iterator {
            let page = client.get_records().shard_iterator(position).send().await?;
            if !read(page.records.unwrap_or_default()) {
                break;
            }
            iterator = page.next_shard_iterator;
        }
        Ok(())
    }

    /// Removes an object from the payload bucket.
    pub fn delete_payload(&self, key: &str) {
        let delete = self
            .s3()
            .delete_object()
            .bucket(setting("PAYLOAD_BUCKET"))
            .key(key);
        self.block_on(delete.send()).expect("the object can be deleted");
    }

    /// Overwrites an object in the payload bucket.
    pub fn overwrite_payload(&self, key: &str, body: &str) {
        let put = self
            .s3()
            .put_object()
            .bucket(setting("PAYLOAD_BUCKET"))
            .key(key)
            .body(body.as_bytes().to_vec().into());
        self.block_on(put.send()).expect("the object can be overwritten");
    }

    pub(crate) fn lambda(&self) -> aws_sdk_lambda::Client {
        let config = aws_sdk_lambda::config::Builder::from(&self.config);
        // A function may run for longer than the SDK waits by default.
        let timeouts = TimeoutConfig::builder()
            .operation_timeout(TIMEOUT)
            .operation_attempt_timeout(TIMEOUT)
            .build();
        aws_sdk_lambda::Client::from_conf(config.timeout_config(timeouts).build())
    }

    /// Waits for a call.
    pub fn block_on<F: Future>(&self, call: F) -> F::Output {
        self.runtime.block_on(call)
    }

    /// What the clients are made of.
    pub fn config(&self) -> &SdkConfig {
        &self.config
    }

    fn s3(&self) -> aws_sdk_s3::Client {
        let config = aws_sdk_s3::config::Builder::from(&self.config).force_path_style(true);
        aws_sdk_s3::Client::from_conf(config.build())
    }
}

/// The primary key of an idempotency key's item.
fn record_key(idempotency_key: &str) -> HashMap<String, AttributeValue> {
    let hash = hex::encode(Sha256::digest(idempotency_key));
    let partition = format!("default#key#{}", &hash[..1]);
    [
        ("tenant_shard".to_owned(), AttributeValue::S(partition)),
        ("id".to_owned(), AttributeValue::S(hash)),
    ]
    .into()
}

fn key(id: &str) -> HashMap<String, AttributeValue> {
    key_of("default", id)
}

fn key_of(tenant: &str, id: &str) -> HashMap<String, AttributeValue> {
    let shard = id.chars().last().expect("an id is not empty");
    let text = |text: String| AttributeValue::S(text);
    [
        ("tenant_shard".to_owned(), text(format!("{tenant}#{shard}"))),
        ("id".to_owned(), text(id.to_owned())),
    ]
    .into()
}
