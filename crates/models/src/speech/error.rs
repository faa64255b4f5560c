//! Why a sound is not taken. The texts go to whoever sent it: they name the limit and say what to do.

use std::fmt::Display;

use thiserror::Error;

use super::audio::AudioKind;

/// A sound that can't be taken, however often it is sent.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AudioError {
    /// Not a sound, or of a type (or with a feature of its type) that is not decoded here.
    #[error("{found} can't be taken: send a WAV, FLAC, MP3 or Ogg Vorbis file")]
    Unsupported {
        /// What the content looks like, with its article.
        found: String,
    },
    /// The content does not keep to its own format: most often a file cut short.
    #[error("the {kind} file is damaged or cut short ({reason}): check the file and send it again")]
    Invalid {
        /// The type that its first bytes claim.
        kind: AudioKind,
        /// What the decoder stumbled over.
        reason: String,
    },
    /// It plays for too long; found from its head if that tells, else while it is decoded.
    #[error(
        "the sound lasts longer than the {limit} minutes that are taken: cut it into parts and send each"
    )]
    TooLong {
        /// The most minutes that are taken.
        limit: u32,
    },
    /// Over one of the other limits; found before anything is decoded.
    #[error(
        "the sound has {size}, more than the {limit} that are taken: convert it to mono at 16 kHz and send it again"
    )]
    TooLarge {
        /// What it has, with the unit.
        size: String,
        /// What it may have, with the unit.
        limit: String,
    },
}

impl AudioError {
    /// The code of this kind of error, part of the API's contract: `unsupported_audio_type`, `invalid_audio`,
    /// `audio_too_long` or `audio_too_large`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unsupported { .. } => "unsupported_audio_type",
            Self::Invalid { .. } => "invalid_audio",
            Self::TooLong { .. } => "audio_too_long",
            Self::TooLarge { .. } => "audio_too_large",
        }
    }

    pub(super) fn invalid(kind: AudioKind, reason: impl Display) -> Self {
        Self::Invalid {
            kind,
            reason: crate::error::brief(reason),
        }
    }
}
