//! A deployment without the ONNX Runtime library, or with a damaged one. It is the only test of its process, since the library
//! must not be loaded yet.
#![allow(clippy::unwrap_used, reason = "a test may")]

use mesh_models::{LoadError, SentimentModel};

#[test]
fn missing_or_damaged_library_is_an_error() {
    let assets = std::path::PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("no-runtime");
    std::fs::create_dir_all(assets.join("lib")).unwrap();
    let library = assets.join("lib/libonnxruntime.so");
    let _ = std::fs::remove_file(&library);
    let error = SentimentModel::load(&assets).unwrap_err();
    assert!(
        matches!(&error, LoadError::Read { path, .. } if *path == library),
        "{error}"
    );

    std::fs::write(&library, b"not a library").unwrap();
    let error = mesh_models::init(&assets).unwrap_err();
    assert!(matches!(error, LoadError::Runtime(_)), "{error}");
}
