//! Reading the whole table, for those that count it.

use mesh_stats::Snapshot;

use super::{Page, TaskTable};
use crate::AwsError;

/// What a [`Snapshot`] needs of an item.
const FIELDS: [&str; 11] = [
    "id",
    "tenant",
    "type",
    "status",
    "generation",
    "attempt",
    "fence",
    "created_at",
    "updated_at",
    "next_attempt_at",
    "expires_at",
];

impl TaskTable {
    /// The tasks of all tenants in one of the `segments` that the table is read in, after those of `last`.
    ///
    /// # Errors
    /// When the table did not answer, or holds what is no task.
    pub async fn snapshots(
        &self,
        segment: i32,
        segments: i32,
        last: Option<Page<Snapshot>>,
    ) -> Result<Page<Snapshot>, AwsError> {
        let names = FIELDS.map(|field| (format!("#{field}"), field.to_owned()));
        let scan = self
            .client
            .scan()
            .table_name(&self.name)
            .segment(segment)
            .total_segments(segments)
            .consistent_read(true)
            // The records of idempotency keys have none.
            .filter_expression("attribute_exists(#status)")
            .projection_expression(FIELDS.map(|field| format!("#{field}")).join(", "))
            .set_expression_attribute_names(Some(names.into()))
            .set_exclusive_start_key(last.and_then(|page| page.next));
        let found = scan.send().await.map_err(AwsError::of("Scan"))?;
        let entries = found.items.unwrap_or_default().into_iter();
        // One that can't be read fails it: whoever counts would count wrongly without it.
        let entries =
            entries.map(|item| serde_dynamo::from_item(item).map_err(|error| AwsError::setup("Scan", error)));
        Ok(Page {
            entries: entries.collect::<Result<_, _>>()?,
            next: found.last_evaluated_key.filter(|key| !key.is_empty()),
        })
    }
}
