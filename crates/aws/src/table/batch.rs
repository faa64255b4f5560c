//! Many tasks in one call.

use std::collections::HashSet;
use std::time::Duration;

use aws_sdk_dynamodb::types::{KeysAndAttributes, PutRequest, WriteRequest};
use futures_util::stream::iter;
use futures_util::{StreamExt, TryStreamExt};
use mesh_backend::BackendError;
use mesh_task::{Task, TaskId};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout_at};

use super::expression::projection;
use super::{Item, TaskTable, new_item, parse_or_skip};
use crate::backoff::Backoff;
use crate::error::{from_sdk, is_invalid, left_unprocessed, setup};
use crate::item::text;

/// The maximum of items in one BatchWriteItem.
const WRITES: usize = 25;
/// The maximum of items in one BatchGetItem.
const READS: usize = 100;
/// How many calls of one kind run at the same time.
const AT_ONCE: usize = 4;
/// How long items that a BatchGetItem left out under load are requested again.
const READ_WITHIN: Duration = Duration::from_secs(5);

impl TaskTable {
    /// A batch write has no conditions.
    pub(super) async fn create_batch(
        &self,
        tasks: &[Task],
        retention: Duration,
        until: Instant,
    ) -> Result<HashSet<TaskId>, BackendError> {
        // The items of a chunk take several times the memory of its tasks, so they are made when their turn comes.
        let left = iter((0..tasks.len()).step_by(WRITES))
            .map(|first| {
                let chunk = tasks[first..].iter().take(WRITES);
                let requests = chunk.map(|task| put_request(task, retention));
                let requests: Result<Vec<_>, BackendError> = requests.collect();
                async { Ok(self.write_chunk(requests?, until).await) }
            })
            .buffer_unordered(AT_ONCE);
        let left: Vec<Vec<_>> = left.try_collect().await?;
        Ok(left.iter().flatten().filter_map(written_id).collect())
    }

    /// Returns the requests that may not have been written.
    async fn write_chunk(&self, mut chunk: Vec<WriteRequest>, until: Instant) -> Vec<WriteRequest> {
        let mut backoff = Backoff::until(until);
        loop {
            let write = self
                .client
                .batch_write_item()
                .request_items(&self.name, chunk.clone());
            match timeout_at(until, write.send()).await {
                Ok(Ok(written)) => {
                    let left = written
                        .unprocessed_items
                        .and_then(|mut left| left.remove(&self.name));
                    chunk = left.unwrap_or_default();
                    if chunk.is_empty() {
                        return chunk;
                    }
                }
                Ok(Err(error)) => {
                    let error = from_sdk("BatchWriteItem")(error);
                    if is_invalid(&error) && chunk.len() > 1 {
                        // One invalid item makes DynamoDB refuse the whole call: send each item by itself.
                        let alone = chunk
                            .into_iter()
                            .map(|write| Box::pin(self.write_chunk(vec![write], until)));
                        return iter(alone).buffer_unordered(AT_ONCE).concat().await;
                    }
                    tracing::error!(event = "tasks_not_written", %error, tasks = chunk.len(), "a batch of tasks may not have been written");
                    return chunk;
                }
                Err(_) => return chunk,
            }
            if !backoff.wait_for_retry().await {
                tracing::error!(
                    event = "tasks_not_written",
                    tasks = chunk.len(),
                    "a batch of tasks was left unprocessed after all retries"
                );
                return chunk;
            }
        }
    }

    /// Reads these attributes of many items, or all attributes if none is named.
    pub(super) async fn get_all<T: DeserializeOwned>(
        &self,
        keys: Vec<Item>,
        attributes: &[&str],
    ) -> Result<Vec<T>, BackendError> {
        let chunks: Vec<_> = keys.chunks(READS).map(<[Item]>::to_vec).collect();
        let read = iter(chunks).map(|chunk| self.get_chunk(chunk, attributes));
        let read: Vec<_> = read.buffer_unordered(AT_ONCE).collect().await;
        let mut items = Vec::with_capacity(keys.len());
        for chunk in read {
            items.extend(
                chunk?
                    .into_iter()
                    .filter_map(|item| parse_or_skip(item, "BatchGetItem")),
            );
        }
        Ok(items)
    }

