//! A backup contains all that was accepted before it, a restore brings it back, and a check finds what is not whole.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use mesh_backend::ReadError;
use mesh_embedded::{Damage, Deleted, Embedded, OpenError, Settings, backup, check, restore};
use mesh_task::{ObjectRef, Payload, Task, TaskDraft, TaskId, TaskType, Tenant, testing};
use tempfile::TempDir;
use tokio::task::spawn_blocking;

const HOUR: Duration = Duration::from_hours(1);

fn open(folder: &Path) -> Embedded {
    try_open(folder).unwrap()
}

fn try_open(folder: &Path) -> Result<Embedded, OpenError> {
    let settings = Settings {
        address: "http://127.0.0.1:8000".to_owned(),
        max_receives: 3,
    };
    Embedded::open(folder, settings)
}

/// Creates a task whose input is a file.
async fn create(embedded: &Embedded) -> (Task, ObjectRef) {
    let (id, tenant) = (TaskId::generate(), Tenant::first());
    let payloads = embedded.payload_store();
    let stored = payloads.put_input(&tenant, id, id.to_string().into_bytes(), "text/plain");
    let object = stored.await.unwrap();
    let draft = TaskDraft {
        id,
        payload: Payload::Object {
            object: object.clone(),
            parameters: serde_json::Map::new(),
        },
        ..testing::draft(TaskType::Sentiment)
    };
    let now = Timestamp::now();
    let task = Task::new(draft, now, now + HOUR);
    embedded.tasks().create(&task, HOUR).await.unwrap();
    (task, object)
}

/// A folder with three tasks, whose server has ended.
async fn data() -> (TempDir, Vec<ObjectRef>) {
    let folder = tempfile::tempdir().unwrap();
    let embedded = open(folder.path());
    let mut objects = Vec::new();
    for _ in 0..3 {
        objects.push(create(&embedded).await.1);
    }
    fs::write(folder.path().join("token"), "aim_1\n").unwrap();
    (folder, objects)
}

fn file(folder: &Path, object: &ObjectRef) -> PathBuf {
    folder.join("payloads").join(&object.key)
}

