//! Classifies the sentiment of short English texts, with a MiniLM that `models/train` trained.
//!
//! The model's output is `logit`, float32 `[batch]`: sigmoid(logit) is the probability of "positive".

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::encoder::Encoder;
use crate::{Interrupt, LoadError, ModelError, ModelId, Steps};

const MODEL: &str = "models/sentiment/model.ort";

/// A logit closer to zero than this is NEUTRAL: a probability within 0.03 of a half. Chosen on the dev split, as the
/// model's card describes.
const NEUTRAL_BAND: f32 = 0.12;

/// The attitude that a text expresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum SentimentLabel {
    /// The author is pleased, by the logit's sign.
    Positive,
    /// The author is displeased, by the logit's sign.
    Negative,
    /// The logit is too close to zero to decide; the model's card describes the band.
    Neutral,
}

/// The model's output for one text.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sentiment {
    /// By the sign of the logit, or neutral.
    pub label: SentimentLabel,
    /// The confidence in the label, 0 to 1. With p = sigmoid(logit), it is p for positive and 1 - p for negative (both over a
    /// half), and 1 - |2p - 1| for neutral (1 at a logit of 0).
    pub score: f32,
    /// The probability of "positive", p, 0 to 1.
    pub positive: f32,
}

impl Sentiment {
    fn from_logit(logit: f32) -> Self {
        let positive = 1.0 / (1.0 + (-logit).exp());
        let (label, score) = if logit.abs() < NEUTRAL_BAND {
            (SentimentLabel::Neutral, 1.0 - (2.0 * positive - 1.0).abs())
        } else if logit > 0.0 {
            (SentimentLabel::Positive, positive)
        } else {
            (SentimentLabel::Negative, 1.0 - positive)
        };
        Self {
            label,
            score,
            positive,
        }
    }
}

/// The sentiment model and its tokenizer. Use one per process: concurrent calls run one after another.
#[derive(Debug)]
pub struct SentimentModel {
    encoder: Encoder,
}

impl SentimentModel {
    /// The version has to match `models/manifest.toml`; a test compares them.
    pub const ID: ModelId = ModelId {
        name: "minilm-sentiment",
        version: "be82d7670691",
    };

    /// Loads `models/sentiment/` under `assets`, and the tokenizer unless another text model has loaded it.
    ///
    /// # Errors
    /// [`LoadError`] when a file is absent or damaged. A retry gives the same error.
    pub fn load(assets: &Path) -> Result<Self, LoadError> {
        Ok(Self {
            encoder: Encoder::load(assets, MODEL, "logit", 1)?,
        })
    }

    /// Classifies texts: one result for each, in their order. Blocks: do not call it on an async thread.
    ///
    /// A text's result does not depend on the others. Only its first 256 tokens (about 200 words) count, as in training. The
    /// result for a text without words is meaningless.
    ///
    /// # Errors
    /// [`ModelError::Interrupted`] once `interrupt` is triggered, before or during the run; no text has a
    /// result then. [`ModelError::Inference`] if ONNX Runtime fails. Never [`ModelError::Input`]: any text is valid.
    pub fn classify(&self, texts: &[&str], interrupt: &Interrupt) -> Result<Vec<Sentiment>, ModelError> {
        interrupt.check()?;
        let logits = self.logits(texts, interrupt)?;
        Ok(logits.into_iter().map(Sentiment::from_logit).collect())
    }

    fn logits(&self, texts: &[&str], interrupt: &Interrupt) -> Result<Vec<f32>, ModelError> {
        let tokens = self.tokens(texts, &Steps::new(interrupt))?;
        self.encoder.run(&tokens, interrupt)
    }

    fn tokens(&self, texts: &[&str], steps: &Steps<'_>) -> Result<Vec<Vec<i64>>, ModelError> {
        let tokenizer = &self.encoder.tokenizer;
        texts.iter().map(|text| tokenizer.ids(text, steps)).collect()
    }
}

#[cfg(test)]
mod tests;
