//! A deployment without the library, or with a damaged one. Alone in its process, where the library is not open yet.
#![allow(clippy::unwrap_used, reason = "a test may")]

use mesh_models::{LoadError, SentimentModel};

#[test]
fn it_is_an_error_and_no_panic() {
    let assets = std::path::PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("no-runtime");
    std::fs::create_dir_all(assets.join("lib")).unwrap();
    let library = assets.join("lib/libonnxruntime.so");
    let _ = std::fs::remove_file(&library);
    let error = SentimentModel::load(&assets).unwrap_err();
    assert!(
        matches!(&error, LoadError::Read { path, .. } if *path == library),
        "{error}"
    );

    std::fs::write(&library, b"no library").unwrap();
    let error = mesh_models::init(&assets).unwrap_err();
    assert!(matches!(error, LoadError::Runtime(_)), "{error}");
}