    async fn get_chunk(&self, mut keys: Vec<Item>, attributes: &[&str]) -> Result<Vec<Item>, BackendError> {
        let mut backoff = Backoff::until(Instant::now() + READ_WITHIN);
        let mut items = Vec::new();
        loop {
            let mut wanted = KeysAndAttributes::builder()
                .set_keys(Some(keys))
                .consistent_read(true);
            if let Some((projection, names)) = projection(attributes) {
                wanted = wanted
                    .projection_expression(projection)
                    .set_expression_attribute_names(Some(names));
            }
            let wanted = wanted.build().map_err(|error| setup("BatchGetItem", error))?;
            let get = self.client.batch_get_item().request_items(&self.name, wanted);
            let got = get.send().await.map_err(from_sdk("BatchGetItem"))?;
            let found = got.responses.and_then(|mut tables| tables.remove(&self.name));
            items.append(&mut found.unwrap_or_default());
            let left_out = got.unprocessed_keys.and_then(|mut left| left.remove(&self.name));
            match left_out {
                Some(left_out) if !left_out.keys.is_empty() => keys = left_out.keys,
                _ => return Ok(items),
            }
            if !backoff.wait_for_retry().await {
                return Err(left_unprocessed("BatchGetItem"));
            }
        }
    }
}

fn put_request(task: &Task, retention: Duration) -> Result<WriteRequest, BackendError> {
    let put = PutRequest::builder().set_item(Some(new_item(task, retention)?));
    let put = put.build().map_err(|error| setup("BatchWriteItem", error))?;
    Ok(WriteRequest::builder().put_request(put).build())
}

