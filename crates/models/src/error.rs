//! The errors of this crate, by who can fix the cause: the operator ([`LoadError`]), the sender of the input
//! ([`ModelError::Input`]), or neither ([`ModelError::Inference`]).

use std::path::PathBuf;

use thiserror::Error;

use crate::image::ImageError;
use crate::speech::AudioError;

/// Why a model can't be loaded: the deployment is incomplete, or its files do not belong together.
///
/// No client input causes a `LoadError`.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LoadError {
    /// A file is absent or can't be read.
    #[error("can't read {}: {source}", path.display())]
    Read {
        /// The path of the file, under the assets' folder.
        path: PathBuf,
        /// The operating system's error, such as "not found".
        source: std::io::Error,
    },
    /// The ONNX Runtime library exists, but it is damaged, for another platform or too old.
    #[error("can't start ONNX Runtime: {0}")]
    Runtime(String),
    /// The model file is damaged, or it is another model than the code expects.
    #[error("can't load the model {}: {reason}", path.display())]
    Model {
        /// The path of the model file.
        path: PathBuf,
        /// The message of ONNX Runtime, or of the check of inputs and outputs.
        reason: String,
    },
    /// The tokenizer's file is damaged, or defines a tokenizer of an unsupported kind.
    #[error("can't load the tokenizer {}: {reason}", path.display())]
    Tokenizer {
        /// The path of the tokenizer's file.
        path: PathBuf,
        /// The parser's message, or what the file lacks.
        reason: String,
    },
}

/// Why a model returned no result.
#[derive(Debug, Error)]
pub enum ModelError {
    /// The input is invalid: the same input fails the same way every time. The message is meant for the sender.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The [`Interrupt`](crate::Interrupt) ended the run. The model can be used again at once.
    #[error("interrupted before there was a result")]
    Interrupted,
    /// The run failed. The message is for a log, not for the sender. A retry may help, for example if memory was short.
    #[error("inference failed: {0}")]
    Inference(String),
}

/// An input that no model accepts, however often it is sent.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum InputError {
    /// The input of a model that reads an image file.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The input of a model that reads an audio file.
    #[error(transparent)]
    Audio(#[from] AudioError),
}

impl From<ImageError> for ModelError {
    fn from(error: ImageError) -> Self {
        Self::Input(error.into())
    }
}

impl From<AudioError> for ModelError {
    fn from(error: AudioError) -> Self {
        Self::Input(error.into())
    }
}
