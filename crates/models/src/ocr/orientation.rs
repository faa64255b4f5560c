//! Detects lines that are upside down, with PP-OCR's direction classifier.

use std::path::Path;

use ndarray::{Array4, Axis, s};
use ort::value::TensorRef;

use super::page_image::PageImage;
use super::quad::Quad;
use crate::runtime::{self, Interrupt, Model};
use crate::{LoadError, ModelError};

const MODEL: &str = "models/ocr/cls.onnx";

/// The size of the network's input, in pixels. A longer line is compressed, as in training, by `MAX_COMPRESSION` at most. Of
/// a line that is longer still, only the middle is input, since text that is compressed further is unreadable.
const HEIGHT: usize = 48;
const WIDTH: usize = 192;
const MAX_COMPRESSION: f32 = 2.0;
/// The maximum number of lines in one run. More are not faster per line.
const MAX_BATCH: usize = 8;

#[derive(Debug)]
pub(super) struct OrientationClassifier {
    model: Model,
}

impl OrientationClassifier {
    pub(super) fn load(assets: &Path) -> Result<Self, LoadError> {
        Ok(Self {
            model: Model::load(assets.join(MODEL), &["image"], &["turned"])?.returning_memory(),
        })
    }

    /// The probability of each line to be upside down.
    pub(super) fn upside_down(
        &self,
        page: &PageImage,
        lines: &[Quad],
        interrupt: &Interrupt,
    ) -> Result<Vec<f32>, ModelError> {
        let mut upside_down = Vec::with_capacity(lines.len());
        for batch in lines.chunks(MAX_BATCH) {
            let mut input = Array4::zeros((batch.len(), 3, HEIGHT, WIDTH));
            for (line, mut image) in batch.iter().zip(input.axis_iter_mut(Axis(0))) {
                let full_width = HEIGHT as f32 * line.width() / line.height();
                let half = (MAX_COMPRESSION * WIDTH as f32 / full_width / 2.0).min(0.5);
                let width = (full_width.ceil() as usize).clamp(1, WIDTH);
                page.sample(
                    &line.section(0.5 - half, 0.5 + half),
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
                    upside_down.extend(probabilities.chunks_exact(2).map(|pair| pair[1]));
                    Ok(())
                })?;
        }
        Ok(upside_down)
    }
}
