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

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use serde::Deserialize;

    use super::*;
    use crate::{FaceDetector, SentimentModel};

    /// Every model, and the asset that it is. A new model gets a line here.
    const MODELS: [(ModelId, &str); 2] = [
        (SentimentModel::ID, "models/sentiment/model.ort"),
        (FaceDetector::ID, "models/centerface/model.onnx"),
    ];

    #[derive(Deserialize)]
    struct Manifest {
        asset: Vec<Asset>,
    }

    #[derive(Deserialize)]
    struct Asset {
        path: String,
        sha256: String,
    }

    #[test]
    fn every_version_is_the_manifest_s() {
        let manifest: Manifest = toml::from_str(include_str!("../../../models/manifest.toml")).unwrap();
        let pinned: HashMap<_, _> = manifest
            .asset
            .into_iter()
            .map(|asset| (asset.path, asset.sha256))
            .collect();
        for (id, asset) in MODELS {
            assert_eq!(
                Some(id.version),
                pinned.get(asset).map(|sha256| &sha256[..12]),
                "{}: {asset} has another version in models/manifest.toml",
                id.name
            );
        }
    }
}
