//! Speech to text with Whisper (Radford et al., "Robust Speech Recognition via Large-Scale Weak Supervision", 2022,
//! <https://arxiv.org/abs/2212.04356>).
//!
//! A sound file is decoded to mono at 16 kHz ([`audio`]), stretches without speech are left out by their loudness
//! (`level`), the rest is heard in windows of 30 seconds (`window`, `mel`), and each window's words are decoded token by
//! token (`decode`), with the times at which they are said. What was said in one window does not bear on the next:
//! Whisper can take that as context, but then repeats its mistakes and falls into loops.

pub mod audio;
mod container;
mod decode;
mod error;
mod level;
mod mel;
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

/// The sizes of Whisper that the assets hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SpeechVariant {
    /// 74 million weights, 99 languages.
    Base,
    /// 39 million weights, English alone.
    TinyEn,
}

/// No variant has that name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no speech model is named so: base and tiny.en are")]
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

    /// Layers of the decoder and heads of each.
    fn shape(self) -> (usize, usize) {
        match self {
            Self::Base => (6, 8),
            Self::TinyEn => (4, 6),
        }
    }

    /// The model and its version, which is the decoder's. Changes with `models/manifest.toml`.
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

/// What was said in a sound.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Transcript {
    /// All of it; empty if nobody speaks.
    pub text: String,
    /// The language by its code of ISO 639-1 (Hawaiian, which has none: `haw`), as the first words tell; None if nobody
    /// speaks.
    pub language: Option<String>,
    /// The same text with its times, in their order.
    pub segments: Vec<Segment>,
    /// How long the sound lasts, in seconds.
    pub duration: f32,
}

/// A speech recognizer. Share one per process; calls from several threads take turns at every step.
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
    /// [`LoadError`] when a file is absent or damaged; never because of load or of anything that passes.
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

    /// Which model this is.
    pub fn id(&self) -> ModelId {
        self.variant.id()
    }

    /// Writes down what is said in a sound file of up to [`audio::MAX_MINUTES`]. Blocks; call it off the async threads.
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
        let speech = window::decode(&samples, &self.mel, &decoder)?;
        let language = match speech.language {
            Some(index) => Some(self.vocabulary.languages[index].as_str()),
            None if speech.segments.is_empty() => None,
            None => Some("en"),
        };
        Ok(Transcript {
            text: speech.text,
            // Whisper's name for Javanese is older than the standard.
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
