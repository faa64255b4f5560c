//! Transcribes speech with Whisper (Radford et al., "Robust Speech Recognition via Large-Scale Weak Supervision", 2022,
//! <https://arxiv.org/abs/2212.04356>).
//!
//! An audio file is decoded to mono at 16 kHz ([`audio`]). Stretches without speech are skipped by their loudness (`level`).
//! The rest is encoded in windows of 30 seconds (`window`, `mel`, `network`), and each window is decoded token by token, with
//! timestamps (`decode`). A window's text is not context for the next one: Whisper supports that, but then repeats its
//! mistakes and gets into loops.

pub mod audio;
mod container;
mod decode;
mod error;
mod kind;
mod level;
mod mel;
mod metadata;
mod network;
mod resample;
#[cfg(test)]
mod tests;
mod vocabulary;
mod window;

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::runtime;
use crate::{Interrupt, LoadError, ModelError, ModelId};
use decode::Decoder;
use mel::Mel;
use network::Network;
use vocabulary::Vocabulary;

pub use error::AudioError;
pub use window::Segment;

/// The sizes of Whisper that the assets include.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SpeechVariant {
    /// The multilingual model: 74 million weights, 99 languages.
    Base,
    /// The smaller model: 39 million weights, English only.
    TinyEn,
}

/// The name is not that of a variant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown speech model: expected base or tiny.en")]
pub struct UnknownSpeechVariant;

impl std::str::FromStr for SpeechVariant {
    type Err = UnknownSpeechVariant;

    fn from_str(name: &str) -> Result<Self, UnknownSpeechVariant> {
        match name {
            "base" => Ok(Self::Base),
            "tiny.en" => Ok(Self::TinyEn),
            _ => Err(UnknownSpeechVariant),
        }
    }
}

impl SpeechVariant {
    fn folder(self) -> &'static str {
        match self {
            Self::Base => "models/whisper/base",
            Self::TinyEn => "models/whisper/tiny.en",
        }
    }

    /// The number of layers of the decoder, and of attention heads in each.
    fn shape(self) -> (usize, usize) {
        match self {
            Self::Base => (6, 8),
            Self::TinyEn => (4, 6),
        }
    }

    /// The model and its version, which is the decoder's. It has to match `models/manifest.toml`; a test compares them.
    pub const fn id(self) -> ModelId {
        match self {
            Self::Base => ModelId {
                name: "whisper-base",
                version: "ba4cd493579a",
            },
            Self::TinyEn => ModelId {
                name: "whisper-tiny.en",
                version: "82894ac29839",
            },
        }
    }
}

/// The transcript of a recording.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Transcript {
    /// The text of all segments; empty if there is no speech.
    pub text: String,
    /// The language of the first words, as an ISO 639-1 code (`haw` for Hawaiian, which has none). `None` if there is no
    /// speech.
    pub language: Option<String>,
    /// The same text in segments with times, in order.
    pub segments: Vec<Segment>,
    /// The length of the recording, in seconds.
    pub duration: f32,
}

/// A speech recognizer. Use one per process: the steps of concurrent calls run one after another.
pub struct SpeechModel {
    variant: SpeechVariant,
    network: Network,
    vocabulary: Vocabulary,
    mel: Mel,
}

impl SpeechModel {
    /// Loads `models/whisper/<variant>/` under `assets`.
    ///
    /// # Errors
    /// [`LoadError`] when a file is absent or damaged. A retry gives the same error.
    pub fn load(assets: &Path, variant: SpeechVariant) -> Result<Self, LoadError> {
        let folder = assets.join(variant.folder());
        let (layers, heads) = variant.shape();
        std::thread::scope(|scope| {
            let vocabulary = scope.spawn(|| Vocabulary::load(folder.join("vocabulary.json")));
            runtime::init(assets)?;
            let network = Network::load(&folder, layers, heads)?;
            let vocabulary = vocabulary
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            Ok(Self {
                variant,
                network,
                vocabulary,
                mel: Mel::new(),
            })
        })
    }

    /// The name and version of the loaded variant.
    pub fn id(&self) -> ModelId {
        self.variant.id()
    }

    /// Transcribes an audio file of up to [`audio::MAX_MINUTES`]. Blocks: do not call it on an async thread.
    ///
    /// # Errors
    /// [`ModelError::Input`] for a file that [`audio`] refuses. [`ModelError::Interrupted`] once `interrupt` is
    /// triggered, before or during the work. [`ModelError::Inference`] if ONNX Runtime fails.
    pub fn transcribe(&self, audio: &[u8], interrupt: &Interrupt) -> Result<Transcript, ModelError> {
        interrupt.check()?;
        let samples = audio::decode(audio, interrupt)?;
        let decoder = Decoder {
            network: &self.network,
            vocabulary: &self.vocabulary,
            interrupt,
        };
        let speech = window::transcribe(&samples, &self.mel, &decoder)?;
        let language = match speech.language {
            Some(index) => Some(self.vocabulary.languages[index].as_str()),
            None if speech.segments.is_empty() => None,
            None => Some("en"),
        };
        Ok(Transcript {
            text: speech.text,
            // Whisper's code for Javanese is older than the standard's.
            language: language.map(|code| if code == "jw" { "jv" } else { code }.to_owned()),
            segments: speech.segments,
            duration: samples.len() as f32 / audio::RATE as f32,
        })
    }
}

impl fmt::Debug for SpeechModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpeechModel")
            .field("variant", &self.variant)
            .finish_non_exhaustive()
    }
}
