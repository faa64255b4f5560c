//! What is no longer kept is deleted, and nothing else.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use mesh_backend::{KeyRecord, ReadError, WriteOutcome};
use mesh_embedded::{Deleted, Embedded, Settings};
use mesh_task::{ObjectRef, Payload, Task, TaskDraft, TaskId, TaskType, Tenant, UploadId, cancel, testing};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::time::Instant;

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);
/// How long an upload is kept that no task names.
const UPLOADS_KEPT: Duration = Duration::from_hours(72);

fn open() -> (TempDir, Embedded) {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings {
        address: "http://127.0.0.1:8000".to_owned(),
        max_receives: 3,
    };
    let embedded = Embedded::open(folder.path(), settings).unwrap();
    (folder, embedded)
}

fn new_task(object: Option<&ObjectRef>) -> Task {
    let mut draft = TaskDraft {
        tenant: Tenant::first(),
        ..testing::draft(TaskType::Sentiment)
    };
    if let Some(object) = object {
        draft.payload = Payload::Object {
            object: object.clone(),
            parameters: serde_json::Map::new(),
        };
    }
    let now = Timestamp::now();
    Task::new(draft, now, now + HOUR)
}

/// A task whose input is a file, kept for this long.
async fn create_with_input(embedded: &Embedded, retention: Duration) -> (Task, ObjectRef) {
    let payloads = embedded.payload_store();
    let id = TaskId::generate();
    let tenant = Tenant::first();
    let stored = payloads.put_input(&tenant, id, b"text".to_vec(), "text/plain");
    let object = stored.await.unwrap();
    let task = Task {
        id,
        ..new_task(Some(&object))
    };
    embedded.tasks().create(&task, retention).await.unwrap();
    (task, object)
}

async fn upload(embedded: &Embedded) -> ObjectRef {
    let payloads = embedded.payloads();
    let mut incoming = payloads.receive().unwrap();
    incoming.write(b"upload").unwrap();
    let key = UploadId::generate().key(&Tenant::first());
    let sha256 = hex::encode(Sha256::digest(b"upload"));
    let accepted = payloads.accept(key.clone(), "text/plain".to_owned(), incoming, (&sha256, 6));
    accepted.await.unwrap();
    let (_, object) = payloads.file(&key).await.unwrap().unwrap();
    object
}

async fn delete_after(embedded: &Embedded, time: Duration) -> Deleted {
    embedded
        .delete_expired(Timestamp::now() + time, UPLOADS_KEPT)
        .await
        .unwrap()
}

async fn exists(embedded: &Embedded, object: &ObjectRef) -> bool {
    match embedded.payload_store().read(object).await {
        Ok(_) => true,
        Err(ReadError::Missing) => false,
        Err(error) => panic!("{error}"),
    }
}

