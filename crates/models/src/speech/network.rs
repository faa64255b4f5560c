//! Whisper's two halves as ONNX models; `models/whisper.py` makes them and says what goes in and comes out.

use std::path::Path;

use ndarray::Array3;
use ort::memory::Allocator;
use ort::value::{DynValue, Tensor, TensorRef};

use crate::runtime::{self, Model};
use crate::{Interrupt, LoadError, ModelError};

/// The width of an attention head.
const HEAD: usize = 64;

pub(super) struct Network {
    encoder: Model,
    decoder: Model,
    heads: usize,
    cross: Vec<String>,
    past: Vec<String>,
    present: Vec<String>,
}

/// What the encoder made of a window: keys and values for each layer of the decoder.
pub(super) struct Heard(Vec<DynValue>);

/// What the decoder knows of the tokens it was given so far: keys and values of each layer.
pub(super) struct Memory(Vec<DynValue>);

impl Network {
    /// Loads `encoder.ort` and `decoder.ort` from a folder.
    pub(super) fn load(folder: &Path, layers: usize, heads: usize) -> Result<Self, LoadError> {
        let names = |of: &str| -> Vec<String> {
            (0..layers)
                .flat_map(|layer| ["key", "value"].map(|kind| format!("{of}_{kind}_{layer}")))
                .collect()
        };
        let (cross, past, present) = (names("cross"), names("past"), names("present"));
        // Layer by layer, as the graph lists them.
        let mut inputs = vec!["tokens"];
        for (past, cross) in past.chunks(2).zip(cross.chunks(2)) {
            inputs.extend(past.iter().chain(cross).map(String::as_str));
        }
        let outputs: Vec<_> = std::iter::once("logits")
            .chain(present.iter().map(String::as_str))
            .collect();
        let heard: Vec<_> = cross.iter().map(String::as_str).collect();
        Ok(Self {
            encoder: Model::load(folder.join("encoder.ort"), &["mel"], &heard)?,
            decoder: Model::load(folder.join("decoder.ort"), &inputs, &outputs)?,
            heads,
            cross,
            past,
            present,
        })
    }

    /// Hears a spectrum, [1, 80, frames].
    pub(super) fn hear(&self, mel: &Array3<f32>, interrupt: &Interrupt) -> Result<Heard, ModelError> {
        let mel = TensorRef::from_array_view(mel).map_err(runtime::failed)?;
        self.encoder.run(vec![("mel", mel.into())], interrupt, |outputs| {
            let take = |name: &String| outputs.remove(name).ok_or_else(|| absent(name));
            self.cross.iter().map(take).collect::<ort::Result<_>>().map(Heard)
        })
    }

    /// A memory of nothing.
    pub(super) fn memory(&self) -> Result<Memory, ModelError> {
        let shape = [1, self.heads, 0, HEAD];
        let empty = || Tensor::<f32>::new(&Allocator::default(), shape).map(Tensor::into_dyn);
        let values: ort::Result<_> = self.past.iter().map(|_| empty()).collect();
        values.map(Memory).map_err(runtime::failed)
    }

    /// Adds tokens to the memory, and returns the logits of what follows the last.
    pub(super) fn step(
        &self,
        tokens: &[usize],
        heard: &Heard,
        memory: &mut Memory,
        interrupt: &Interrupt,
    ) -> Result<Vec<f32>, ModelError> {
        let tokens: Vec<i64> = tokens.iter().map(|&token| token as i64).collect();
        let tokens = Tensor::from_array(([1, tokens.len()], tokens)).map_err(runtime::failed)?;
        let mut inputs = vec![("tokens", tokens.into())];
        for (names, values) in [(&self.past, &memory.0), (&self.cross, &heard.0)] {
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
        memory.0 = present;
        Ok(logits)
    }
}

fn absent(name: &str) -> ort::Error {
    ort::Error::new(format!("there is no output {name}"))
}
