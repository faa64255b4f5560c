//! The records of idempotency keys.

use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;
use mesh_task::TaskId;

use super::{new_tenant, now};
use crate::{KeyRecord, TaskStore};

const MINUTE: Duration = Duration::from_secs(60);

fn record() -> KeyRecord {
    KeyRecord {
        request_sha256: "00".repeat(32),
        task_id: TaskId::generate(),
    }
}

pub(super) async fn the_first_request_with_a_key_decides(store: &dyn TaskStore) {
    let tenant = new_tenant();
    let records: Vec<_> = (0..5).map(|_| record()).collect();
    let remembered = records
        .iter()
        .map(|record| store.remember(&tenant, "key", record.clone(), now()));
    let remembered: Vec<_> = join_all(remembered)
        .await
        .into_iter()
        .map(|record| record.expect("the store answers"))
        .collect();
    assert!(records.contains(&remembered[0]) && remembered.iter().all(|record| *record == remembered[0]));
    for (tenant, key) in [(&tenant, "other"), (&new_tenant(), "key")] {
        let own = record();
        assert_eq!(
            store
                .remember(tenant, key, own.clone(), now())
                .await
                .expect("the store answers"),
            own
        );
    }
}

pub(super) async fn a_key_is_free_again_when_its_record_has_expired(store: &dyn TaskStore) {
    let tenant = new_tenant();
    let (first, second) = (record(), record());
    let at = async |record: &KeyRecord, now: Timestamp| {
        store
            .remember(&tenant, "key", record.clone(), now)
            .await
            .expect("the store answers")
    };
    let day = Duration::from_hours(24);
    assert_eq!(at(&first, now()).await, first);
    assert_eq!(at(&second, now() + day - MINUTE).await, first);
    assert_eq!(at(&second, now() + day + MINUTE).await, second);
}
