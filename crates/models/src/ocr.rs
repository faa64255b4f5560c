//! Reads text in pictures with PP-OCRv4 (<https://github.com/PaddlePaddle/PaddleOCR>). One network detects the lines, one
//! detects which of them are upside down, and one recognizes their characters.
//!
//! | tensor | float32 shape | |
//! |---|---|---|
//! | `image` | `[batch, 3, height, width]` | blue, green, red, from -1 to 1; a line is 48 high |
//! | `text` | `[batch, 1, height, width]` | the probability that a pixel is part of a line's core |
//! | `turned` | `[batch, 2]` | the probabilities that a line is upright, and upside down |
//! | `classes` | `[batch, width / 8, 6625]` | the probabilities that a step is blank, each character, a space |

mod detect;
mod layout;
mod orientation;
mod page_image;
mod quad;
mod recognize;
#[cfg(test)]
mod tests;

use std::path::Path;

use serde::{Deserialize, Serialize};

use self::detect::Detector;
use self::layout::PlacedLine;
use self::orientation::OrientationClassifier;
use self::page_image::PageImage;
use self::quad::Quad;
use self::recognize::{Reading, Recognizer};
use crate::geometry::{Point, Rect};
use crate::id::ModelId;
use crate::image::Picture;
use crate::runtime::{self, Interrupt};
use crate::{LoadError, ModelError};

/// The minimum score of a line. Regions that are not text are read as a few characters with a low score.
const MIN_SCORE: f32 = 0.5;
/// The minimum score of a line with fewer than `SHORT_LINE_CHARS` characters, which objects are often misread as.
const MIN_SHORT_SCORE: f32 = 0.8;
const SHORT_LINE_CHARS: usize = 3;
/// A region with at least this ratio of its sides shows by its shape in which direction its text runs.
const CLEAR_SIDE_RATIO: f32 = 1.5;
/// A page is upright without a further check if the classifier gives this share of its text as upright.
const CLEAR_UPRIGHT_SHARE: f32 = 0.8;
/// A line is read both ways if the classifier contradicts the page's orientation with a higher probability.
const CLEAR_CONTRADICTION: f32 = 0.9;
/// The maximum number of lines that are read both ways to determine the page's orientation.
const MAX_PROBES: usize = 3;

/// The text of a picture, in reading order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Page {
    /// All lines, joined by newlines; empty if there is no text.
    pub text: String,
    /// The same lines, each with its place.
    pub lines: Vec<Line>,
}

/// A line of text. Coordinates are in pixels of the original, in the orientation that EXIF states, whichever way the text
/// runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// The line's text, never empty.
    pub text: String,
    /// The mean probability of the line's characters, 0.5 to 1.
    pub score: f32,
    /// The line's bounding box, within the picture.
    #[serde(rename = "box")]
    pub bounds: Rect,
    /// The corners of the rectangle around the line at its angle, clockwise from the upper left of its text. For text that
    /// runs down the page, the first corner is the upper right one.
    pub corners: [Point; 4],
}

/// The three networks. Use one per process: concurrent calls run one after another.
#[derive(Debug)]
pub struct OcrModel {
    detector: Detector,
    orientation: OrientationClassifier,
    recognizer: Recognizer,
}

impl OcrModel {
    /// The recognizer's version has to match `models/manifest.toml`; a test compares them.
    pub const ID: ModelId = ModelId {
        name: "pp-ocrv4",
        version: "26a967b98781",
    };

    /// Loads `models/ocr/` under `assets`, the networks in parallel.
    ///
    /// # Errors
    /// [`LoadError`] when a file is absent or damaged. A retry gives the same error.
    pub fn load(assets: &Path) -> Result<Self, LoadError> {
        runtime::init(assets)?;
        std::thread::scope(|scope| {
            let recognizer = scope.spawn(|| Recognizer::load(assets));
            let detector = Detector::load(assets)?;
            let orientation = OrientationClassifier::load(assets)?;
            let recognizer = recognizer
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            Ok(Self {
                detector,
                orientation,
                recognizer,
            })
        })
    }

    /// Reads the text in an image file. Blocks: do not call it on an async thread.
    ///
    /// # Errors
    /// [`ModelError::Input`] for a file that [`crate::image`] refuses. [`ModelError::Interrupted`] once `interrupt` is
    /// triggered, before or during the run. [`ModelError::Inference`] if ONNX Runtime fails.
    pub fn read(&self, image: &[u8], interrupt: &Interrupt) -> Result<Page, ModelError> {
        interrupt.check()?;
        let picture = Picture::decode_until(image, interrupt)?;
        interrupt.check()?;
        let image = PageImage::new(picture);
        interrupt.check()?;
        let regions = self.detector.regions(&image, interrupt)?;
        let lines = self.lines(&image, regions, interrupt)?;
        let lines = layout::arrange(lines);
        Ok(to_page(&image, lines))
    }

