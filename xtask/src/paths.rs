//! The paths that xtask uses. It writes only to the repository's `.local/`, to the ignored folders of cargo and SAM,
//! and to the per-user cache.

use std::path::{Path, PathBuf};

/// The repository's root, absolute.
pub(crate) fn root() -> PathBuf {
    // `cargo xtask` sets it to the folder of this package in the tree of the call. A binary that was built in another
    // checkout with the same target folder would contain that checkout's path.
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    manifest
        .parent()
        .map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// The folder for all local state. Git ignores it.
pub(crate) fn local() -> PathBuf {
    root().join(".local")
}

/// The log file of one step, for example `.local/logs/models-build.log`.
pub(crate) fn log(step: &str) -> PathBuf {
    local().join("logs").join(format!("{step}.log"))
}

/// The libraries and models that are packaged with the functions.
pub(crate) fn assets() -> PathBuf {
    local().join("assets")
}

/// The functions' folders from `sam build`: release profile, x86_64, as deployed to AWS.
pub(crate) fn release_artifacts() -> PathBuf {
    root().join(".aws-sam").join("build")
}

/// The functions' folders in the dev profile with fault injection. They are never deployed to AWS.
pub(crate) fn fault_artifacts() -> PathBuf {
    local().join("build").join("faults")
}

/// A path relative to the repository's root, for messages.
pub(crate) fn display(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}
