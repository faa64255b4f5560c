//! Recognizes the text of single lines, with PP-OCR's recognizer (SVTR-LCNet: Du et al., "SVTR: Scene Text Recognition with a Single Visual
//! Model", 2022, <https://arxiv.org/abs/2205.00159>), which outputs a class for every 8 pixels along the line
//! (connectionist temporal classification: Graves et al., 2006).

use std::path::{Path, PathBuf};

use ndarray::{Array3, Array4, ArrayView2, ArrayViewD, Axis, Ix3, s};
use ort::value::TensorRef;

use super::page_image::PageImage;
use super::quad::Quad;
use crate::runtime::{self, Interrupt, Model};
use crate::{LoadError, ModelError};

const MODEL: &str = "models/ocr/rec.onnx";
const CHARACTERS: &str = "models/ocr/characters.txt";

/// The height of the network's input, in pixels.
const HEIGHT: usize = 48;
/// Widths are rounded up to a multiple of this, in pixels. Only lines of the same width share a run, so that the other lines
/// of a run do not change a line's result.
const WIDTH_STEP: usize = 32;
const MIN_WIDTH: usize = 64;
/// A longer line is split, since time and memory of the network's attention grow with the square of the width.
const MAX_WIDTH: usize = 1_920;
/// The width of the stretch in which a place for a split is searched, in pixels.
const SPLIT_SEARCH_WIDTH: usize = 480;
/// The minimum width of a space, in pixels.
const MIN_SPACE_WIDTH: usize = 8;
/// The maximum width of all lines of a run together, in pixels.
const MAX_BATCH_WIDTH: usize = 960;
/// The maximum number of pieces of a line. The pieces of a longer line are compressed.
const MAX_PIECES: usize = 64;

/// Two characters have a space between them if a space has this probability at any step between them. The thresholds come
/// from 6,602 pairs in lines of 9 fonts, some blurred, noisy or 10 pixels high. 0.6 % of the pairs are on the wrong side.
const MIN_SPACE: f32 = 0.08;
/// The threshold after punctuation and before a letter, where a space is usual (91 of 95). Without a space, the probability
/// never reached 0.002.
const MIN_SPACE_AFTER_PUNCTUATION: f32 = 0.012;
/// The threshold before punctuation, where a space is not usual.
const MIN_SPACE_BEFORE_PUNCTUATION: f32 = 0.95;
const PUNCTUATION: [&str; 6] = [".", ",", ";", ":", "!", "?"];

/// The recognized text of a line.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Reading {
    pub(super) text: String,
    /// The mean probability of the characters; 0 without any.
    pub(super) score: f32,
}

impl Reading {
    /// Appends the text to the right of this one.
    pub(super) fn append(&mut self, next: &Self) {
        let length = |reading: &Self| reading.text.chars().count() as f32;
        let (own, added) = (length(self), length(next));
        if own * added > 0.0 {
            self.text.push(' ');
        }
        self.text.push_str(&next.text);
        self.score = (self.score * own + next.score * added) / (own + added).max(1.0);
    }
}

#[derive(Debug)]
pub(super) struct Recognizer {
    model: Model,
    /// The characters by class. The first class, blank, is left out; the last one is the space.
    characters: Vec<String>,
}

impl Recognizer {
    pub(super) fn load(assets: &Path) -> Result<Self, LoadError> {
        let characters = characters(assets.join(CHARACTERS))?;
        let model = Model::load(assets.join(MODEL), &["image"], &["classes"])?.returning_memory();
        Ok(Self { model, characters })
    }

    /// Reads lines: one reading for each, in their order.
    pub(super) fn read(
        &self,
        page: &PageImage,
        lines: &[Quad],
        interrupt: &Interrupt,
    ) -> Result<Vec<Reading>, ModelError> {
        let (mut owners, mut pieces) = (Vec::new(), Vec::new());
        for (line, quad) in lines.iter().enumerate() {
            for piece in split(page, quad) {
                owners.push(line);
                pieces.push(piece);
            }
        }
        let mut piece_readings = vec![Reading::default(); pieces.len()];
        for batch in batches(&pieces) {
            interrupt.check()?;
            for (&piece, reading) in batch
                .lines
                .iter()
                .zip(self.run(page, &pieces, &batch, interrupt)?)
            {
                piece_readings[piece] = reading;
            }
        }
        let mut readings = vec![Reading::default(); lines.len()];
        for (line, reading) in owners.into_iter().zip(piece_readings) {
            readings[line].append(&reading);
        }
        Ok(readings)
    }

