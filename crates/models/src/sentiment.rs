//! Sentiment of short English texts: MiniLM with one output, trained by `models/train`.
//!
//! Its output is `logit`, float32 `[batch]`: sigmoid(logit) is the probability of "positive".

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::encoder::Encoder;
use crate::{Interrupt, LoadError, ModelError, ModelId};

const MODEL: &str = "models/sentiment/model.ort";

/// A logit nearer to zero than this is NEUTRAL: a probability within 0.03 of a half. Chosen on the dev split; the
/// model's card says how.
const NEUTRAL_BAND: f32 = 0.12;

/// How the author of a text feels, as far as the text tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum SentimentLabel {
    /// Pleased.
    Positive,
    /// Displeased.
    Negative,
    /// Too near to the border to call: `|logit|` under a narrow band, see the model's card.
    Neutral,
}

/// A label and how sure the model is of it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sentiment {
    /// The verdict.
    pub label: SentimentLabel,
    /// Confidence in the label, 0 to 1. With p = sigmoid(logit), the probability of "positive": p when positive,
    /// 1 - p when negative (both over a half), and 1 - |2p - 1| when neutral (1 in the very middle).
    pub score: f32,
    /// p
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

/// The sentiment model and its tokenizer. Share one per process; calls from several threads take turns.
#[derive(Debug)]
pub struct SentimentModel {
    encoder: Encoder,
}

impl SentimentModel {
    /// Changes with `models/manifest.toml`.
    pub const ID: ModelId = ModelId {
        name: "minilm-sentiment",
        version: "be82d7670691",
    };

    /// Loads `models/sentiment/` under `assets`, and the tokenizer unless another text model holds it already.
    ///
    /// # Errors
    /// [`LoadError`] when a file is absent or damaged; never because of load or of anything that passes.
    pub fn load(assets: &Path) -> Result<Self, LoadError> {
        Ok(Self {
            encoder: Encoder::load(assets, MODEL, "logit", 1)?,
        })
    }

    /// Classifies texts, in their order, one result for each. Blocks; call it off the async threads.
    ///
    /// A text's answer does not depend on the others. Only its first 256 tokens (some 200 words) count: the model was
    /// trained on as many. A text without a word gets a result that means nothing.
    ///
    /// # Errors
    /// [`ModelError::Interrupted`] once `interrupt` is triggered, before or during the run: then there are no results
    /// at all. [`ModelError::Inference`] if ONNX Runtime fails. Never [`ModelError::Input`]: any text is valid.
    pub fn classify(&self, texts: &[&str], interrupt: &Interrupt) -> Result<Vec<Sentiment>, ModelError> {
        interrupt.check()?;
        let logits = self.logits(texts, interrupt)?;
        Ok(logits.into_iter().map(Sentiment::from_logit).collect())
    }

    fn logits(&self, texts: &[&str], interrupt: &Interrupt) -> Result<Vec<f32>, ModelError> {
        let mut tokens = Vec::with_capacity(texts.len());
        for text in texts {
            interrupt.check()?;
            tokens.push(self.encoder.tokenizer.ids(text)?);
        }
        self.encoder.run(&tokens, interrupt)
    }
}

#[cfg(test)]
mod tests;
