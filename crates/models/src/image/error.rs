//! Why an image file is refused. The messages go to its sender: they name the limit and say what to do.

use std::fmt::Display;

use thiserror::Error;

use super::ImageKind;
use crate::excerpt::excerpt;

/// An image file that is refused, however often it is sent.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ImageError {
    /// The file is not an image, or its type or a feature of it is not supported.
    #[error("{found} is not supported: send a JPEG, PNG, WebP, GIF or BMP image")]
    Unsupported {
        /// What the content looks like, as a noun phrase with its article.
        found: String,
    },
    /// The content violates its format. Most often the file is truncated.
    #[error("the {kind} image is damaged or cut short ({reason}): check the file and send it again")]
    Invalid {
        /// The type, by the file's first bytes.
        kind: ImageKind,
        /// The decoder's message, as an excerpt.
        reason: String,
    },
    /// The image exceeds a limit. Its header is checked before anything is decoded.
    #[error("the image has {size}, over the limit of {limit}: scale it down and send it again")]
    TooLarge {
        /// The image's size, with the unit.
        size: String,
        /// The limit, with the unit.
        limit: String,
    },
}

impl ImageError {
    pub(super) fn invalid(kind: ImageKind, reason: impl Display) -> Self {
        Self::Invalid {
            kind,
            reason: excerpt(reason),
        }
    }

    pub(super) fn too_large(size: impl Into<String>, limit: impl Into<String>) -> Self {
        Self::TooLarge {
            size: size.into(),
            limit: limit.into(),
        }
    }
}