fn file(folder: &Path, object: &ObjectRef) -> std::path::PathBuf {
    folder.join("payloads").join(&object.key)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_task_is_deleted_with_its_input_and_reported_as_removed() {
    let (folder, embedded) = open();
    let (task, object) = create_with_input(&embedded, 2 * HOUR).await;
    let (other, other_object) = create_with_input(&embedded, 2 * DAY).await;
    assert_eq!(delete_after(&embedded, HOUR).await, Deleted::default());
    let changed = embedded.tasks().changed(task.id);
    let deleted = delete_after(&embedded, 3 * HOUR).await;
    assert_eq!((deleted.tasks, deleted.payloads), (1, 1));
    changed.await;
    let tasks = embedded.tasks();
    assert!(tasks.get(&task.tenant, task.id).await.unwrap().is_none());
    assert!(tasks.get(&other.tenant, other.id).await.unwrap().is_some());
    assert!(!exists(&embedded, &object).await && exists(&embedded, &other_object).await);
    let path = file(folder.path(), &object);
    assert!(!path.exists() && !path.parent().unwrap().exists());
    let records = embedded.uncounted(10).await.unwrap();
    let removed = records.iter().filter(|record| record.new.is_none());
    let removed: Vec<_> = removed
        .filter_map(|record| Some(record.old.as_ref()?.id))
        .collect();
    assert_eq!(removed, [task.id]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_is_kept_for_the_last_task_that_names_it_or_as_long_as_uploads_are_kept() {
    let (_folder, embedded) = open();
    let [named, unnamed] = [upload(&embedded).await, upload(&embedded).await];
    for retention in [2 * UPLOADS_KEPT, HOUR] {
        let task = new_task(Some(&named));
        embedded.tasks().create(&task, retention).await.unwrap();
    }
    assert_eq!(delete_after(&embedded, 2 * HOUR).await.tasks, 1);
    assert_eq!(delete_after(&embedded, UPLOADS_KEPT - HOUR).await.payloads, 0);
    assert_eq!(delete_after(&embedded, UPLOADS_KEPT + HOUR).await.payloads, 1);
    assert!(exists(&embedded, &named).await && !exists(&embedded, &unnamed).await);
    let deleted = delete_after(&embedded, 2 * UPLOADS_KEPT + HOUR).await;
    assert_eq!((deleted.tasks, deleted.payloads), (1, 1));
    assert!(!exists(&embedded, &named).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_that_no_task_names_is_deleted_after_a_day() {
    let (_folder, embedded) = open();
    let stored = embedded.payload_store();
    let result = stored.put_result(&new_task(None), b"{}".to_vec()).await.unwrap();
    assert_eq!(delete_after(&embedded, DAY - HOUR).await.payloads, 0);
    assert_eq!(delete_after(&embedded, DAY + HOUR).await.payloads, 1);
    assert!(!exists(&embedded, &result).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_input_of_a_redriven_task_is_kept_as_long_as_the_task() {
    let (_folder, embedded) = open();
    let (task, object) = create_with_input(&embedded, 2 * HOUR).await;
    let now = Timestamp::now();
    let tasks = embedded.tasks();
    let cancelled = tasks.write(&task.tenant, task.id, &cancel(now)).await.unwrap();
    let WriteOutcome::Applied(cancelled) = cancelled else {
        panic!("{cancelled:?}")
    };
    let redrive = cancelled.redrive(now, now + 2 * DAY, now);
    tasks.write(&task.tenant, task.id, &redrive).await.unwrap();
    let deleted = delete_after(&embedded, DAY).await;
    assert_eq!((deleted.tasks, deleted.payloads), (0, 0));
    assert!(exists(&embedded, &object).await);
    assert_eq!(delete_after(&embedded, 3 * DAY).await.payloads, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_can_t_name_a_payload_that_is_gone() {
    let (_folder, embedded) = open();
    let object = upload(&embedded).await;
    delete_after(&embedded, 2 * UPLOADS_KEPT).await;
    let task = new_task(Some(&object));
    embedded.tasks().create(&task, DAY).await.unwrap_err();
    assert!(
        embedded
            .tasks()
            .get(&task.tenant, task.id)
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn records_of_keys_and_changes_are_deleted_when_they_have_expired() {
    let (_folder, embedded) = open();
    let (task, now) = (new_task(None), Timestamp::now());
    let record = KeyRecord {
        request_sha256: String::new(),
        task_id: task.id,
    };
    let (tasks, counters) = (embedded.tasks(), embedded.counters());
    tasks.remember(&task.tenant, "key", record, now).await.unwrap();
    tasks.create(&task, 30 * DAY).await.unwrap();
    let records = embedded.uncounted(10).await.unwrap();
    mesh_reactor::follow(&*counters, &mesh_reactor::EmfMetrics, records)
        .await
        .unwrap();
    assert_eq!(delete_after(&embedded, HOUR).await, Deleted::default());
    let deleted = delete_after(&embedded, 3 * HOUR).await;
    assert_eq!((deleted.changes, deleted.keys), (1, 0));
    let known = counters.counters(&task.tenant).await.unwrap();
    assert_eq!(known.last, 1);
    let gone = counters.changes(&task.tenant, &known, 0, 10).await.unwrap();
    assert!(gone.is_none(), "{gone:?}");
    assert_eq!(delete_after(&embedded, DAY + HOUR).await.keys, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_one_step_is_deleted_in_one_call() {
    let (_folder, embedded) = open();
    let tasks: Vec<_> = (0..450).map(|_| new_task(None)).collect();
    let until = Instant::now() + HOUR;
    let left = embedded.tasks().create_all(&tasks, HOUR, until).await.unwrap();
    assert!(left.is_empty());
    assert_eq!(delete_after(&embedded, 2 * HOUR).await.tasks, 450);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_without_a_row_are_deleted_after_an_hour_and_others_stay() {
    let (folder, embedded) = open();
    let payloads = folder.path().join("payloads");
    let (_, object) = create_with_input(&embedded, DAY).await;
    fs::create_dir_all(payloads.join("default/stray")).unwrap();
    let [stray, young, unfinished] =
        ["default/stray/input", "default/young", ".unfinished/part"].map(|name| {
            let path = payloads.join(name);
            fs::write(&path, b"text").unwrap();
            path
        });
    for path in [&stray, &unfinished, &file(folder.path(), &object)] {
        let old = SystemTime::now() - 2 * HOUR;
        File::options()
            .write(true)
            .open(path)
            .unwrap()
            .set_modified(old)
            .unwrap();
    }
    assert_eq!(embedded.delete_stray_files(Timestamp::now()).await.unwrap(), 2);
    assert!(!stray.exists() && !unfinished.exists() && young.exists());
    assert!(exists(&embedded, &object).await);
    // A file is received and stored afterwards as before.
    upload(&embedded).await;
}
