//! Sentiment of short English texts: MiniLM with one output, trained by `models/train`.
//!
//! | tensor | type and shape | |
//! |---|---|---|
//! | `input_ids` | int64 `[batch, sequence]` | `sequence` at most 256 |
//! | `attention_mask` | int64 `[batch, sequence]` | 1 for a token, 0 for padding |
//! | `logit` | float32 `[batch]` | sigmoid(logit) is the probability of "positive" |

use std::path::Path;

use ndarray::Array2;
use ort::value::TensorRef;
use serde::{Deserialize, Serialize};

use crate::runtime::{self, Interrupt, Model};
use crate::tokenizer::BertTokenizer;
use crate::{LoadError, ModelError, ModelId};

const MODEL: &str = "models/sentiment/model.ort";
const TOKENIZER: &str = "models/sentiment/tokenizer.json";

/// What the model was trained on; longer texts are judged by their beginning.
const MAX_TOKENS: usize = 256;

/// A logit nearer to zero than this is NEUTRAL: a probability within 0.05 of a half. Chosen on the dev split; the
/// model's card says how.
const NEUTRAL_BAND: f32 = 0.2;

/// Most tokens of several texts in one run, padding included. From here on a larger run is no faster per token, only
/// larger in memory and later to heed an interrupt: 32 texts of 17 tokens take 90 ms one by one, 52 ms both at 256 and
/// at 1024.
const MAX_BATCH_TOKENS: usize = 256;
/// Most padding for a text. A run costs about as much as 12 tokens before it does anything.
const MAX_PADDING: usize = 8;

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
}

impl Sentiment {
    fn from_logit(logit: f32) -> Self {
        let positive = 1.0 / (1.0 + (-logit).exp());
        if logit.abs() < NEUTRAL_BAND {
            Self {
                label: SentimentLabel::Neutral,
                score: 1.0 - (2.0 * positive - 1.0).abs(),
            }
        } else if logit > 0.0 {
            Self {
                label: SentimentLabel::Positive,
                score: positive,
            }
        } else {
            Self {
                label: SentimentLabel::Negative,
                score: 1.0 - positive,
            }
        }
    }
}

/// The sentiment model and its tokenizer. Share one per process; calls from several threads take turns.
#[derive(Debug)]
pub struct SentimentModel {
    tokenizer: BertTokenizer,
    model: Model,
}

impl SentimentModel {
    /// Changes with `models/manifest.toml`.
    pub const ID: ModelId = ModelId {
        name: "minilm-sentiment",
        version: "b6f3d1f15b30",
    };

    /// Loads `models/sentiment/` under `assets`, session and tokenizer side by side.
    ///
    /// # Errors
    /// [`LoadError`] when a file is absent or damaged; never because of load or of anything that passes.
    pub fn load(assets: &Path) -> Result<Self, LoadError> {
        std::thread::scope(|scope| {
            let tokenizer = scope.spawn(|| BertTokenizer::load(assets.join(TOKENIZER), MAX_TOKENS));
            runtime::init(assets)?;
            let model = Model::load(assets.join(MODEL), &["input_ids", "attention_mask"], &["logit"])?;
            let tokenizer = tokenizer
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            Ok(Self { tokenizer, model })
        })
    }

    /// Classifies texts, in their order, one result for each. Blocks; call it off the async threads.
    ///
    /// Texts run in batches of like length, longest first, so that little is spent on padding. The company a text runs
    /// in does not change its answer: the model's int8 ranges are fixed, not taken from the batch. Only the first 256
    /// tokens (some 200 words) count; a text without a word gets a result that means nothing.
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
            tokens.push(self.tokenizer.ids(text)?);
        }
        let mut logits = vec![0.0; texts.len()];
        for batch in batches(&tokens) {
            for (&text, logit) in batch.iter().zip(self.run(&tokens, &batch, interrupt)?) {
                logits[text] = logit;
            }
        }
        Ok(logits)
    }

    /// Runs the texts of one batch together; `batch` holds indices into `tokens`.
    fn run(
        &self,
        tokens: &[Vec<i64>],
        batch: &[usize],
        interrupt: &Interrupt,
    ) -> Result<Vec<f32>, ModelError> {
        let longest = batch.iter().map(|&text| tokens[text].len()).max().unwrap_or(0);
        let mut ids = Array2::from_elem((batch.len(), longest), self.tokenizer.padding);
        let mut mask = Array2::<i64>::zeros((batch.len(), longest));
        for (row, &text) in batch.iter().enumerate() {
            for (column, &id) in tokens[text].iter().enumerate() {
                ids[(row, column)] = id;
                mask[(row, column)] = 1;
            }
        }
        let tensor = |values| TensorRef::from_array_view(values).map(Into::into);
        let inputs = vec![
            ("input_ids", tensor(&ids).map_err(runtime::failed)?),
            ("attention_mask", tensor(&mask).map_err(runtime::failed)?),
        ];
        self.model.run(inputs, interrupt, |outputs| {
            let (_, logits) = outputs["logit"].try_extract_tensor::<f32>()?;
            if logits.len() != batch.len() {
                return Err(ort::Error::new(format!(
                    "{} logits for {} texts",
                    logits.len(),
                    batch.len()
                )));
            }
            Ok(logits.to_vec())
        })
    }
}

/// Splits texts into batches of like length, as indices, the longest first.
fn batches(tokens: &[Vec<i64>]) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..tokens.len()).collect();
    order.sort_by_key(|&text| std::cmp::Reverse(tokens[text].len()));
    let mut batches: Vec<Vec<usize>> = Vec::new();
    for text in order {
        match batches.last_mut() {
            Some(batch) if fits(tokens[batch[0]].len(), batch.len(), tokens[text].len()) => batch.push(text),
            _ => batches.push(vec![text]),
        }
    }
    batches
}

/// Whether a text joins a batch of so many rows, which are as long as its longest text.
fn fits(longest: usize, rows: usize, length: usize) -> bool {
    longest * (rows + 1) <= MAX_BATCH_TOKENS && longest - length <= MAX_PADDING
}

#[cfg(test)]
mod tests;
