//! What can go wrong, told apart by who can mend it: whoever deployed (`LoadError`), whoever sent the input
//! (`ModelError::Input`), or nobody (`ModelError::Inference`).

use std::path::PathBuf;

use thiserror::Error;

use crate::image::ImageError;
use crate::speech::AudioError;

/// A model could not be made ready: the deployment is incomplete or its parts do not fit each other.
///
/// Nothing that a client sends causes one.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LoadError {
    /// A file is absent or can't be read.
    #[error("can't read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The ONNX Runtime library is there but was refused: damaged, of another platform or too old.
    #[error("can't start ONNX Runtime: {0}")]
    Runtime(String),
    /// The model file is damaged or not the model that the code was written for.
    #[error("can't load the model {}: {reason}", path.display())]
    Model {
        /// The model file.
        path: PathBuf,
        /// What ONNX Runtime, or the check of inputs and outputs, says.
        reason: String,
    },
    /// The tokenizer's file is damaged, or of a kind that this code does not build.
    #[error("can't load the tokenizer {}: {reason}", path.display())]
    Tokenizer {
        /// The tokenizer's file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// A model gave no answer.
#[derive(Debug, Error)]
pub enum ModelError {
    /// The input can't be taken. The same input fails the same way every time; the text is meant for the sender.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The [`Interrupt`](crate::Interrupt) ended the run. The model can be used again at once.
    #[error("interrupted before there was an answer")]
    Interrupted,
    /// The run itself failed; the text is for a log, not for the sender. Trying again may help (memory).
    #[error("inference failed: {0}")]
    Inference(String),
}

/// An input that can't be taken, however often it is sent.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum InputError {
    /// An image.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// A sound.
    #[error(transparent)]
    Audio(#[from] AudioError),
}

impl InputError {
    /// The code of this kind of error, part of the API's contract; see [`ImageError::code`] and [`AudioError::code`].
    pub fn code(&self) -> &'static str {
        match self {
            Self::Image(error) => error.code(),
            Self::Audio(error) => error.code(),
        }
    }
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

/// What a decoder says of a file, cut to what fits a sentence: it may quote the file.
pub(crate) fn brief(reason: impl std::fmt::Display) -> String {
    let reason = reason.to_string();
    reason.chars().filter(|c| !c.is_control()).take(120).collect()
}
