//! Text in pictures with PP-OCRv4 (<https://github.com/PaddlePaddle/PaddleOCR>): one network finds the lines, one tells those
//! that stand on their heads, one reads them.
//!
//! | tensor | float32 shape | |
//! |---|---|---|
//! | `image` | `[batch, 3, height, width]` | blue, green, red, -1 to 1; a line is 48 high |
//! | `text` | `[batch, 1, height, width]` | how surely a pixel is of a line's core |
//! | `turned` | `[batch, 2]` | how surely a line is upright, and upside down |
//! | `classes` | `[batch, width / 8, 6625]` | how surely a step is nothing, each character, a space |

mod detect;
mod layout;
mod quad;
mod recognize;
mod sheet;
#[cfg(test)]
mod tests;
mod turn;

use std::path::Path;

use serde::{Deserialize, Serialize};

use self::detect::Detector;
use self::layout::Placed;
use self::quad::Quad;
use self::recognize::{Reading, Recognizer};
use self::sheet::Sheet;
use self::turn::TurnClassifier;
use crate::geometry::{Point, Rect};
use crate::id::ModelId;
use crate::image::Picture;
use crate::runtime::{self, Interrupt};
use crate::{LoadError, ModelError};

/// A line that is less sure than this is left out: what is no text reads as a few characters of a low score.
const MIN_SCORE: f32 = 0.5;
/// Things are taken for one character or two: these must be surer.
const MIN_SHORT_SCORE: f32 = 0.8;
const SHORT: usize = 3;
/// A region this much longer than it is high, or the other way round, tells by its shape which way its text runs.
const CLEAR_SHAPE: f32 = 1.5;
/// A page is upright without a second look if so much of it is, by the classifier.
const CLEAR_PAGE: f32 = 0.8;
/// So surely must the classifier contradict the page for a line to be read both ways.
const CLEAR_LINE: f32 = 0.9;
/// Most lines that are read both ways to find out about the page.
const PROBES: usize = 3;

/// The text of a picture.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Page {
    /// All lines in the order of reading, with a newline between two; empty if there is no text.
    pub text: String,
    /// The same lines one by one.
    pub lines: Vec<Line>,
}

/// A line of text. Pixels are those of the upright original: as EXIF says the picture is to be shown, whichever way its
/// text runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// What it says.
    pub text: String,
    /// How sure the model is: the mean probability of its characters, 0.5 to 1.
    pub score: f32,
    /// The least upright rectangle around it, within the picture.
    #[serde(rename = "box")]
    pub bounds: Rect,
    /// The corners of the rectangle that it fills, clockwise from the upper left of its text: of text that runs down the
    /// page, that is the upper right.
    pub corners: [Point; 4],
}

/// The three networks. Share one per process; calls from several threads take turns.
#[derive(Debug)]
pub struct OcrModel {
    detector: Detector,
    turns: TurnClassifier,
    recognizer: Recognizer,
}

impl OcrModel {
    /// Names the recognizer, which decides on the text.
    pub const ID: ModelId = ModelId {
        name: "pp-ocrv4",
        version: "26a967b98781",
    };

    /// Loads `models/ocr/` under `assets`, the networks side by side.
    ///
    /// # Errors
    /// [`LoadError`] when a file is absent or damaged; never because of load or of anything that passes.
    pub fn load(assets: &Path) -> Result<Self, LoadError> {
        runtime::init(assets)?;
        std::thread::scope(|scope| {
            let recognizer = scope.spawn(|| Recognizer::load(assets));
            let detector = Detector::load(assets)?;
            let turns = TurnClassifier::load(assets)?;
            let recognizer = recognizer
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            Ok(Self {
                detector,
                turns,
                recognizer,
            })
        })
    }

    /// Reads the text in an image file. Blocks; call it off the async threads.
    ///
    /// # Errors
    /// [`ModelError::Input`] for a file that [`crate::image`] refuses. [`ModelError::Interrupted`] once `interrupt` is
    /// triggered, before or during the run. [`ModelError::Inference`] if ONNX Runtime fails.
    pub fn read(&self, image: &[u8], interrupt: &Interrupt) -> Result<Page, ModelError> {
        interrupt.check()?;
        let picture = Picture::decode(image)?;
        interrupt.check()?;
        let sheet = Sheet::of(picture);
        interrupt.check()?;
        let regions = self.detector.regions(&sheet, interrupt)?;
        let lines = self.lines(&sheet, regions, interrupt)?;
        let lines = layout::arrange(lines);
        Ok(page(&sheet, lines))
    }

