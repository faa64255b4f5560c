//! Detects faces with CenterFace (Xu et al., "CenterFace: Joint Face Detection and Alignment Using Face as Point", 2019,
//! <https://arxiv.org/abs/1911.03599>), which represents a face by its center point.
//!
//! | tensor | float32 shape | |
//! |---|---|---|
//! | `image` | `[1, 3, height, width]` | RGB, 0 to 255, sides multiples of 32 |
//! | `heatmap` | `[1, 1, height / 4, width / 4]` | the probability that a face's center is in this cell |
//! | `scale` | `[1, 2, ..]` | natural logarithm of height and width, in cells |
//! | `offset` | `[1, 2, ..]` | from the cell's center to the face's, down and right, in cells |
//! | `landmarks` | `[1, 10, ..]` | five pairs, down and right from the box's corner, in box sides |

use std::iter;
use std::path::Path;

use ndarray::{Array4, ArrayView4};
use ort::session::SessionOutputs;
use ort::value::TensorRef;
use serde::{Deserialize, Serialize};

use crate::geometry::{Point, Rect};
use crate::image::Picture;
use crate::runtime::{self, Interrupt, Model};
use crate::{LoadError, ModelError, ModelId};

const MODEL: &str = "models/centerface/model.onnx";

/// The longer side of the first pass, in pixels: larger pictures are scaled down.
const MAX_SIDE: u32 = 640;
/// The longer side of the second pass, in pixels, which finds the small faces of larger pictures. Of faces of 32 pixels in
/// 1920 x 1440, a side of 640 finds none, 1600 two of three, and 1920 no more. It costs six times the pixels.
const FINE_SIDE: u32 = 1600;
/// The maximum height of a face in the second pass, in pixels of its input. That pass finds false faces within a face that
/// fills the picture. The first pass, where this height is 80 pixels, misses none of the taller ones.
const FINE_MAX_HEIGHT: f32 = 200.0;
/// Smaller pictures are scaled up to this longer side, in pixels. Faces of 8 to 20 pixels, which would be missed or score
/// low, then score over 0.6, at little cost.
const MIN_SIDE: u32 = 256;
/// The model halves its input five times, so its sides are multiples of this.
const SIDE_MULTIPLE: u32 = 32;
/// Input pixels per cell of the outputs.
const CELL: f32 = 4.0;
/// The minimum score of a face.
const MIN_SCORE: f32 = 0.5;
/// Two boxes with a larger intersection over union are one face; the authors' value.
const MAX_OVERLAP: f32 = 0.3;
/// The maximum number of cells to process, by score. It bounds the time for a picture crafted to match everywhere.
const MAX_CANDIDATES: usize = 2_000;

/// A detected face. Coordinates are in pixels of the original, in the orientation that EXIF states.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Face {
    /// The bounding box, clipped to the picture.
    #[serde(rename = "box")]
    pub bounds: Rect,
    /// The model's confidence, 0.5 to 1.
    pub score: f32,
    /// The eyes, the nose and the corners of the mouth, the left one first as seen in the picture. They may be outside the
    /// picture if the face is at its edge.
    pub landmarks: [Point; 5],
}

/// The face detector. Use one per process: concurrent calls run one after another.
#[derive(Debug)]
pub struct FaceDetector {
    model: Model,
}

impl FaceDetector {
    /// The version has to match `models/manifest.toml`; a test compares them.
    pub const ID: ModelId = ModelId {
        name: "centerface",
        version: "72db11b63476",
    };

    /// Loads `models/centerface/` under `assets`.
    ///
    /// # Errors
    /// [`LoadError`] when a file is absent or damaged. A retry gives the same error.
    pub fn load(assets: &Path) -> Result<Self, LoadError> {
        runtime::init(assets)?;
        let outputs = ["heatmap", "scale", "offset", "landmarks"];
        Ok(Self {
            model: Model::load(assets.join(MODEL), &["image"], &outputs)?.returning_memory(),
        })
    }

