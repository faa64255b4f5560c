//! Runs texts through a MiniLM model, as token ids in batches of similar length, under an interrupt. Both text models use
//! it; they differ in their output.
//!
//! | tensor | type and shape | |
//! |---|---|---|
//! | `input_ids` | int64 `[batch, sequence]` | `sequence` at most 256 |
//! | `attention_mask` | int64 `[batch, sequence]` | 1 for a token, 0 for padding |
//! | the output | float32 `[batch]` or `[batch, width]` | the model defines its name |

use std::path::Path;
use std::sync::Arc;

use ndarray::Array2;
use ort::value::TensorRef;

use crate::runtime::{self, Interrupt, Model};
use crate::tokenizer::BertTokenizer;
use crate::{LoadError, ModelError};

/// The tokenizer of both text models, which share a base model.
pub(crate) const TOKENIZER: &str = "models/minilm/tokenizer.json";

/// The maximum length of a text in tokens: the positions that the base model was trained on.
pub(crate) const MAX_TOKENS: usize = 256;

/// The maximum number of tokens in a run of several texts, padding included. A larger run is not faster per token, takes
/// more memory and reacts later to an interrupt: 32 texts of 17 tokens take 90 ms one by one, and 52 ms both at 256 and at
/// 1024.
const MAX_BATCH_TOKENS: usize = 256;
/// The maximum padding of a text, in tokens. The fixed cost of a run is that of about 12 tokens.
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
    /// Loads the model file under `assets`, and the tokenizer in parallel. `output` has `width` values per text.
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

    /// The model's output for each text, in their order: `width` consecutive values for each.
    ///
    /// Texts run in batches of similar length, the longest first, which keeps padding small. The other texts of a batch do
    /// not change a text's output: the model's int8 ranges are fixed, not computed from the batch.
    pub(crate) fn run(&self, tokens: &[Vec<i64>], interrupt: &Interrupt) -> Result<Vec<f32>, ModelError> {
        let mut values = vec![0.0; tokens.len() * self.width];
        for batch in batches(tokens) {
            let outputs = self.run_batch(tokens, &batch, interrupt)?;
            for (&text, output) in batch.iter().zip(outputs.chunks_exact(self.width)) {
                values[text * self.width..][..self.width].copy_from_slice(output);
            }
        }
        Ok(values)
    }

    /// Runs the texts of one batch; `batch` contains indices into `tokens`.
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

/// Splits texts into batches of similar length, as indices, the longest first.
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

/// Whether a text of `length` tokens fits a batch of `rows` texts, the longest of which has `longest` tokens.
fn fits(longest: usize, rows: usize, length: usize) -> bool {
    longest * (rows + 1) <= MAX_BATCH_TOKENS && longest - length <= MAX_PADDING
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_have_every_text_once_and_little_padding() {
        let tokens: Vec<Vec<i64>> = (0..500_usize).map(|n| vec![1; 2 + n * n % 255]).collect();
        let batches = batches(&tokens);
        let mut all: Vec<usize> = batches.iter().flatten().copied().collect();
        all.sort_unstable();
        assert!(all.into_iter().eq(0..500));
        let size = |batch: &Vec<usize>| batch.len() * tokens[batch[0]].len();
        assert!(batches.iter().all(|batch| size(batch) <= MAX_BATCH_TOKENS));
        let needed: usize = tokens.iter().map(Vec::len).sum();
        let run: usize = batches.iter().map(size).sum();
        assert!(run < needed * 5 / 4, "{run} tokens run, {needed} needed");
    }
}