fn written_id(request: &WriteRequest) -> Option<TaskId> {
    text(&request.put_request.as_ref()?.item, "id")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use mesh_backend::TaskStore;
    use mesh_task::Tenant;
    use serde_json::{Value, json};
    use wiremock::matchers::body_string_contains;
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;
    use crate::testing::{answer, config, requests, task};

    const RETENTION: Duration = Duration::from_secs(86_400);

    fn in_a_minute() -> Instant {
        Instant::now() + Duration::from_mins(1)
    }

    /// A response that leaves a task unprocessed.
    fn left_out(task: &Task) -> Value {
        let item = json!({ "id": { "S": task.id.to_string() } });
        json!({ "UnprocessedItems": { "tasks": [{ "PutRequest": { "Item": item } }] } })
    }

    fn written(request: &Value) -> usize {
        request["RequestItems"]["tasks"].as_array().map_or(0, Vec::len)
    }

    #[tokio::test]
    async fn only_unprocessed_items_are_written_again() {
        let server = MockServer::start().await;
        let tasks: Vec<_> = (0..30).map(|_| task()).collect();
        answer(&server, "BatchWriteItem", left_out(&tasks[3])).await;
        for _ in 0..2 {
            answer(&server, "BatchWriteItem", json!({ "UnprocessedItems": {} })).await;
        }
        let table = TaskTable::new(&config(&server), "tasks".to_owned());
        let left = table.create_all(&tasks, RETENTION, in_a_minute()).await.unwrap();
        assert!(left.is_empty(), "{left:?}");
        let mut writes: Vec<_> = requests(&server).await.iter().map(written).collect();
        writes.sort_unstable();
        assert_eq!(writes, [1, 5, 25]);
    }

    #[tokio::test]
    async fn items_unprocessed_until_the_deadline_are_returned() {
        let server = MockServer::start().await;
        let tasks = [task(), task()];
        for _ in 0..20 {
            answer(&server, "BatchWriteItem", left_out(&tasks[1])).await;
        }
        let table = TaskTable::new(&config(&server), "tasks".to_owned());
        let soon = Instant::now() + Duration::from_millis(300);
        let left = table.create_all(&tasks, RETENTION, soon).await.unwrap();
        assert_eq!(left, [tasks[1].id].into());
        assert!(Instant::now() < soon + Duration::from_secs(5));
    }

    #[tokio::test]
    async fn an_invalid_item_does_not_stop_the_other_items() {
        let server = MockServer::start().await;
        let tasks: Vec<_> = (0..30).map(|_| task()).collect();
        let invalid = json!({ "__type": "com.amazon.coral.validate#ValidationException", "message": "no" });
        Mock::given(body_string_contains(tasks[3].id.to_string()))
            .respond_with(ResponseTemplate::new(400).set_body_json(invalid))
            .mount(&server)
            .await;
        for _ in 0..25 {
            answer(&server, "BatchWriteItem", json!({ "UnprocessedItems": {} })).await;
        }
        let table = TaskTable::new(&config(&server), "tasks".to_owned());
        let left = table.create_all(&tasks, RETENTION, in_a_minute()).await.unwrap();
        assert_eq!(left, [tasks[3].id].into());
        let mut writes: Vec<_> = requests(&server).await.iter().map(written).collect();
        writes.sort_unstable();
        assert_eq!(writes, [vec![1; 25], vec![5, 25]].concat());
    }

    #[tokio::test]
    async fn unprocessed_keys_are_read_again() {
        let server = MockServer::start().await;
        let tasks = [task(), task()];
        let found = |task: &Task| json!({ "tasks": [stored(task)] });
        let key = json!({ "tenant_shard": { "S": "default#0" }, "id": { "S": tasks[1].id.to_string() } });
        let first =
            json!({ "Responses": found(&tasks[0]), "UnprocessedKeys": { "tasks": { "Keys": [key] } } });
        answer(&server, "BatchGetItem", first).await;
        answer(
            &server,
            "BatchGetItem",
            json!({ "Responses": found(&tasks[1]), "UnprocessedKeys": {} }),
        )
        .await;
        let table = TaskTable::new(&config(&server), "tasks".to_owned());
        let ids = tasks.each_ref().map(|task| task.id);
        let read = table.summaries(&Tenant::first(), ids.to_vec()).await.unwrap();
        let read: BTreeSet<_> = read.into_iter().map(|task| task.id).collect();
        assert_eq!(read, ids.into());
    }

    #[tokio::test]
    async fn an_item_that_can_t_be_parsed_does_not_stop_the_others() {
        let server = MockServer::start().await;
        let tasks = [task(), task()];
        let mut newer = stored(&tasks[0]);
        newer["type"] = json!({ "S": "of_a_newer_release" });
        let found = json!({ "Responses": { "tasks": [newer, stored(&tasks[1])] } });
        answer(&server, "BatchGetItem", found).await;
        let table = TaskTable::new(&config(&server), "tasks".to_owned());
        let keys = tasks.iter().map(|task| (task.tenant.clone(), task.id)).collect();
        let read = table.get_many(keys).await.unwrap();
        assert_eq!(read.iter().map(|task| task.id).collect::<Vec<_>>(), [tasks[1].id]);
    }

    fn stored(task: &Task) -> Value {
        let item: Item = serde_dynamo::to_item(task).unwrap();
        let attributes = item.into_iter().map(|(name, value)| (name, as_json(&value)));
        Value::Object(attributes.collect())
    }

    /// The attribute in DynamoDB's JSON.
    fn as_json(value: &aws_sdk_dynamodb::types::AttributeValue) -> Value {
        use aws_sdk_dynamodb::types::AttributeValue as Attribute;
        match value {
            Attribute::S(text) => json!({ "S": text }),
            Attribute::N(number) => json!({ "N": number }),
            Attribute::M(map) => {
                let fields = map.iter().map(|(name, value)| (name.clone(), as_json(value)));
                json!({ "M": fields.collect::<serde_json::Map<_, _>>() })
            }
            Attribute::L(list) => json!({ "L": list.iter().map(as_json).collect::<Vec<_>>() }),
            other => panic!("a task has no {other:?}"),
        }
    }
}
