//! What the tests of this crate share.

use std::path::PathBuf;

/// The assets that `cargo xtask models` made, or those that `AI_MESH_ASSETS` names.
pub(crate) fn assets() -> PathBuf {
    match std::env::var_os("AI_MESH_ASSETS") {
        Some(folder) => folder.into(),
        None => PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../.local/assets")),
    }
}

/// A picture from the assets' test data.
pub(crate) fn picture(name: &str) -> Vec<u8> {
    let path = assets().join("testdata").join(name);
    std::fs::read(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; run `cargo xtask models`", path.display()))
}
