//! Where things lie: everything that xtask writes is under the repo's `.local/` (and cargo's and SAM's own ignored
//! folders) or in the per-user cache.

use std::path::{Path, PathBuf};

/// The repo's root folder, absolute.
pub(crate) fn root() -> PathBuf {
    // Cargo sets it for `cargo xtask` to the folder of this package in the tree that was called, even if the binary
    // was built in another checkout that shares the target folder.
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    manifest
        .parent()
        .map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

/// Where cargo builds.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// The folder for all local state, ignored by git.
pub(crate) fn local() -> PathBuf {
    root().join(".local")
}

/// The log file of one step, for example `.local/logs/models-build.log`.
pub(crate) fn log(step: &str) -> PathBuf {
    local().join("logs").join(format!("{step}.log"))
}

/// The assets (libraries and models) that the functions are packed with.
pub(crate) fn assets() -> PathBuf {
    local().join("assets")
}

/// The artifacts that `sam build` makes from the template: release, x86_64, as they go to AWS.
pub(crate) fn release_artifacts() -> PathBuf {
    root().join(".aws-sam").join("build")
}

/// The same artifacts built quickly and with the test faults compiled in; never deployed to AWS.
pub(crate) fn fault_artifacts() -> PathBuf {
    local().join("build").join("faults")
}

/// A path as a person in the repo would type it.
pub(crate) fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}
