//! Why an audio file is refused. The messages go to its sender: they name the limit and say what to do.

use std::fmt::Display;

use thiserror::Error;

use super::kind::AudioKind;
use crate::excerpt::excerpt;

/// An audio file that is refused, however often it is sent.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AudioError {
    /// The file is not audio, or its type or a feature of it is not supported.
    #[error("{found} is not supported: send a WAV, FLAC, MP3 or Ogg Vorbis file")]
    Unsupported {
        /// What the content looks like, as a noun phrase with its article.
        found: String,
    },
    /// The content violates its format. Most often the file is truncated.
    #[error("the {kind} file is damaged or cut short ({reason}): check the file and send it again")]
    Invalid {
        /// The type, by the file's first bytes.
        kind: AudioKind,
        /// The decoder's message, as an excerpt.
        reason: String,
    },
    /// The recording is too long. The length is taken from the header if it has one, else counted while decoding.
    #[error("the recording is longer than the limit of {limit} minutes: split it into parts and send each")]
    TooLong {
        /// The limit, in minutes.
        limit: u32,
    },
    /// The file exceeds another limit. Its header is checked before anything is decoded.
    #[error(
        "the recording has {size}, over the limit of {limit}: convert it to mono at 16 kHz and send it again"
    )]
    TooLarge {
        /// The file's size, sample rate or channels, with the unit.
        size: String,
        /// The limit for the same quantity.
        limit: String,
    },
}

impl AudioError {
    pub(super) fn invalid(kind: AudioKind, reason: impl Display) -> Self {
        Self::Invalid {
            kind,
            reason: excerpt(reason),
        }
    }
}
