//! Why an image is not taken. The texts go to whoever sent it: they name the limit and say what to do.

use std::fmt::Display;

use thiserror::Error;

use super::ImageKind;

/// An image that can't be taken, however often it is sent.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ImageError {
    /// Not an image, or of a type (or with a feature of its type) that is not decoded here.
    #[error("{found} can't be taken: send a JPEG, PNG, WebP, GIF or BMP image")]
    Unsupported {
        /// What the content looks like, with its article.
        found: String,
    },
    /// The content does not keep to its own format: most often a file cut short.
    #[error("the {kind} image is damaged or cut short ({reason}): check the file and send it again")]
    Invalid {
        /// The type that its first bytes claim.
        kind: ImageKind,
        /// What the decoder stumbled over.
        reason: String,
    },
    /// Over one of the limits; found from its head, before anything is decoded.
    #[error("the image has {size}, more than the {limit} that are taken: scale it down and send it again")]
    TooLarge {
        /// What it has, with the unit.
        size: String,
        /// What it may have, with the unit.
        limit: String,
    },
}

impl ImageError {
    /// The code of this kind of error, part of the API's contract: `unsupported_image_type`, `invalid_image` or
    /// `image_too_large`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unsupported { .. } => "unsupported_image_type",
            Self::Invalid { .. } => "invalid_image",
            Self::TooLarge { .. } => "image_too_large",
        }
    }

    pub(super) fn invalid(kind: ImageKind, reason: impl Display) -> Self {
        Self::Invalid {
            kind,
            reason: crate::error::brief(reason),
        }
    }

    pub(super) fn too_large(size: impl Into<String>, limit: impl Into<String>) -> Self {
        Self::TooLarge {
            size: size.into(),
            limit: limit.into(),
        }
    }
}