    /// Reads regions, each the right way up, and drops those that are no text.
    fn lines(
        &self,
        sheet: &Sheet,
        regions: Vec<Quad>,
        interrupt: &Interrupt,
    ) -> Result<Vec<Placed>, ModelError> {
        let quads = sideways(regions);
        let turned = self.turns.turned(sheet, &quads, interrupt)?;
        let page_is_turned = self.page_is_turned(sheet, &quads, &turned, interrupt)?;
        let by_page = |quad: &Quad| if page_is_turned { quad.turned(2) } else { *quad };
        let quads: Vec<_> = quads.iter().map(by_page).collect();
        let mut readings = self.recognizer.read(sheet, &quads, interrupt)?;
        let mut quads = quads;

        let doubtful: Vec<_> = (0..quads.len())
            .filter(|&line| {
                let against = if page_is_turned {
                    1.0 - turned[line]
                } else {
                    turned[line]
                };
                against > CLEAR_LINE
            })
            .collect();
        let others: Vec<_> = doubtful.iter().map(|&line| quads[line].turned(2)).collect();
        let other_readings = self.recognizer.read(sheet, &others, interrupt)?;
        for ((line, quad), reading) in doubtful.into_iter().zip(others).zip(other_readings) {
            if reading.score > readings[line].score {
                (quads[line], readings[line]) = (quad, reading);
            }
        }
        let placed = quads.into_iter().zip(readings);
        Ok(placed
            .filter(|(_, reading)| is_text(reading))
            .map(|(quad, reading)| Placed { quad, reading })
            .collect())
    }

    /// Whether most of the text stands on its head. Where the classifier does not clearly say no, the longest lines are
    /// read both ways: a wrong yes would garble the whole page.
    fn page_is_turned(
        &self,
        sheet: &Sheet,
        quads: &[Quad],
        turned: &[f32],
        interrupt: &Interrupt,
    ) -> Result<bool, ModelError> {
        let all: f32 = quads.iter().map(Quad::width).sum();
        let votes: f32 = quads
            .iter()
            .zip(turned)
            .map(|(quad, turned)| quad.width() * turned)
            .sum();
        let share = votes / all.max(f32::MIN_POSITIVE);
        if share <= 1.0 - CLEAR_PAGE {
            return Ok(false);
        }
        let mut longest = quads.to_vec();
        longest.sort_by(|a, b| b.width().total_cmp(&a.width()));
        longest.truncate(PROBES);
        let turned: Vec<_> = longest.iter().map(|quad| quad.turned(2)).collect();
        let sum = |readings: Vec<Reading>| readings.iter().map(|reading| reading.score).sum::<f32>();
        let upright = sum(self.recognizer.read(sheet, &longest, interrupt)?);
        let turned = sum(self.recognizer.read(sheet, &turned, interrupt)?);
        Ok(turned > upright)
    }
}

fn is_text(reading: &Reading) -> bool {
    let characters = reading.text.chars().count();
    characters > 0
        && reading.score
            >= if characters < SHORT {
                MIN_SHORT_SCORE
            } else {
                MIN_SCORE
            }
}

/// Turns regions so that their text runs along them: a long one by its own shape, a short one as most of the page.
fn sideways(regions: Vec<Quad>) -> Vec<Quad> {
    let clear = |quad: &Quad| {
        let ratio = quad.width() / quad.height();
        (ratio >= CLEAR_SHAPE || ratio <= 1.0 / CLEAR_SHAPE).then_some(ratio < 1.0)
    };
    let vote: f32 = regions
        .iter()
        .map(|quad| match clear(quad) {
            Some(true) => quad.height(),
            Some(false) => -quad.width(),
            None => 0.0,
        })
        .sum();
    let turn = |quad: Quad| {
        if clear(&quad).unwrap_or(vote > 0.0) {
            quad.turned(1)
        } else {
            quad
        }
    };
    regions.into_iter().map(turn).collect()
}

fn page(sheet: &Sheet, lines: Vec<Placed>) -> Page {
    let lines: Vec<_> = lines
        .into_iter()
        .filter_map(|Placed { quad, reading }| {
            let corners = quad.0.map(|point| sheet.original(point));
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
