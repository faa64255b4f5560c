//! The payload store.

use mesh_task::{ObjectRef, Task, UploadId};

use super::{Case, cases, new_task, new_tenant};
use crate::{PayloadStore, ReadError};

/// The cases of a payload store.
pub const PAYLOAD_CASES: &[Case<dyn PayloadStore>] = cases! { dyn PayloadStore:
    an_input_is_read_back_as_it_was_stored,
    a_result_of_another_claim_has_a_key_of_its_own,
    a_changed_object_is_not_read,
    what_was_never_stored_is_missing,
    a_link_begins_with_the_store_s_address,
};

async fn an_input_is_read_back_as_it_was_stored(store: &dyn PayloadStore) {
    let task = new_task(&new_tenant());
    let body: Vec<u8> = (0..200_000_u32).map(|n| n as u8).collect();
    let stored = store
        .put_input(&task.tenant, task.id, body.clone(), "image/png")
        .await
        .expect("it is stored");
    assert_eq!(
        (stored.bytes, stored.content_type.as_str()),
        (200_000, "image/png")
    );
    assert_eq!(store.read(&stored).await.expect("it is read"), body);
    let empty = store
        .put_input(&task.tenant, new_task(&task.tenant).id, Vec::new(), "text/plain")
        .await;
    let empty = empty.expect("it is stored");
    assert_eq!(store.read(&empty).await.expect("it is read"), Vec::<u8>::new());
}

async fn a_result_of_another_claim_has_a_key_of_its_own(store: &dyn PayloadStore) {
    let task = new_task(&new_tenant());
    let newer = Task {
        fence: task.fence + 1,
        ..task.clone()
    };
    let first = store
        .put_result(&task, b"{}".to_vec())
        .await
        .expect("it is stored");
    let second = store
        .put_result(&newer, b"[]".to_vec())
        .await
        .expect("it is stored");
    assert_ne!(first.key, second.key);
    assert_eq!(store.read(&first).await.expect("it is read"), b"{}");
}

async fn a_changed_object_is_not_read(store: &dyn PayloadStore) {
    let task = new_task(&new_tenant());
    let put = async |body: &[u8]| {
        store
            .put_input(&task.tenant, task.id, body.to_vec(), "text/plain")
            .await
            .expect("it is stored")
    };
    let first = put(b"first").await;
    let second = put(b"second").await;
    assert_eq!(first.key, second.key);
    let read = store.read(&first).await;
    assert!(matches!(read, Err(ReadError::Changed)), "{read:?}");
    assert_eq!(store.read(&second).await.expect("it is read"), b"second");
}

async fn what_was_never_stored_is_missing(store: &dyn PayloadStore) {
    let task = new_task(&new_tenant());
    let stored = store
        .put_result(&task, b"{}".to_vec())
        .await
        .expect("it is stored");
    let missing = ObjectRef {
        key: format!("{}/{}/result-9", task.tenant, task.id),
        ..stored
    };
    let read = store.read(&missing).await;
    assert!(matches!(read, Err(ReadError::Missing)), "{read:?}");
    let pinned = store.pin(UploadId::generate().key(&task.tenant)).await;
    assert!(matches!(pinned, Err(ReadError::Missing)), "{pinned:?}");
}

async fn a_link_begins_with_the_store_s_address(store: &dyn PayloadStore) {
    let task = new_task(&new_tenant());
    let stored = store
        .put_result(&task, b"{}".to_vec())
        .await
        .expect("it is stored");
    let link = store
        .link(&stored, std::time::Duration::from_secs(60))
        .await
        .expect("it is signed");
    let address = store.address().await.expect("it is known");
    assert!(
        link.starts_with(&address) && link.contains(&stored.key),
        "{link} and {address}"
    );
}