    /// Detects the faces in an image file, sorted by score from the highest. Blocks: do not call it on an async thread.
    ///
    /// The longer side is scaled to at most 1600 pixels. Most faces that are 26 pixels high at that scale are found
    /// (`models/QUALITY.md` has the figures).
    ///
    /// # Errors
    /// [`ModelError::Input`] for a file that [`crate::image`] refuses. [`ModelError::Interrupted`] once `interrupt` is
    /// triggered, before or during the run. [`ModelError::Inference`] if ONNX Runtime fails.
    pub fn detect(&self, image: &[u8], interrupt: &Interrupt) -> Result<Vec<Face>, ModelError> {
        interrupt.check()?;
        let picture = Picture::decode_until(image, interrupt)?;
        let passes = passes(&picture, interrupt)?;
        drop(picture);
        let mut faces = Vec::new();
        for (input, view) in passes {
            let found = self.run(&input, interrupt)?.into_iter();
            faces.extend(view.to_original(found.filter(|face| face.bounds.height <= view.max_height)));
        }
        faces.sort_by(|a, b| b.score.total_cmp(&a.score));
        Ok(suppress_overlaps(faces))
    }

    /// The faces in pixels of the input, sorted by score from the highest.
    fn run(&self, input: &Array4<f32>, interrupt: &Interrupt) -> Result<Vec<Face>, ModelError> {
        let input = TensorRef::from_array_view(input).map_err(runtime::failed)?;
        let inputs = vec![("image", input.into())];
        let faces = self
            .model
            .run(inputs, interrupt, |outputs| Ok(Maps::extract(outputs)?.faces()))?;
        Ok(suppress_overlaps(faces))
    }
}

/// The picture as the model's input, in each of its views. Scaling a large picture takes a while.
fn passes(picture: &Picture, interrupt: &Interrupt) -> Result<Vec<(Array4<f32>, View)>, ModelError> {
    let scaled = View::all(picture.size()).map(|view| {
        interrupt.check()?;
        Ok((view.tensor(picture), view))
    });
    scaled.collect()
}

/// A scale at which a picture is input to the model.
#[derive(Debug)]
struct View {
    /// The upright picture's width and height, in pixels.
    original: (u32, u32),
    /// The picture's width and height in the model's input. The rest, to the right and below, is black.
    scaled: (u32, u32),
    /// The maximum height of a face, in pixels of the input.
    max_height: f32,
}

impl View {
    /// The views of a picture of this size: a coarse one, and a fine one of a large picture.
    fn all(original: (u32, u32)) -> impl Iterator<Item = Self> {
        let longer = original.0.max(original.1);
        let fine = (longer > MAX_SIDE).then(|| Self::new(original, FINE_SIDE, FINE_MAX_HEIGHT));
        iter::once(Self::new(original, MAX_SIDE, f32::INFINITY)).chain(fine)
    }

    fn new(original: (u32, u32), max_side: u32, max_height: f32) -> Self {
        let (width, height) = original;
        let longer = width.max(height);
        let factor = f64::from(longer.clamp(MIN_SIDE, max_side)) / f64::from(longer);
        let side = |side: u32| ((f64::from(side) * factor).round() as u32).max(1);
        Self {
            original,
            scaled: (side(width), side(height)),
            max_height,
        }
    }

    fn tensor(&self, picture: &Picture) -> Array4<f32> {
        let (width, height) = self.scaled;
        let padded = |side: u32| side.next_multiple_of(SIDE_MULTIPLE) as usize;
        let mut tensor = Array4::zeros((1, 3, padded(height), padded(width)));
        for (x, y, pixel) in picture.upright(width, height).enumerate_pixels() {
            for (channel, &value) in pixel.0.iter().enumerate() {
                tensor[(0, channel, y as usize, x as usize)] = f32::from(value);
            }
        }
        tensor
    }

