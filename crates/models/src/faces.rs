//! Faces with CenterFace (Xu et al., "CenterFace: Joint Face Detection and Alignment Using Face as Point", 2019,
//! <https://arxiv.org/abs/1911.03599>), which treats a face as the point in its middle.
//!
//! | tensor | float32 shape | |
//! |---|---|---|
//! | `image` | `[1, 3, height, width]` | RGB, 0 to 255, sides multiples of 32 |
//! | `heatmap` | `[1, 1, height / 4, width / 4]` | how surely a face has its middle in this cell |
//! | `scale` | `[1, 2, ..]` | log of height and width, in cells |
//! | `offset` | `[1, 2, ..]` | from the cell's middle to the face's, down and right, in cells |
//! | `landmarks` | `[1, 10, ..]` | five times down and right from the box's corner, in box sides |

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

/// The longer side of the model's first look, in pixels: larger pictures are scaled down.
const MOST_SIDE: u32 = 640;
/// The longer side of the second look, which larger pictures get for their small faces: scaled to 640, no face of 32
/// pixels in 1920 x 1440 is found; so, two of three are, and 1920 finds no more. It takes six times the pixels.
const FINE_SIDE: u32 = 1600;
/// The tallest face of the second look that counts, in pixels of its input. In a face that fills the picture it sees
/// faces of its own; from 80 pixels on, as this is in the first look, that one misses none.
const FINE_TALLEST: f32 = 200.0;
/// Smaller pictures are scaled up to this longer side: a face of 8 to 20 pixels, which is missed or unsure as it is, is
/// then found with a score over 0.6, at little cost.
const LEAST_SIDE: u32 = 256;
/// The model halves its input five times.
const SIDE_MULTIPLE: u32 = 32;
/// Input pixels per cell of the outputs.
const CELL: f32 = 4.0;
/// A cell counts as a face from here on.
const MIN_SCORE: f32 = 0.5;
/// Two boxes that share this much of their union are one face; the authors' value.
const MAX_OVERLAP: f32 = 0.3;
/// Most cells that are looked at, the surest ones: a picture made to light up everywhere must not cost minutes.
const MAX_CANDIDATES: usize = 2_000;

/// A face that was found. "Upright" is as EXIF says the picture is to be shown; all pixels are those of the original.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Face {
    /// Its bounds, clipped to the picture.
    #[serde(rename = "box")]
    pub bounds: Rect,
    /// How sure the model is, 0.5 to 1.
    pub score: f32,
    /// Eyes, nose and mouth's corners, the left one first as seen in the picture. Of a face at the edge they may lie
    /// outside the picture.
    pub landmarks: [Point; 5],
}

/// The face detector. Share one per process; calls from several threads take turns.
#[derive(Debug)]
pub struct FaceDetector {
    model: Model,
}

impl FaceDetector {
    /// Changes with `models/manifest.toml`.
    pub const ID: ModelId = ModelId {
        name: "centerface",
        version: "72db11b63476",
    };

    /// Loads `models/centerface/` under `assets`.
    ///
    /// # Errors
    /// [`LoadError`] when a file is absent or damaged; never because of load or of anything that passes.
    pub fn load(assets: &Path) -> Result<Self, LoadError> {
        runtime::init(assets)?;
        let outputs = ["heatmap", "scale", "offset", "landmarks"];
        Ok(Self {
            model: Model::load(assets.join(MODEL), &["image"], &outputs)?,
        })
    }

    /// Finds the faces in an image file, the surest first. Blocks; call it off the async threads.
    ///
    /// Sees at most 1600 pixels of the picture's longer side: a face is found by most chances if it is 26 pixels high
    /// at that scale (`models/QUALITY.md` has the figures).
    ///
    /// # Errors
    /// [`ModelError::Input`] for a file that [`crate::image`] refuses. [`ModelError::Interrupted`] once `interrupt` is
    /// triggered, before or during the run. [`ModelError::Inference`] if ONNX Runtime fails.
    pub fn detect(&self, image: &[u8], interrupt: &Interrupt) -> Result<Vec<Face>, ModelError> {
        interrupt.check()?;
        let picture = Picture::decode(image)?;
        interrupt.check()?;
        let looks: Vec<_> = View::all(picture.size())
            .map(|view| (view.tensor(&picture), view))
            .collect();
        drop(picture);
        let mut faces = Vec::new();
        for (input, view) in looks {
            let found = self.look(&input, interrupt)?.into_iter();
            faces.extend(view.place(found.filter(|face| face.bounds.height <= view.tallest)));
        }
        faces.sort_by(|a, b| b.score.total_cmp(&a.score));
        Ok(distinct(faces))
    }

