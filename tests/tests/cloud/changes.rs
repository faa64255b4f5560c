//! The change log in its table: changes that expired, and those of another tenant.

use mesh_task::TaskId;
use mesh_tests::{Api, Cloud, Reply, eventually, stream};
use serde_json::Value;

fn changes(api: &Api, query: &str) -> Reply {
    let reply = api.get(&format!("/v1/changes?{query}"));
    assert_eq!(reply.status, 200, "{reply:?}");
    reply
}

/// Follows the changes after a cursor until each of these conditions has matched one of them. Returns the changes.
fn follow(api: &Api, after: &str, ends: &[&dyn Fn(&Value) -> bool]) -> Vec<Value> {
    let mut after = after.to_owned();
    let mut followed = Vec::new();
    eventually("the changes are in the log", || {
        let reply = changes(api, &format!("after={after}&wait=20"));
        after = reply.text("next").to_owned();
        followed.extend(reply.body["changes"].as_array().into_iter().flatten().cloned());
        ends.iter()
            .all(|is_end| followed.iter().any(is_end))
            .then_some(())
    });
    followed
}

#[test]
fn a_cursor_before_an_expired_change_is_gone() {
    let (cloud, tenant) = (Cloud::new(), stream::unique_tenant("expired"));
    for first in [10, 20, 30] {
        cloud.deliver_records(&stream::lifecycle(&tenant, TaskId::generate(), first));
    }
    let numbers = |after| -> Option<Vec<u64>> {
        let changes = cloud.changes(&tenant, after)?;
        Some(changes.into_iter().map(|(number, _)| number).collect())
    };
    assert_eq!(numbers(0), Some((1..=9).collect()));
    // DynamoDB deletes an expired item some time later. Until then the log must not contain it either.
    cloud.edit_stats(&tenant, 3, "SET expires_at = :value", &[], 1);
    assert_eq!((numbers(0), numbers(2)), (None, None));
    assert_eq!(numbers(3), Some((4..=9).collect()));
    assert_eq!(
        (numbers(8), numbers(9), numbers(10)),
        (Some(vec![9]), Some(vec![]), None)
    );
}

#[test]
fn a_tenant_sees_only_its_own_changes() {
    let (api, cloud, tenant) = (Api::of_cloud(), Cloud::new(), stream::unique_tenant("other"));
    let now = changes(&api, "");
    let (theirs, ours) = (TaskId::generate(), api.submit_text("fine", &[]));
    cloud.deliver_records(&stream::lifecycle(&tenant, theirs, 1));
    assert_eq!(cloud.changes(&tenant, 0).map(|changes| changes.len()), Some(3));
    api.result(&ours);
    let is_end = |change: &Value| change["id"] == *ours && change["status"] == "completed";
    let followed = follow(&api, now.text("next"), &[&is_end]);
    assert!(followed.iter().all(|change| change["id"] != theirs.to_string()));
}