    fn run(
        &self,
        page: &PageImage,
        lines: &[Quad],
        batch: &Batch,
        interrupt: &Interrupt,
    ) -> Result<Vec<Reading>, ModelError> {
        let mut input = Array4::zeros((batch.lines.len(), 3, HEIGHT, batch.width));
        for (&line, mut image) in batch.lines.iter().zip(input.axis_iter_mut(Axis(0))) {
            let width = width(&lines[line]).min(batch.width);
            page.sample(&lines[line], image.slice_mut(s![.., .., ..width]));
        }
        let tensor = TensorRef::from_array_view(&input).map_err(runtime::failed)?;
        self.model
            .run(vec![("image", tensor.into())], interrupt, |outputs| {
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
                let decode = |steps| decode(&self.characters, steps);
                Ok(classes.outer_iter().map(decode).collect())
            })
    }
}

/// Decodes the most probable class of each step. Equal consecutive classes are one character; a blank separates two equal
/// characters.
///
/// A space is rarely the most probable class, since the network was trained on lines without spaces. Between two words its
/// probability is higher by orders of magnitude than elsewhere, so it has its own thresholds.
fn decode(characters: &[String], steps: ArrayView2<'_, f32>) -> Reading {
    let space = characters.len();
    let mut text = String::new();
    let (mut sum, mut count, mut previous_class, mut last, mut max_space) = (0.0, 0, 0, None, 0.0_f32);
    for step in steps.outer_iter() {
        let (class, probability) = argmax(step.iter());
        max_space = max_space.max(step[space]);
        if class != 0 && class != space {
            let character = characters[class - 1].as_str();
            if class != previous_class {
                if last.is_some_and(|last| max_space >= min_space(last, character)) {
                    text.push(' ');
                }
                text.push_str(character);
                sum += probability;
                count += 1;
            }
            (last, max_space) = (Some(character), step[space]);
        }
        previous_class = class;
    }
    Reading {
        text: to_halfwidth(text),
        score: if count == 0 { 0.0 } else { sum / count as f32 },
    }
}

/// Replaces fullwidth forms of ASCII characters in a line without Chinese, where they are misreadings.
fn to_halfwidth(text: String) -> String {
    if text.chars().any(|c| ('\u{3400}'..='\u{9fff}').contains(&c)) {
        return text;
    }
    let fullwidth = '\u{ff01}'..='\u{ff5e}';
    let convert = |c: char| match fullwidth.contains(&c) {
        true => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        false => c,
    };
    text.chars().map(convert).collect()
}

fn min_space(left: &str, right: &str) -> f32 {
    if PUNCTUATION.contains(&right) {
        MIN_SPACE_BEFORE_PUNCTUATION
    } else if PUNCTUATION.contains(&left) && right.chars().all(char::is_alphabetic) {
        MIN_SPACE_AFTER_PUNCTUATION
    } else {
        MIN_SPACE
    }
}