    /// The faces in pixels of the input, the surest first.
    fn look(&self, input: &Array4<f32>, interrupt: &Interrupt) -> Result<Vec<Face>, ModelError> {
        let input = TensorRef::from_array_view(input).map_err(runtime::failed)?;
        let inputs = vec![("image", input.into())];
        let faces = self
            .model
            .run(inputs, interrupt, |outputs| Ok(Maps::of(outputs)?.faces()))?;
        Ok(distinct(faces))
    }
}

/// How a picture is shown to the model.
struct View {
    /// The upright picture's size.
    original: (u32, u32),
    /// Its size in the model's input; the rest, to the right and below, is black.
    scaled: (u32, u32),
    /// The tallest face to be believed, in pixels of the input.
    tallest: f32,
}

impl View {
    /// The views of a picture of this size, the coarse one first.
    fn all(original: (u32, u32)) -> impl Iterator<Item = Self> {
        let longer = original.0.max(original.1);
        let fine = (longer > MOST_SIDE).then(|| Self::of(original, FINE_SIDE, FINE_TALLEST));
        iter::once(Self::of(original, MOST_SIDE, f32::INFINITY)).chain(fine)
    }

    fn of(original: (u32, u32), most: u32, tallest: f32) -> Self {
        let (width, height) = original;
        let longer = width.max(height);
        let factor = f64::from(longer.clamp(LEAST_SIDE, most)) / f64::from(longer);
        let side = |side: u32| ((f64::from(side) * factor).round() as u32).max(1);
        Self {
            original,
            scaled: (side(width), side(height)),
            tallest,
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

    /// Carries faces over from the model's input to the original.
    fn place(&self, faces: impl Iterator<Item = Face>) -> impl Iterator<Item = Face> {
        let (width, height) = (self.original.0 as f32, self.original.1 as f32);
        let across = width / self.scaled.0 as f32;
        let down = height / self.scaled.1 as f32;
        let place = move |face: Face| {
            let Rect {
                x,
                y,
                width: w,
                height: h,
            } = face.bounds;
            let bounds = Rect {
                x: x * across,
                y: y * down,
                width: w * across,
                height: h * down,
            };
            Some(Face {
                bounds: bounds.within(width, height)?,
                score: face.score,
                landmarks: face.landmarks.map(|point| Point {
                    x: point.x * across,
                    y: point.y * down,
                }),
            })
        };
        faces.filter_map(place)
    }
}

/// The model's outputs.
struct Maps<'a> {
    heatmap: ArrayView4<'a, f32>,
    scale: ArrayView4<'a, f32>,
    offset: ArrayView4<'a, f32>,
    landmarks: ArrayView4<'a, f32>,
}

impl<'a> Maps<'a> {
    fn of(outputs: &'a SessionOutputs<'_>) -> ort::Result<Self> {
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

    /// Every cell that may be a face, the surest first, in pixels of the input.
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
        // No face is larger than a few pictures; without the bound a sum could become infinite.
        let side = |channel| self.scale[(0, channel, row, column)].min(8.0).exp() * CELL;
        let middle =
            |channel, cell: usize| (cell as f32 + self.offset[(0, channel, row, column)] + 0.5) * CELL;
        let (height, width) = (side(0), side(1));
        let bounds = Rect {
            x: middle(1, column) - width / 2.0,
            y: middle(0, row) - height / 2.0,
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

/// Leaves out what overlaps a surer face (non-maximum suppression); `faces` come sorted and stay so.
fn distinct(faces: Vec<Face>) -> Vec<Face> {
    let mut kept: Vec<Face> = Vec::new();
    for face in faces {
        if kept
            .iter()
            .all(|other| face.bounds.overlap(&other.bounds) <= MAX_OVERLAP)
        {
            kept.push(face);
        }
    }
    kept
}

#[cfg(test)]
mod tests;
