//! The functions' log, as the local cloud keeps it.

use crate::setting;

/// How many lines hold all of these words.
///
/// # Panics
/// When the log can't be read.
#[must_use]
pub fn times_logged(words: &[&str]) -> usize {
    let path = setting("AI_MESH_CLOUD_LOG");
    let log = std::fs::read(&path).unwrap_or_else(|error| panic!("{path} can't be read: {error}"));
    String::from_utf8_lossy(&log)
        .lines()
        .filter(|line| words.iter().all(|word| line.contains(word)))
        .count()
}
