//! Runs Whisper's encoder and decoder, two ONNX models. `models/whisper.py` builds them and describes their inputs and
//! outputs.

use std::path::Path;

use ndarray::Array3;
use ort::memory::Allocator;
use ort::value::{DynValue, Tensor, TensorRef};

use crate::runtime::{self, Model};
use crate::{Interrupt, LoadError, ModelError};

/// The width of an attention head, in values.
const HEAD: usize = 64;

pub(super) struct Network {
    encoder: Model,
    decoder: Model,
    heads: usize,
    cross: Vec<String>,
    past: Vec<String>,
    present: Vec<String>,
}

/// The encoder's output for a window: the cross-attention keys and values of each layer of the decoder.
pub(super) struct EncodedWindow(Vec<DynValue>);

/// The decoder's state: the self-attention keys and values of the tokens so far, for each layer.
pub(super) struct KeyValueCache(Vec<DynValue>);

impl Network {
    /// Loads `encoder.ort` and `decoder.ort` from the folder.
    pub(super) fn load(folder: &Path, layers: usize, heads: usize) -> Result<Self, LoadError> {
        let names = |of: &str| -> Vec<String> {
            (0..layers)
                .flat_map(|layer| ["key", "value"].map(|kind| format!("{of}_{kind}_{layer}")))
                .collect()
        };
        let (cross, past, present) = (names("cross"), names("past"), names("present"));
        // The graph lists its inputs layer by layer.
        let mut inputs = vec!["tokens"];
        for (past, cross) in past.chunks(2).zip(cross.chunks(2)) {
            inputs.extend(past.iter().chain(cross).map(String::as_str));
        }
        let outputs: Vec<_> = std::iter::once("logits")
            .chain(present.iter().map(String::as_str))
            .collect();
        let encoded: Vec<_> = cross.iter().map(String::as_str).collect();
        Ok(Self {
            encoder: Model::load(folder.join("encoder.ort"), &["mel"], &encoded)?,
            decoder: Model::load(folder.join("decoder.ort"), &inputs, &outputs)?,
            heads,
            cross,
            past,
            present,
        })
    }

    /// Encodes a spectrum, [1, 80, frames].
    pub(super) fn encode(
        &self,
        mel: &Array3<f32>,
        interrupt: &Interrupt,
    ) -> Result<EncodedWindow, ModelError> {
        let mel = TensorRef::from_array_view(mel).map_err(runtime::failed)?;
        self.encoder.run(vec![("mel", mel.into())], interrupt, |outputs| {
            let take = |name: &String| outputs.remove(name).ok_or_else(|| absent(name));
            self.cross
                .iter()
                .map(take)
                .collect::<ort::Result<_>>()
                .map(EncodedWindow)
        })
    }

    /// The state before the first token.
    pub(super) fn empty_cache(&self) -> Result<KeyValueCache, ModelError> {
        let shape = [1, self.heads, 0, HEAD];
        let empty = || Tensor::<f32>::new(&Allocator::default(), shape).map(Tensor::into_dyn);
        let values: ort::Result<_> = self.past.iter().map(|_| empty()).collect();
        values.map(KeyValueCache).map_err(runtime::failed)
    }

    /// Adds tokens to the cache, and returns the logits of the next token.
    pub(super) fn step(
        &self,
        tokens: &[usize],
        window: &EncodedWindow,
        cache: &mut KeyValueCache,
        interrupt: &Interrupt,
    ) -> Result<Vec<f32>, ModelError> {
        let tokens: Vec<i64> = tokens.iter().map(|&token| token as i64).collect();
        let tokens = Tensor::from_array(([1, tokens.len()], tokens)).map_err(runtime::failed)?;
        let mut inputs = vec![("tokens", tokens.into())];
        for (names, values) in [(&self.past, &cache.0), (&self.cross, &window.0)] {
            inputs.extend(
                names
                    .iter()
                    .map(String::as_str)
                    .zip(values.iter().map(Into::into)),
            );
        }
        let (logits, present) = self.decoder.run(inputs, interrupt, |outputs| {
            let (_, logits) = outputs["logits"].try_extract_tensor::<f32>()?;
            let logits = logits.to_vec();
            let take = |name: &String| outputs.remove(name).ok_or_else(|| absent(name));
            let present: Vec<_> = self.present.iter().map(take).collect::<ort::Result<_>>()?;
            Ok((logits, present))
        })?;
        cache.0 = present;
        Ok(logits)
    }
}

fn absent(name: &str) -> ort::Error {
    ort::Error::new(format!("the output {name} is missing"))
}