fn argmax<'a>(probabilities: impl Iterator<Item = &'a f32>) -> (usize, f32) {
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

/// Splits a line that is too long into pieces of similar length. Each split is at the place of the lowest contrast nearby,
/// which is most likely a space.
fn split(page: &PageImage, line: &Quad) -> Vec<Quad> {
    let full_width = HEIGHT as f32 * line.width() / line.height();
    let pieces = (full_width / MAX_WIDTH as f32).ceil().min(MAX_PIECES as f32);
    if pieces <= 1.0 {
        return vec![*line];
    }
    let mut splits = vec![0.0];
    for split in 1..pieces as usize {
        let around = split as f32 / pieces;
        splits.push(around + lowest_contrast(page, line, around, full_width) / full_width);
    }
    splits.push(1.0);
    splits
        .windows(2)
        .map(|ends| line.section(ends[0], ends[1]))
        .collect()
}

/// The distance from a place to the stretch of a space's width with the lowest contrast, in pixels of the network's input.
fn lowest_contrast(page: &PageImage, line: &Quad, around: f32, full_width: f32) -> f32 {
    let half = SPLIT_SEARCH_WIDTH as f32 / 2.0;
    let stretch = line.section(around - half / full_width, around + half / full_width);
    let mut image = Array3::zeros((3, HEIGHT, SPLIT_SEARCH_WIDTH));
    page.sample(&stretch, image.view_mut());
    let contrast: Vec<f32> = image
        .axis_iter(Axis(2))
        .map(|column| {
            let (min, max) = column.iter().fold((1.0_f32, -1.0_f32), |(min, max), &value| {
                (min.min(value), max.max(value))
            });
            max - min
        })
        .collect();
    let sums = contrast
        .windows(MIN_SPACE_WIDTH)
        .map(|window| window.iter().sum::<f32>());
    let best = sums.enumerate().min_by(|a, b| a.1.total_cmp(&b.1));
    best.map_or(0.0, |(start, _)| (start + MIN_SPACE_WIDTH / 2) as f32 - half)
}

/// Lines of one run, as indices, which are all sampled at this width.
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
        .map(|line| width(line).next_multiple_of(WIDTH_STEP).max(MIN_WIDTH))
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

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;

    const CLASSES: [&str; 5] = ["-", "a", "b", ".", " "];

    /// Decodes steps with these classes at a probability of 0.9, and the given probabilities of a space.
    fn decoded(steps: &[(&str, f32)]) -> Reading {
        let mut table = Array2::zeros((steps.len(), CLASSES.len()));
        for (step, &(name, space)) in steps.iter().enumerate() {
            let class = CLASSES.iter().position(|&class| class == name).unwrap();
            table[(step, 4)] = space;
            table[(step, class)] = 0.9;
        }
        let characters: Vec<_> = CLASSES[1..].iter().map(|&class| class.to_owned()).collect();
        decode(&characters, table.view())
    }

    fn plain(steps: &[&str]) -> Reading {
        decoded(&steps.iter().map(|&step| (step, 0.0)).collect::<Vec<_>>())
    }

    #[test]
    fn steps_become_characters() {
        assert_eq!(plain(&["-", "a", "a", "-", "a", "b", "b", "-"]).text, "aab");
        assert!((plain(&["a", "-"]).score - 0.9).abs() < 1e-6);
        assert_eq!(plain(&["-", "-"]), Reading::default());
        assert_eq!(plain(&[]), Reading::default());
    }

    #[test]
    fn space_need_not_be_the_most_probable_class() {
        assert_eq!(decoded(&[("a", 0.0), ("-", 0.09), ("b", 0.0)]).text, "a b");
        assert_eq!(decoded(&[("a", 0.0), ("-", 0.01), ("b", 0.0)]).text, "ab");
        assert_eq!(plain(&["a", " ", "b"]).text, "a b");
        assert_eq!(
            decoded(&[("a", 0.0), ("-", 0.5), (".", 0.0), ("-", 0.02), ("b", 0.0)]).text,
            "a. b"
        );
        // Spaces at the ends are dropped, and do not count for the score.
        let reading = decoded(&[(" ", 0.9), ("a", 0.0), (" ", 0.9)]);
        assert_eq!(reading.text, "a");
        assert!((reading.score - 0.9).abs() < 1e-6);
    }

    #[test]
    fn fullwidth_forms_are_preserved_only_among_chinese() {
        assert_eq!(to_halfwidth("（a，b）！".to_owned()), "(a,b)!");
        assert_eq!(to_halfwidth("（甲，b）！".to_owned()), "（甲，b）！");
    }

    fn line(width: f32) -> Quad {
        let corners = [(0.0, 0.0), (width, 0.0), (width, 24.0), (0.0, 24.0)];
        Quad(corners.map(|(x, y)| crate::geometry::Point { x, y }))
    }

    #[test]
    fn only_lines_of_the_same_width_share_a_run() {
        // The input is twice as large as the picture: 200, 640, 216 and 640 pixels wide.
        let batches = batches(&[100.0, 320.0, 108.0, 320.0].map(line));
        let lines: Vec<_> = batches
            .iter()
            .map(|batch| (batch.width, &batch.lines[..]))
            .collect();
        assert_eq!(lines, [(224, &[0, 2][..]), (640, &[1]), (640, &[3])]);
    }
}
