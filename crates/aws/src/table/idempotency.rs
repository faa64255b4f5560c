//! What an idempotency key stands for.

use std::time::Duration;

use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use jiff::Timestamp;
use mesh_task::{TaskId, Tenant};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Item, TaskTable, number, refused_put, string};
use crate::AwsError;

/// How long a key is remembered.
const KEPT: Duration = Duration::from_hours(24);
/// DynamoDB removes what has expired when it comes to it, so a record's own time counts, and TTL only tidies up.
const TIDIED_AFTER: Duration = Duration::from_hours(25);

/// What the first request of an idempotency key asked for, and the id that its task has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRecord {
    /// SHA-256 of the request, in hex.
    pub request_sha256: String,
    /// The id that follows from the key: whoever repeats the request makes no other task. A batch's other ids follow from
    /// this one.
    pub task_id: TaskId,
}

impl TaskTable {
    /// Remembers what a key stands for, unless it is remembered already: then that is the answer. The first of any
    /// number of requests at once decides.
    ///
    /// # Errors
    /// When the table did not answer.
    pub async fn remember(
        &self,
        tenant: &Tenant,
        idempotency_key: &str,
        record: KeyRecord,
        now: Timestamp,
    ) -> Result<KeyRecord, AwsError> {
        let hash = hex::encode(Sha256::digest(idempotency_key));
        let mut item: Item =
            serde_dynamo::to_item(&record).map_err(|error| AwsError::setup("PutItem", error))?;
        item.extend([
            // No tenant's name has a `#`, so no partition of tasks is called so.
            (
                "tenant_shard".to_owned(),
                string(format!("{tenant}#key#{}", &hash[..1])),
            ),
            ("id".to_owned(), string(hash)),
            ("kept_until".to_owned(), number((now + KEPT).as_millisecond())),
            ("expires_at".to_owned(), number((now + TIDIED_AFTER).as_second())),
        ]);
        let put = self.client.put_item().table_name(&self.name).set_item(Some(item));
        let put = put
            .condition_expression("attribute_not_exists(id) OR kept_until < :now")
            .expression_attribute_values(":now", number(now.as_millisecond()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match put.send().await {
            Ok(_) => Ok(record),
            Err(error) => serde_dynamo::from_item(refused_put(error)?)
                .map_err(|error| AwsError::setup("PutItem", error)),
        }
    }
}
