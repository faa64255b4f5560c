//! The functions' log, as the local cloud keeps it.

use serde_json::Value;

use crate::setting;

/// The entries whose line holds all of these words.
///
/// # Panics
/// When the log can't be read.
#[must_use]
pub fn logged(words: &[&str]) -> Vec<Value> {
    text()
        .lines()
        .filter(|line| words.iter().all(|word| line.contains(word)))
        .filter_map(|line| serde_json::from_str(&line[line.find('{')?..]).ok())
        .collect()
}

/// Whether any line of the functions and of the local cloud itself has this word in it.
///
/// # Panics
/// When the log can't be read.
#[must_use]
pub fn is_in_log(word: &str) -> bool {
    text().contains(word)
}

fn text() -> String {
    let path = setting("AI_MESH_CLOUD_LOG");
    let log = std::fs::read(&path).unwrap_or_else(|error| panic!("{path} can't be read: {error}"));
    String::from_utf8_lossy(&log).into_owned()
}
