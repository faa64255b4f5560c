//! Text from a decoder's error, shortened for an error message.

use std::fmt::Display;

/// The maximum length of an excerpt, in characters.
const MAX_CHARS: usize = 120;

/// The reason without control characters, cut to fit a sentence: a decoder may quote the file.
pub(crate) fn excerpt(reason: impl Display) -> String {
    let reason = reason.to_string();
    reason
        .chars()
        .filter(|c| !c.is_control())
        .take(MAX_CHARS)
        .collect()
}