    /// Converts faces from pixels of the input to pixels of the original.
    fn to_original(&self, faces: impl Iterator<Item = Face>) -> impl Iterator<Item = Face> {
        let (width, height) = (self.original.0 as f32, self.original.1 as f32);
        let scale_x = width / self.scaled.0 as f32;
        let scale_y = height / self.scaled.1 as f32;
        let convert = move |face: Face| {
            let Rect {
                x,
                y,
                width: w,
                height: h,
            } = face.bounds;
            let bounds = Rect {
                x: x * scale_x,
                y: y * scale_y,
                width: w * scale_x,
                height: h * scale_y,
            };
            Some(Face {
                bounds: bounds.clipped(width, height)?,
                score: face.score,
                landmarks: face.landmarks.map(|point| Point {
                    x: point.x * scale_x,
                    y: point.y * scale_y,
                }),
            })
        };
        faces.filter_map(convert)
    }
}

/// The model's outputs, with the shapes in the table above.
struct Maps<'a> {
    heatmap: ArrayView4<'a, f32>,
    scale: ArrayView4<'a, f32>,
    offset: ArrayView4<'a, f32>,
    landmarks: ArrayView4<'a, f32>,
}

impl<'a> Maps<'a> {
    fn extract(outputs: &'a SessionOutputs<'_>) -> ort::Result<Self> {
        let map = |name: &str| -> ort::Result<ArrayView4<'a, f32>> {
            let array = outputs[name].try_extract_array::<f32>()?;
            array
                .into_dimensionality()
                .map_err(|error| ort::Error::new(format!("output {name}: {error}")))
        };
        let maps = Self {
            heatmap: map("heatmap")?,
            scale: map("scale")?,
            offset: map("offset")?,
            landmarks: map("landmarks")?,
        };
        let (_, _, rows, columns) = maps.heatmap.dim();
        for (map, channels) in [
            (&maps.heatmap, 1),
            (&maps.scale, 2),
            (&maps.offset, 2),
            (&maps.landmarks, 10),
        ] {
            if map.dim() != (1, channels, rows, columns) {
                return Err(ort::Error::new(format!(
                    "an output has the shape {:?}",
                    map.shape()
                )));
            }
        }
        Ok(maps)
    }

    /// The faces of all cells with a sufficient score, from the highest, in pixels of the input.
    fn faces(&self) -> Vec<Face> {
        let mut cells: Vec<_> = self
            .heatmap
            .indexed_iter()
            .filter(|&(_, &score)| score >= MIN_SCORE)
            .map(|((_, _, row, column), &score)| (score, row, column))
            .collect();
        cells.sort_by(|a, b| b.0.total_cmp(&a.0));
        cells.truncate(MAX_CANDIDATES);
        cells
            .into_iter()
            .map(|(score, row, column)| self.face(score, row, column))
            .collect()
    }

    fn face(&self, score: f32, row: usize, column: usize) -> Face {
        // Far above the size of any face. Without the bound, a sum could become infinite.
        let side = |channel| self.scale[(0, channel, row, column)].min(8.0).exp() * CELL;
        let center =
            |channel, cell: usize| (cell as f32 + self.offset[(0, channel, row, column)] + 0.5) * CELL;
        let (height, width) = (side(0), side(1));
        let bounds = Rect {
            x: center(1, column) - width / 2.0,
            y: center(0, row) - height / 2.0,
            width,
            height,
        };
        let landmarks = std::array::from_fn(|point| Point {
            x: bounds.x + self.landmarks[(0, 2 * point + 1, row, column)] * width,
            y: bounds.y + self.landmarks[(0, 2 * point, row, column)] * height,
        });
        Face {
            bounds,
            score: score.min(1.0),
            landmarks,
        }
    }
}

/// Removes faces that overlap one with a higher score (non-maximum suppression). `faces` are sorted by score.
fn suppress_overlaps(faces: Vec<Face>) -> Vec<Face> {
    let mut distinct: Vec<Face> = Vec::new();
    for face in faces {
        if distinct
            .iter()
            .all(|other| face.bounds.intersection_over_union(&other.bounds) <= MAX_OVERLAP)
        {
            distinct.push(face);
        }
    }
    distinct
}

#[cfg(test)]
mod tests;
