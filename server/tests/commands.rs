//! The commands of the server that copy and check a data folder, as processes.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::fs;
use std::path::Path;
use std::process::Command;

use mesh_embedded::{Embedded, Settings};
use mesh_task::testing;

/// Runs a command, and returns whether it succeeded and what it printed.
fn run(arguments: &[&str], paths: &[&Path]) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mesh-server"));
    let output = command.args(arguments).args(paths).output().unwrap();
    let printed = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    (output.status.success(), printed.concat())
}

fn open(data: &Path) -> Embedded {
    let settings = Settings {
        address: "http://127.0.0.1:8000".to_owned(),
        max_receives: 3,
    };
    Embedded::open(data, settings).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_made_beside_a_server_and_restored_and_damage_ends_a_command_with_an_error() {
    let folders = tempfile::tempdir().unwrap();
    let [data, copy, restored] = ["data", "copy", "restored"].map(|name| folders.path().join(name));
    let embedded = open(&data);
    let task = testing::task();
    let stored = embedded.payload_store();
    let result = stored.put_result(&task, b"{}".to_vec()).await.unwrap();

    let (succeeded, printed) = run(&["backup", "--data"], &[&data, &copy]);
    assert!(succeeded && printed.contains("1 payloads"), "{printed}");
    let (succeeded, printed) = run(&["restore", "--data"], &[&data, &copy]);
    let own = std::process::id().to_string();
    assert!(!succeeded && printed.contains(&own), "{printed}");
    let (succeeded, printed) = run(&["--data"], &[&restored, Path::new("restore"), &copy]);
    assert!(succeeded, "{printed}");
    let (succeeded, printed) = run(&["check", "--data"], &[&restored]);
    assert!(succeeded && printed.contains("is whole"), "{printed}");

    fs::write(restored.join("payloads").join(&result.key), b"[]").unwrap();
    let (succeeded, printed) = run(&["check", "--data"], &[&restored]);
    assert!(!succeeded && printed.contains(&result.key), "{printed}");
    assert!(printed.contains("mesh-server restore BACKUP --data"), "{printed}");
}