fn damage(folder: &Path) -> Vec<String> {
    let report = check(folder).unwrap();
    report.damage.iter().map(Damage::to_string).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_a_folder_in_use_contains_all_that_was_accepted_before_it() {
    let folders = tempfile::tempdir().unwrap();
    let [data, copy, restored] = ["data", "copy", "restored"].map(|name| folders.path().join(name));
    let embedded = Arc::new(open(&data));
    let mut before = Vec::new();
    for _ in 0..20 {
        before.push(create(&embedded).await);
    }
    let copying = spawn_blocking({
        let (data, copy) = (data.clone(), copy.clone());
        move || backup(&data, &copy)
    });
    while !copying.is_finished() {
        create(&embedded).await;
    }
    let report = copying.await.unwrap().unwrap();
    assert_eq!(report.damage, []);
    assert!(report.tasks >= 20 && report.payloads >= 20, "{report:?}");
    drop(embedded);
    let report = restore(&copy, &restored).unwrap();
    assert_eq!((report.damage, report.stray), (vec![], vec![]));
    let embedded = open(&restored);
    for (task, object) in &before {
        let found = embedded.tasks().get(&task.tenant, task.id).await.unwrap();
        assert_eq!(found.unwrap().payload, task.payload);
        embedded.payload_store().read(object).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_contains_the_keys_and_does_not_change_with_the_folder() {
    let (data, objects) = data().await;
    let folders = tempfile::tempdir().unwrap();
    let copy = folders.path().join("copy");
    backup(data.path(), &copy).unwrap();
    let key = |folder: &Path| fs::read(folder.join("link-key")).unwrap();
    assert_eq!(key(&copy), key(data.path()));
    assert_eq!(fs::read_to_string(copy.join("token")).unwrap(), "aim_1\n");
    // One file, so that a copy of the folder is whole.
    assert!(!copy.join("mesh.db-wal").exists());
    let embedded = open(data.path());
    let later = Timestamp::now() + 2 * HOUR;
    assert_eq!(embedded.delete_expired(later, HOUR).await.unwrap().payloads, 3);
    assert_eq!(damage(&copy), Vec::<String>::new());
    assert!(objects.iter().all(|object| file(&copy, object).is_file()));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_deleted_while_a_backup_is_made() {
    let (data, objects) = data().await;
    let embedded = open(data.path());
    let stray = data.path().join("payloads/stray");
    fs::write(&stray, b"").unwrap();
    let later = Timestamp::now() + 2 * HOUR;
    // As the process that copies has it.
    let lock = File::create(data.path().join("deletions.lock")).unwrap();
    lock.lock().unwrap();
    assert_eq!(
        embedded.delete_expired(later, HOUR).await.unwrap(),
        Deleted::default()
    );
    assert_eq!(embedded.delete_stray_files(later).await.unwrap(), 0);
    assert!(file(data.path(), &objects[0]).exists() && stray.exists());
    drop(lock);
    assert_eq!(embedded.delete_expired(later, HOUR).await.unwrap().tasks, 3);
    assert_eq!(embedded.delete_stray_files(later).await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_refuses_a_folder_that_is_in_use_or_not_empty() {
    let (data, _) = data().await;
    let folders = tempfile::tempdir().unwrap();
    let [copy, used] = ["copy", "used"].map(|name| folders.path().join(name));
    backup(data.path(), &copy).unwrap();
    let embedded = open(&used);
    let refused = restore(&copy, &used).unwrap_err();
    assert!(matches!(refused, OpenError::InUse { .. }), "{refused}");
    drop(embedded);
    let refused = restore(&copy, &used).unwrap_err();
    assert!(matches!(refused, OpenError::NotEmpty { .. }), "{refused}");
    let refused = backup(data.path(), &used).unwrap_err();
    assert!(matches!(refused, OpenError::NotEmpty { .. }), "{refused}");
    let none = folders.path().join("none");
    for refused in [backup(&none, &used), restore(&none, &used), check(&none)] {
        let refused = refused.unwrap_err();
        assert!(matches!(refused, OpenError::NoDatabase { .. }), "{refused}");
    }
    let inside = data.path().join("payloads/copy");
    let refused = backup(data.path(), &inside).unwrap_err();
    assert!(matches!(refused, OpenError::Inside { .. }), "{refused}");
    assert!(!inside.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_was_cut_off_is_neither_restored_nor_served() {
    let (data, objects) = data().await;
    let folders = tempfile::tempdir().unwrap();
    let [copy, restored] = ["copy", "restored"].map(|name| folders.path().join(name));
    // A folder in the place of a file ends the copy in its middle.
    fs::remove_file(file(data.path(), &objects[1])).unwrap();
    fs::create_dir(file(data.path(), &objects[1])).unwrap();
    backup(data.path(), &copy).unwrap_err();
    for refused in [restore(&copy, &restored).map(drop), try_open(&copy).map(drop)] {
        let refused = refused.unwrap_err();
        assert!(matches!(refused, OpenError::Incomplete { .. }), "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_folder_with_damage_is_named_and_not_served() {
    let (data, objects) = data().await;
    let folders = tempfile::tempdir().unwrap();
    let [copy, restored] = ["copy", "restored"].map(|name| folders.path().join(name));
    backup(data.path(), &copy).unwrap();
    // The copy shares its files with the folder.
    fs::remove_file(file(&copy, &objects[0])).unwrap();
    let report = restore(&copy, &restored).unwrap();
    let key = &objects[0].key;
    assert!(matches!(&report.damage[..], [Damage::Unreadable { key: found, .. }] if found == key));
    let refused = try_open(&restored).unwrap_err();
    assert!(matches!(refused, OpenError::Incomplete { .. }), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_names_each_payload_that_is_not_whole() {
    let (data, objects) = data().await;
    assert_eq!(damage(data.path()), Vec::<String>::new());
    let [missing, shorter, changed] = [0, 1, 2].map(|n: usize| file(data.path(), &objects[n]));
    fs::remove_file(missing).unwrap();
    File::options()
        .write(true)
        .open(shorter)
        .unwrap()
        .set_len(5)
        .unwrap();
    let mut content = fs::read(&changed).unwrap();
    content[0] ^= 1;
    fs::write(changed, content).unwrap();
    let stray = data.path().join("payloads/default/stray");
    fs::write(&stray, b"").unwrap();
    let old = SystemTime::now() - 2 * HOUR;
    File::options()
        .write(true)
        .open(&stray)
        .unwrap()
        .set_modified(old)
        .unwrap();
    let report = check(data.path()).unwrap();
    assert_eq!((report.tasks, report.payloads), (3, 3));
    let found: Vec<_> = report.damage.iter().map(Damage::to_string).collect();
    for object in &objects {
        let named = found.iter().filter(|text| text.contains(&object.key)).count();
        assert_eq!(named, 1, "{found:?}");
    }
    assert_eq!(report.stray, ["default/stray"]);
    // The worker is told so, too.
    let embedded = open(data.path());
    for (object, is_missing) in objects.iter().zip([true, false, false]) {
        let read = embedded.payload_store().read(object).await;
        assert_eq!(matches!(read, Err(ReadError::Missing)), is_missing, "{read:?}");
        assert_eq!(matches!(read, Err(ReadError::Changed)), !is_missing, "{read:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_names_the_damage_of_the_database() {
    let (data, _) = data().await;
    let database = data.path().join("mesh.db");
    let mut damaged = fs::read(&database).unwrap();
    let middle = damaged.len() / 2;
    damaged[middle..middle + 4_096].fill(0xAB);
    fs::write(&database, damaged).unwrap();
    assert!(
        damage(data.path())
            .iter()
            .all(|text| text.starts_with("mesh.db: "))
    );
    assert!(!damage(data.path()).is_empty());
    fs::write(&database, b"not a database".repeat(400)).unwrap();
    assert!(damage(data.path())[0].starts_with("mesh.db: "));
    let folders = tempfile::tempdir().unwrap();
    let refused = backup(data.path(), &folders.path().join("copy")).unwrap_err();
    assert!(matches!(refused, OpenError::Damaged { .. }), "{refused}");
}
