//! Scans of the whole table, for counting.

use mesh_backend::BackendError;
use mesh_stats::Snapshot;

use super::{Page, TaskTable};
use crate::error::{from_sdk, setup};

impl TaskTable {
    /// One page of a parallel scan: the tasks of all tenants in `segment` of `segments`, after those of the page `last`.
    ///
    /// # Errors
    /// When the table did not answer, or an item can't be parsed as a task.
    pub async fn snapshots(
        &self,
        segment: i32,
        segments: i32,
        last: Option<Page<Snapshot>>,
    ) -> Result<Page<Snapshot>, BackendError> {
        let names = Snapshot::ATTRIBUTES.map(|field| (format!("#{field}"), field.to_owned()));
        let scan = self
            .client
            .scan()
            .table_name(&self.name)
            .segment(segment)
            .total_segments(segments)
            .consistent_read(true)
            // Records of idempotency keys have no status.
            .filter_expression("attribute_exists(#status)")
            .projection_expression(Snapshot::ATTRIBUTES.map(|field| format!("#{field}")).join(", "))
            .set_expression_attribute_names(Some(names.into()))
            .set_exclusive_start_key(last.and_then(|page| page.next));
        let found = scan.send().await.map_err(from_sdk("Scan"))?;
        let entries = found.items.unwrap_or_default().into_iter();
        // An item that can't be parsed fails the scan: a count without it would be wrong.
        let entries = entries.map(|item| serde_dynamo::from_item(item).map_err(|error| setup("Scan", error)));
        Ok(Page {
            entries: entries.collect::<Result<_, _>>()?,
            next: found.last_evaluated_key.filter(|key| !key.is_empty()),
        })
    }
}
