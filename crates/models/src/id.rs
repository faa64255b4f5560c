//! The name and version of a model. Each result states them, so that results of different releases can be distinguished.

use std::fmt;

/// A model and its version, as `models/manifest.toml` pins it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ModelId {
    /// The model's name, which does not change with the weights.
    pub name: &'static str,
    /// The first 12 hexadecimal digits of the model file's sha256.
    pub version: &'static str,
}

impl fmt::Display for ModelId {
    /// Formats as `name@version`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.version)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use serde::Deserialize;

    use super::*;
    use crate::{FaceDetector, OcrModel, SentimentModel, SpeechVariant, TextModel};

    /// Every model with its asset. Add a line for each new model.
    const MODELS: [(ModelId, &str); 6] = [
        (SentimentModel::ID, "models/sentiment/model.ort"),
        (TextModel::ID, "models/minilm/model.ort"),
        (FaceDetector::ID, "models/centerface/model.onnx"),
        (OcrModel::ID, "models/ocr/rec.onnx"),
        (SpeechVariant::Base.id(), "models/whisper/base/decoder.ort"),
        (SpeechVariant::TinyEn.id(), "models/whisper/tiny.en/decoder.ort"),
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
    fn every_version_matches_the_manifest() {
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
