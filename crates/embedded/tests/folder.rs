//! The data folder: who may use it, and what a start finds in it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use mesh_backend::WriteOutcome;
use mesh_embedded::{Embedded, OpenError, Settings};
use mesh_task::{Isolation, Outcome, Status, claim, testing};

const MINUTE: Duration = Duration::from_secs(60);

fn open(folder: &Path) -> Result<Embedded, OpenError> {
    let settings = Settings {
        address: "http://127.0.0.1:8000".to_owned(),
        max_receives: 3,
    };
    Embedded::open(folder, settings)
}

#[test]
fn a_folder_is_used_by_one_process_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path()).unwrap();
    let refused = open(folder.path()).unwrap_err().to_string();
    let own = std::process::id().to_string();
    assert!(
        refused.contains("in use by process") && refused.contains(&own),
        "{refused}"
    );
    drop(first);
    open(folder.path()).unwrap();
}

#[test]
fn a_damaged_database_is_named_with_the_command_that_restores_it() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()).unwrap());
    let file = folder.path().join("mesh.db");
    fs::write(
        &file,
        b"This is not a database, and longer than a header would be.".repeat(100),
    )
    .unwrap();
    let refused = open(folder.path()).unwrap_err();
    assert!(matches!(refused, OpenError::Damaged { .. }), "{refused:?}");
    let text = refused.to_string();
    let command = format!("`mesh-server restore BACKUP --data {}`", folder.path().display());
    assert!(
        text.contains(&file.display().to_string()) && text.contains(&command),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_ran_when_the_process_ended_runs_again_at_once_and_spends_no_attempt() {
    let folder = tempfile::tempdir().unwrap();
    let task = testing::task();
    let lane = task.lane();
    {
        let embedded = open(folder.path()).unwrap();
        embedded.tasks().create(&task, 60 * MINUTE).await.unwrap();
        embedded
            .queues()
            .for_lane(lane)
            .send(&task.message(), Duration::ZERO)
            .await
            .unwrap();
        let received = embedded.lane(lane).receive(1, 60 * MINUTE, MINUTE).await.unwrap();
        assert_eq!(received.len(), 1);
        let now = Timestamp::now();
        let claim = claim(&task.message(), Isolation::Batched, now, now + 60 * MINUTE);
        let claimed = embedded
            .tasks()
            .write(&task.tenant, task.id, &claim)
            .await
            .unwrap();
        assert!(matches!(claimed, WriteOutcome::Applied(_)));
    }
    let embedded = open(folder.path()).unwrap();
    let found = embedded
        .tasks()
        .get(&task.tenant, task.id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((found.status, found.attempt), (Status::Pending, 0));
    let outcome = found.history_with_outcomes()[0].outcome;
    assert_eq!(outcome, Some(Outcome::Interrupted));
    let received = embedded
        .lane(lane)
        .receive(1, MINUTE, Duration::ZERO)
        .await
        .unwrap();
    assert_eq!(received[0].message.as_ref(), Some(&task.message()));
}
