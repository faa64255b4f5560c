//! Reads single lines, with PP-OCR's recognizer (SVTR-LCNet: Du et al., "SVTR: Scene Text Recognition with a Single Visual
//! Model", 2022, <https://arxiv.org/abs/2205.00159>), whose output is a class for every 8 pixels along the line
//! (connectionist temporal classification: Graves et al., 2006).

use std::path::{Path, PathBuf};

use ndarray::{Array4, ArrayView2, ArrayViewD, Axis, Ix3, s};
use ort::value::TensorRef;

use super::quad::Quad;
use super::sheet::Sheet;
use crate::runtime::{self, Interrupt, Model};
use crate::{LoadError, ModelError};

const MODEL: &str = "models/ocr/rec.onnx";
const CHARACTERS: &str = "models/ocr/characters.txt";

/// Of a line as the network sees it, in pixels.
const HEIGHT: usize = 48;
/// Widths are rounded up to a multiple of this, and lines of one width run together: so no line's answer depends on the
/// company it runs in.
const WIDTH_STEP: usize = 32;
const LEAST_WIDTH: usize = 64;
/// A longer line is read in pieces: time and memory of the network's attention grow with the square.
const MAX_WIDTH: usize = 1_920;
/// Most pixels along the lines of one run.
const MAX_BATCH_WIDTH: usize = 960;
/// Most pieces of a line; what is longer still is squeezed.
const MAX_PIECES: usize = 64;

/// Two characters have a space between them if it was this likely at any step from one to the other. Of 2,239 pairs in
/// lines of 9 fonts, as they are, blurred and noisy, the threshold is wrong about 0.2 %.
const MIN_SPACE: f32 = 0.08;

/// What a line says.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Reading {
    pub(super) text: String,
    /// The mean of its characters' probabilities; 0 without any.
    pub(super) score: f32,
}

#[derive(Debug)]
pub(super) struct Recognizer {
    model: Model,
    /// By class, without the first, which is "none", and with the last, the space.
    characters: Vec<String>,
}

impl Recognizer {
    pub(super) fn load(assets: &Path) -> Result<Self, LoadError> {
        let characters = characters(assets.join(CHARACTERS))?;
        let model = Model::load(assets.join(MODEL), &["image"], &["classes"])?;
        Ok(Self { model, characters })
    }

    /// Reads lines, in their order, a reading for each.
    pub(super) fn read(
        &self,
        sheet: &Sheet,
        lines: &[Quad],
        interrupt: &Interrupt,
    ) -> Result<Vec<Reading>, ModelError> {
        let mut readings = vec![Reading::default(); lines.len()];
        for batch in batches(lines) {
            for (&line, reading) in batch.lines.iter().zip(self.run(sheet, lines, &batch, interrupt)?) {
                readings[line] = reading;
            }
        }
        Ok(readings)
    }

    fn run(
        &self,
        sheet: &Sheet,
        lines: &[Quad],
        batch: &Batch,
        interrupt: &Interrupt,
    ) -> Result<Vec<Reading>, ModelError> {
        let mut input = Array4::zeros((batch.lines.len(), 3, HEIGHT, batch.width));
        for (&line, mut image) in batch.lines.iter().zip(input.axis_iter_mut(Axis(0))) {
            let width = width(&lines[line]).min(batch.width);
            sheet.paint(&lines[line], image.slice_mut(s![.., .., ..width]));
        }
        let tensor = TensorRef::from_array_view(&input).map_err(runtime::failed)?;
        self.model.run(vec![("image", tensor.into())], interrupt, |outputs| {
            let classes: ArrayViewD<'_, f32> = outputs["classes"].try_extract_array()?;
            let classes = classes
                .into_dimensionality::<Ix3>()
                .map_err(|error| ort::Error::new(format!("output classes: {error}")))?;
            if (classes.dim().0, classes.dim().2) != (batch.lines.len(), self.characters.len() + 1) {
                return Err(ort::Error::new(format!(
                    "the output classes has the shape {:?}",
                    classes.shape()
                )));
            }
            Ok(classes
                .outer_iter()
                .map(|steps| self.decode(steps))
                .collect())
        })
    }

    /// The likeliest class of each step; repeated ones are one character, and "none" stands between two that are alike.
    ///
    /// A space is rarely the likeliest, as the network learned from lines without any. But between two words it is likelier
    /// than elsewhere by orders of magnitude, which is what counts here.
    fn decode(&self, steps: ArrayView2<'_, f32>) -> Reading {
        let space = self.characters.len();
        let mut text = String::new();
        let (mut sum, mut count, mut before, mut gap) = (0.0, 0, 0, 0.0_f32);
        for step in steps.outer_iter() {
            let (class, probability) = likeliest(step.iter());
            gap = gap.max(step[space]);
            if class != 0 && class != space && class != before {
                if gap >= MIN_SPACE && count > 0 {
                    text.push(' ');
                }
                text.push_str(&self.characters[class - 1]);
                sum += probability;
                count += 1;
            }
            if class != 0 && class != space {
                gap = step[space];
            }
            before = class;
        }
        Reading {
            text,
            score: if count == 0 { 0.0 } else { sum / count as f32 },
        }
    }
}

fn likeliest<'a>(probabilities: impl Iterator<Item = &'a f32>) -> (usize, f32) {
    let mut best = (0, f32::NEG_INFINITY);
    for (class, &probability) in probabilities.enumerate() {
        if probability > best.1 {
            best = (class, probability);
        }
    }
    best
}

fn characters(path: PathBuf) -> Result<Vec<String>, LoadError> {
    let file = std::fs::read_to_string(&path).map_err(|source| LoadError::Read { path, source })?;
    Ok(file.lines().chain([" "]).map(str::to_owned).collect())
}

/// Lines that run together, as indices, all painted this wide.
struct Batch {
    width: usize,
    lines: Vec<usize>,
}

fn width(line: &Quad) -> usize {
    ((HEIGHT as f32 * line.width() / line.height()).ceil() as usize).clamp(1, MAX_WIDTH)
}

fn batches(lines: &[Quad]) -> Vec<Batch> {
    let mut widths: Vec<_> = lines
        .iter()
        .map(|line| width(line).next_multiple_of(WIDTH_STEP).max(LEAST_WIDTH))
        .enumerate()
        .collect();
    widths.sort_by_key(|&(_, width)| width);
    let mut batches: Vec<Batch> = Vec::new();
    for (line, width) in widths {
        match batches.last_mut() {
            Some(batch) if batch.width == width && (batch.lines.len() + 1) * width <= MAX_BATCH_WIDTH => {
                batch.lines.push(line);
            }
            _ => batches.push(Batch {
                width,
                lines: vec![line],
            }),
        }
    }
    batches
}
