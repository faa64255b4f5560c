//! Tells lines that stand on their heads, with PP-OCR's direction classifier.

use std::path::Path;

use ndarray::{Array4, Axis, s};
use ort::value::TensorRef;

use super::quad::Quad;
use super::sheet::Sheet;
use crate::runtime::{self, Interrupt, Model};
use crate::{LoadError, ModelError};

const MODEL: &str = "models/ocr/cls.onnx";

/// What the network sees of a line, in pixels. A longer one is squeezed, as in training, up to twice; of one that is longer
/// still the middle is shown, since text that is squeezed further is none.
const HEIGHT: usize = 48;
const WIDTH: usize = 192;
const MOST_SQUEEZE: f32 = 2.0;
/// Most lines in one run: more are no faster per line.
const MAX_BATCH: usize = 8;

#[derive(Debug)]
pub(super) struct TurnClassifier {
    model: Model,
}

impl TurnClassifier {
    pub(super) fn load(assets: &Path) -> Result<Self, LoadError> {
        Ok(Self {
            model: Model::load(assets.join(MODEL), &["image"], &["turned"])?,
        })
    }

    /// The probability of each line to stand on its head.
    pub(super) fn turned(
        &self,
        sheet: &Sheet,
        lines: &[Quad],
        interrupt: &Interrupt,
    ) -> Result<Vec<f32>, ModelError> {
        let mut turned = Vec::with_capacity(lines.len());
        for batch in lines.chunks(MAX_BATCH) {
            let mut input = Array4::zeros((batch.len(), 3, HEIGHT, WIDTH));
            for (line, mut image) in batch.iter().zip(input.axis_iter_mut(Axis(0))) {
                let whole = HEIGHT as f32 * line.width() / line.height();
                let half = (MOST_SQUEEZE * WIDTH as f32 / whole / 2.0).min(0.5);
                let width = (whole.ceil() as usize).clamp(1, WIDTH);
                sheet.paint(
                    &line.part(0.5 - half, 0.5 + half),
                    image.slice_mut(s![.., .., ..width]),
                );
            }
            let tensor = TensorRef::from_array_view(&input).map_err(runtime::failed)?;
            self.model
                .run(vec![("image", tensor.into())], interrupt, |outputs| {
                    let (_, probabilities) = outputs["turned"].try_extract_tensor::<f32>()?;
                    if probabilities.len() != 2 * batch.len() {
                        return Err(ort::Error::new(format!(
                            "{} probabilities for {} lines",
                            probabilities.len(),
                            batch.len()
                        )));
                    }
                    turned.extend(probabilities.chunks_exact(2).map(|pair| pair[1]));
                    Ok(())
                })?;
        }
        Ok(turned)
    }
}
