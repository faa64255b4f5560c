//! Which model gave an answer. A result that names its model can be told from one of the next release.

use std::fmt;

/// A model and the very file of it that is meant, as `models/manifest.toml` pins it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ModelId {
    /// The model's name; it stays when the weights change.
    pub name: &'static str,
    /// The first 12 hexadecimal digits of the model file's sha256; it changes with every byte.
    pub version: &'static str,
}

impl fmt::Display for ModelId {
    /// `name@version`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.version)
    }
}