    /// Reads regions, each the right way up, and drops those that are not text.
    fn lines(
        &self,
        image: &PageImage,
        regions: Vec<Quad>,
        interrupt: &Interrupt,
    ) -> Result<Vec<PlacedLine>, ModelError> {
        let quads = rotate_to_text_direction(regions);
        let upside_down = self.orientation.upside_down(image, &quads, interrupt)?;
        let page_is_upside_down = self.page_is_upside_down(image, &quads, &upside_down, interrupt)?;
        let by_page = |quad: &Quad| {
            if page_is_upside_down {
                quad.rotated(2)
            } else {
                *quad
            }
        };
        let mut quads: Vec<_> = quads.iter().map(by_page).collect();
        let mut readings = self.recognizer.read(image, &quads, interrupt)?;

        let doubtful: Vec<_> = (0..quads.len())
            .filter(|&line| {
                let contradiction = if page_is_upside_down {
                    1.0 - upside_down[line]
                } else {
                    upside_down[line]
                };
                contradiction > CLEAR_CONTRADICTION
            })
            .collect();
        let rotated: Vec<_> = doubtful.iter().map(|&line| quads[line].rotated(2)).collect();
        let rotated_readings = self.recognizer.read(image, &rotated, interrupt)?;
        for ((line, quad), reading) in doubtful.into_iter().zip(rotated).zip(rotated_readings) {
            if reading.score > readings[line].score {
                (quads[line], readings[line]) = (quad, reading);
            }
        }
        let placed = quads.into_iter().zip(readings);
        Ok(placed
            .filter(|(_, reading)| is_text(reading))
            .map(|(quad, reading)| PlacedLine { quad, reading })
            .collect())
    }

    /// Whether most of the text is upside down. Unless the classifier clearly denies it, the longest lines are read both
    /// ways, since a wrong decision would garble the whole page.
    fn page_is_upside_down(
        &self,
        image: &PageImage,
        quads: &[Quad],
        upside_down: &[f32],
        interrupt: &Interrupt,
    ) -> Result<bool, ModelError> {
        let total: f32 = quads.iter().map(Quad::width).sum();
        let votes: f32 = quads
            .iter()
            .zip(upside_down)
            .map(|(quad, probability)| quad.width() * probability)
            .sum();
        let share = votes / total.max(f32::MIN_POSITIVE);
        if share <= 1.0 - CLEAR_UPRIGHT_SHARE {
            return Ok(false);
        }
        let mut longest = quads.to_vec();
        longest.sort_by(|a, b| b.width().total_cmp(&a.width()));
        longest.truncate(MAX_PROBES);
        let rotated: Vec<_> = longest.iter().map(|quad| quad.rotated(2)).collect();
        let score = |readings: Vec<Reading>| readings.iter().map(|reading| reading.score).sum::<f32>();
        let upright = score(self.recognizer.read(image, &longest, interrupt)?);
        let upside_down = score(self.recognizer.read(image, &rotated, interrupt)?);
        Ok(upside_down > upright)
    }
}

fn is_text(reading: &Reading) -> bool {
    let characters = reading.text.chars().count();
    characters > 0
        && reading.score
            >= if characters < SHORT_LINE_CHARS {
                MIN_SHORT_SCORE
            } else {
                MIN_SCORE
            }
}

/// Rotates regions so that their text runs along them: a long region by its own shape, a short one like most of the page.
fn rotate_to_text_direction(regions: Vec<Quad>) -> Vec<Quad> {
    let is_vertical = |quad: &Quad| {
        let ratio = quad.width() / quad.height();
        (ratio >= CLEAR_SIDE_RATIO || ratio <= 1.0 / CLEAR_SIDE_RATIO).then_some(ratio < 1.0)
    };
    let vote: f32 = regions
        .iter()
        .map(|quad| match is_vertical(quad) {
            Some(true) => quad.height(),
            Some(false) => -quad.width(),
            None => 0.0,
        })
        .sum();
    let rotate = |quad: Quad| {
        if is_vertical(&quad).unwrap_or(vote > 0.0) {
            quad.rotated(1)
        } else {
            quad
        }
    };
    regions.into_iter().map(rotate).collect()
}

fn to_page(image: &PageImage, lines: Vec<PlacedLine>) -> Page {
    let lines: Vec<_> = lines
        .into_iter()
        .filter_map(|PlacedLine { quad, reading }| {
            let corners = quad.0.map(|point| image.to_original(point));
            Some(Line {
                text: reading.text.trim().to_owned(),
                score: reading.score.min(1.0),
                bounds: Rect::around(&corners)?,
                corners,
            })
        })
        .collect();
    let texts: Vec<_> = lines.iter().map(|line| line.text.as_str()).collect();
    Page {
        text: texts.join("\n"),
        lines,
    }
}
