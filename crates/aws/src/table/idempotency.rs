//! The records of idempotency keys, in the task table.

use std::time::Duration;

use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use jiff::Timestamp;
use mesh_backend::{BackendError, KEY_RETENTION, KeyRecord};
use mesh_task::Tenant;
use sha2::{Digest, Sha256};

use super::{Item, TaskTable, number, refused_put, string};
use crate::error::setup;

/// The record's own time decides: DynamoDB's TTL deletes expired items late, and only cleans up.
const TIDIED_AFTER: Duration = Duration::from_hours(25);

impl TaskTable {
    pub(super) async fn put_key_record(
        &self,
        tenant: &Tenant,
        idempotency_key: &str,
        record: KeyRecord,
        now: Timestamp,
    ) -> Result<KeyRecord, BackendError> {
        let hash = hex::encode(Sha256::digest(idempotency_key));
        let mut item: Item = serde_dynamo::to_item(&record).map_err(|error| setup("PutItem", error))?;
        item.extend([
            // A tenant's name can't contain `#`, so this partition can't be one of tasks.
            (
                "tenant_shard".to_owned(),
                string(format!("{tenant}#key#{}", &hash[..1])),
            ),
            ("id".to_owned(), string(hash)),
            (
                "kept_until".to_owned(),
                number((now + KEY_RETENTION).as_millisecond()),
            ),
            ("expires_at".to_owned(), number((now + TIDIED_AFTER).as_second())),
        ]);
        let put = self.client.put_item().table_name(&self.name).set_item(Some(item));
        let put = put
            .condition_expression("attribute_not_exists(id) OR kept_until < :now")
            .expression_attribute_values(":now", number(now.as_millisecond()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match put.send().await {
            Ok(_) => Ok(record),
            Err(error) => {
                serde_dynamo::from_item(refused_put(error)?).map_err(|error| setup("PutItem", error))
            }
        }
    }
}
