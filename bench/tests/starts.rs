//! The bench starts functions as Lambda does. Its test needs the built functions, which `cargo xtask test` names.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn variable(name: &str) -> PathBuf {
    std::env::var_os(name)
        .unwrap_or_else(|| panic!("{name} is not set: run `cargo xtask test -- NAME`"))
        .into()
}

#[test]
fn each_function_starts_with_what_the_template_gives_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folder = tempfile::tempdir().unwrap();
    let functions = folder.path().join("functions.json");
    let declared = Command::new(variable("AI_MESH_PYTHON"))
        .args(["-m", "localstack.functions"])
        .current_dir(&root)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(declared.status.success());
    std::fs::write(&functions, declared.stdout).unwrap();

    let started = Command::new(env!("CARGO_BIN_EXE_mesh-bench"))
        .arg("starts")
        .arg("--artifacts")
        .arg(variable("AI_MESH_ARTIFACTS"))
        .arg("--assets")
        .arg(variable("AI_MESH_ASSETS"))
        .arg("--functions")
        .arg(&functions)
        .arg("--bench")
        .arg(root.join("bench"))
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(started.status.success());
    assert_eq!(String::from_utf8(started.stdout).unwrap().lines().count(), 8);
}
