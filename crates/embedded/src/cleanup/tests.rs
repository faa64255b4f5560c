//! A file gets its place and its row without a deletion in between.

use std::fs;
use std::sync::mpsc;

use mesh_backend::PayloadStore;
use mesh_task::{Tenant, testing};
use tokio::sync::oneshot;
use tokio::task::yield_now;

use super::*;
use crate::Settings;

fn open() -> (tempfile::TempDir, std::sync::Arc<Embedded>) {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings {
        address: "http://127.0.0.1:8000".to_owned(),
        max_receives: 3,
    };
    let embedded = Embedded::open(folder.path(), settings).unwrap();
    (folder, std::sync::Arc::new(embedded))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_waits_for_a_file_whose_row_is_being_written() {
    let (_folder, embedded) = open();
    let payloads = embedded.payloads();
    fs::write(payloads.folder.join("input"), b"text").unwrap();
    let place = payloads.places.clone().read_owned().await;
    let deleting = tokio::spawn({
        let embedded = embedded.clone();
        async move {
            embedded
                .delete_stray_files(Timestamp::now() + 2 * WITHOUT_ROW_FOR)
                .await
        }
    });
    // No further place is given once the deletion waits.
    while payloads.places.try_read().is_ok() && !deleting.is_finished() {
        yield_now().await;
    }
    let written = embedded.tasks.database.write("row", |connection| {
        connection.execute(
            "INSERT INTO payloads VALUES ('input', 'default', '', 4, 'text/plain', 0, NULL)",
            [],
        )
    });
    written.await.unwrap();
    drop(place);
    assert_eq!(deleting.await.unwrap().unwrap(), 0);
    assert!(payloads.folder.join("input").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_deleted_between_a_file_and_its_row() {
    let (_folder, embedded) = open();
    let payloads = embedded.payloads();
    let (release, released) = mpsc::channel();
    let (start, started) = oneshot::channel();
    let blocking = tokio::spawn({
        let embedded = embedded.clone();
        async move {
            let written = embedded.tasks.database.write("block", move |_| {
                let _ = start.send(());
                let _ = released.recv();
                Ok(())
            });
            written.await
        }
    });
    started.await.unwrap();
    let id = testing::task().id;
    let putting = tokio::spawn({
        let payloads = payloads.clone();
        async move {
            let tenant = Tenant::first();
            payloads
                .put_input(&tenant, id, b"text".to_vec(), "text/plain")
                .await
        }
    });
    let path = payloads.folder.join(format!("{}/{id}/input", Tenant::first()));
    while !path.exists() {
        yield_now().await;
    }
    // The row waits for the writer.
    assert!(payloads.places.try_write().is_err());
    release.send(()).unwrap();
    blocking.await.unwrap().unwrap();
    putting.await.unwrap().unwrap();
    assert!(payloads.places.try_write().is_ok());
}
