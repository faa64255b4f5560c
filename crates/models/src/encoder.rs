//! How texts go through a MiniLM model, whatever it tells of them: as token ids, in batches of like length, under an
//! interrupt.
//!
//! | tensor | type and shape | |
//! |---|---|---|
//! | `input_ids` | int64 `[batch, sequence]` | `sequence` at most 256 |
//! | `attention_mask` | int64 `[batch, sequence]` | 1 for a token, 0 for padding |
//! | the output | float32 `[batch]` or `[batch, width]` | named by the model |

use std::path::Path;
use std::sync::Arc;

use ndarray::Array2;
use ort::value::TensorRef;

use crate::runtime::{self, Interrupt, Model};
use crate::tokenizer::BertTokenizer;
use crate::{LoadError, ModelError};

/// Both text models have the vocabulary of their base model.
pub(crate) const TOKENIZER: &str = "models/minilm/tokenizer.json";

/// The positions that the base model was trained on.
pub(crate) const MAX_TOKENS: usize = 256;

/// Most tokens of several texts in one run, padding included. From here on a larger run is no faster per token, only
/// larger in memory and later to heed an interrupt: 32 texts of 17 tokens take 90 ms one by one, 52 ms both at 256 and
/// at 1024.
const MAX_BATCH_TOKENS: usize = 256;
/// Most padding for a text. A run costs about as much as 12 tokens before it does anything.
const MAX_PADDING: usize = 8;

/// A MiniLM model and its tokenizer.
#[derive(Debug)]
pub(crate) struct Encoder {
    pub(crate) tokenizer: Arc<BertTokenizer>,
    model: Model,
    output: &'static str,
    width: usize,
}

impl Encoder {
    /// Loads the model file under `assets`, session and tokenizer side by side. `output` gives `width` values a text.
    pub(crate) fn load(
        assets: &Path,
        model: &str,
        output: &'static str,
        width: usize,
    ) -> Result<Self, LoadError> {
        std::thread::scope(|scope| {
            let tokenizer = scope.spawn(|| BertTokenizer::shared(assets.join(TOKENIZER), MAX_TOKENS));
            runtime::init(assets)?;
            let model = Model::load(assets.join(model), &["input_ids", "attention_mask"], &[output])?;
            let tokenizer = tokenizer
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            Ok(Self {
                tokenizer,
                model,
                output,
                width,
            })
        })
    }

    /// What the model says of each text, in their order: `width` values after one another for each.
    ///
    /// Texts run in batches of like length, longest first, so that little is spent on padding. The company a text runs
    /// in does not change its answer: the model's int8 ranges are fixed, not taken from the batch.
    pub(crate) fn run(&self, tokens: &[Vec<i64>], interrupt: &Interrupt) -> Result<Vec<f32>, ModelError> {
        let mut values = vec![0.0; tokens.len() * self.width];
        for batch in batches(tokens) {
            let found = self.run_batch(tokens, &batch, interrupt)?;
            for (&text, found) in batch.iter().zip(found.chunks_exact(self.width)) {
                values[text * self.width..][..self.width].copy_from_slice(found);
            }
        }
        Ok(values)
    }

    /// Runs the texts of one batch together; `batch` holds indices into `tokens`.
    fn run_batch(
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
            let (_, values) = outputs[self.output].try_extract_tensor::<f32>()?;
            if values.len() != batch.len() * self.width {
                return Err(ort::Error::new(format!(
                    "{} values for {} texts of {} each",
                    values.len(),
                    batch.len(),
                    self.width
                )));
            }
            Ok(values.to_vec())
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
mod tests {
    use super::*;

    #[test]
    fn batches_hold_every_text_once_and_little_padding() {
        let tokens: Vec<Vec<i64>> = (0..500_usize).map(|n| vec![1; 2 + n * n % 255]).collect();
        let batches = batches(&tokens);
        let mut all: Vec<usize> = batches.iter().flatten().copied().collect();
        all.sort_unstable();
        assert!(all.into_iter().eq(0..500));
        let size = |batch: &Vec<usize>| batch.len() * tokens[batch[0]].len();
        assert!(batches.iter().all(|batch| size(batch) <= MAX_BATCH_TOKENS));
        let needed: usize = tokens.iter().map(Vec::len).sum();
        let run: usize = batches.iter().map(size).sum();
        assert!(run < needed * 5 / 4, "{run} tokens run for {needed}");
    }
}
