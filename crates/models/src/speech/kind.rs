//! The supported types of audio files.

use std::fmt;

/// A supported type of audio file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AudioKind {
    /// WAV with PCM (8 to 32 bits, floating point), A-law or µ-law.
    Wav,
    /// FLAC, without an Ogg container.
    Flac,
    /// MPEG audio of layer III only.
    Mp3,
    /// Vorbis in an Ogg container.
    Ogg,
}

impl AudioKind {
    /// The media type, e.g. `audio/flac`.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Wav => "audio/wav",
            Self::Flac => "audio/flac",
            Self::Mp3 => "audio/mpeg",
            Self::Ogg => "audio/ogg",
        }
    }
}

impl fmt::Display for AudioKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Wav => "WAV",
            Self::Flac => "FLAC",
            Self::Mp3 => "MP3",
            Self::Ogg => "Ogg",
        })
    }
}
