//! Reads single lines, with PP-OCR's recognizer (SVTR-LCNet: Du et al., "SVTR: Scene Text Recognition with a Single Visual
//! Model", 2022, <https://arxiv.org/abs/2205.00159>), whose output is a class for every 8 pixels along the line
//! (connectionist temporal classification: Graves et al., 2006).

use std::path::{Path, PathBuf};

use ndarray::{Array3, Array4, ArrayView2, ArrayViewD, Axis, Ix3, s};
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
/// How far around the end of a piece a place for the cut is looked for, and how wide a space is at the least, in pixels.
const CUT_SEARCH: usize = 480;
const SPACE_WIDTH: usize = 8;
/// Most pixels along the lines of one run.
const MAX_BATCH_WIDTH: usize = 960;
/// Most pieces of a line; what is longer still is squeezed.
const MAX_PIECES: usize = 64;

/// Two characters have a space between them if it was this likely at any step from one to the other. The figures come from
/// 6,602 pairs in lines of 9 fonts, some blurred, noisy or 10 pixels high; 0.6 % of them are on the wrong side.
const MIN_SPACE: f32 = 0.08;
/// After a mark and before a letter, where a space belongs (91 of 95): without one it never came to 0.002.
const MIN_SPACE_AFTER_MARK: f32 = 0.012;
/// Before a mark, where none belongs.
const MIN_SPACE_BEFORE_MARK: f32 = 0.95;
const MARKS: [&str; 6] = [".", ",", ";", ":", "!", "?"];

/// What a line says.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Reading {
    pub(super) text: String,
    /// The mean of its characters' probabilities; 0 without any.
    pub(super) score: f32,
}

impl Reading {
    /// Adds what stands to its right.
    pub(super) fn append(&mut self, next: &Self) {
        let length = |reading: &Self| reading.text.chars().count() as f32;
        let (own, others) = (length(self), length(next));
        if own * others > 0.0 {
            self.text.push(' ');
        }
        self.text.push_str(&next.text);
        self.score = (self.score * own + next.score * others) / (own + others).max(1.0);
    }
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
        let (mut owners, mut pieces) = (Vec::new(), Vec::new());
        for (line, quad) in lines.iter().enumerate() {
            for piece in cut(sheet, quad) {
                owners.push(line);
                pieces.push(piece);
            }
        }
        let mut read = vec![Reading::default(); pieces.len()];
        for batch in batches(&pieces) {
            interrupt.check()?;
            for (&piece, reading) in batch
                .lines
                .iter()
                .zip(self.run(sheet, &pieces, &batch, interrupt)?)
            {
                read[piece] = reading;
            }
        }
        let mut readings = vec![Reading::default(); lines.len()];
        for (line, reading) in owners.into_iter().zip(read) {
            readings[line].append(&reading);
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

/// The likeliest class of each step; repeated ones are one character, and "none" stands between two that are alike.
///
/// A space is rarely the likeliest, as the network learned from lines without any. But between two words it is likelier
/// than elsewhere by orders of magnitude, which is what counts here.
fn decode(characters: &[String], steps: ArrayView2<'_, f32>) -> Reading {
    let space = characters.len();
    let mut text = String::new();
    let (mut sum, mut count, mut before, mut last, mut gap) = (0.0, 0, 0, None, 0.0_f32);
    for step in steps.outer_iter() {
        let (class, probability) = likeliest(step.iter());
        gap = gap.max(step[space]);
        if class != 0 && class != space {
            let character = characters[class - 1].as_str();
            if class != before {
                if last.is_some_and(|last| gap >= min_space(last, character)) {
                    text.push(' ');
                }
                text.push_str(character);
                sum += probability;
                count += 1;
            }
            (last, gap) = (Some(character), step[space]);
        }
        before = class;
    }
    Reading {
        text: narrow(text),
        score: if count == 0 { 0.0 } else { sum / count as f32 },
    }
}

/// The wide forms of ASCII characters belong to Chinese; in a line without any they are a misreading of the narrow ones.
fn narrow(text: String) -> String {
    if text.chars().any(|c| ('\u{3400}'..='\u{9fff}').contains(&c)) {
        return text;
    }
    let wide = '\u{ff01}'..='\u{ff5e}';
    let narrow = |c: char| match wide.contains(&c) {
        true => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        false => c,
    };
    text.chars().map(narrow).collect()
}

fn min_space(left: &str, right: &str) -> f32 {
    if MARKS.contains(&right) {
        MIN_SPACE_BEFORE_MARK
    } else if MARKS.contains(&left) && right.chars().all(char::is_alphabetic) {
        MIN_SPACE_AFTER_MARK
    } else {
        MIN_SPACE
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

/// Cuts a line that is too long into pieces of like length, each cut at the quietest place near it: there, if anywhere,
/// is a space.
fn cut(sheet: &Sheet, line: &Quad) -> Vec<Quad> {
    let whole = HEIGHT as f32 * line.width() / line.height();
    let pieces = (whole / MAX_WIDTH as f32).ceil().min(MAX_PIECES as f32);
    if pieces <= 1.0 {
        return vec![*line];
    }
    let mut cuts = vec![0.0];
    for cut in 1..pieces as usize {
        let around = cut as f32 / pieces;
        cuts.push(around + quietest(sheet, line, around, whole) / whole);
    }
    cuts.push(1.0);
    cuts.windows(2).map(|ends| line.part(ends[0], ends[1])).collect()
}

/// How far from a place, in the network's pixels, a stretch as wide as a space differs least in itself.
fn quietest(sheet: &Sheet, line: &Quad, around: f32, whole: f32) -> f32 {
    let half = CUT_SEARCH as f32 / 2.0;
    let stretch = line.part(around - half / whole, around + half / whole);
    let mut image = Array3::zeros((3, HEIGHT, CUT_SEARCH));
    sheet.paint(&stretch, image.view_mut());
    let contrast: Vec<f32> = image
        .axis_iter(Axis(2))
        .map(|column| {
            let (least, most) = column.iter().fold((1.0_f32, -1.0_f32), |(least, most), &v| {
                (least.min(v), most.max(v))
            });
            most - least
        })
        .collect();
    let sums = contrast
        .windows(SPACE_WIDTH)
        .map(|window| window.iter().sum::<f32>());
    let best = sums.enumerate().min_by(|a, b| a.1.total_cmp(&b.1));
    best.map_or(0.0, |(start, _)| (start + SPACE_WIDTH / 2) as f32 - half)
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

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;

    const CLASSES: [&str; 5] = ["-", "a", "b", ".", " "];

    /// What the steps of these classes say, each sure by 0.9, with a space as likely as given.
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
    fn a_space_needs_not_be_the_likeliest() {
        assert_eq!(decoded(&[("a", 0.0), ("-", 0.09), ("b", 0.0)]).text, "a b");
        assert_eq!(decoded(&[("a", 0.0), ("-", 0.01), ("b", 0.0)]).text, "ab");
        assert_eq!(plain(&["a", " ", "b"]).text, "a b");
        assert_eq!(
            decoded(&[("a", 0.0), ("-", 0.5), (".", 0.0), ("-", 0.02), ("b", 0.0)]).text,
            "a. b"
        );
        // Nor does one stand at an end, or count for the score.
        let reading = decoded(&[(" ", 0.9), ("a", 0.0), (" ", 0.9)]);
        assert_eq!(reading.text, "a");
        assert!((reading.score - 0.9).abs() < 1e-6);
    }

    #[test]
    fn wide_forms_stay_among_chinese_only() {
        assert_eq!(narrow("（a，b）！".to_owned()), "(a,b)!");
        assert_eq!(narrow("（甲，b）！".to_owned()), "（甲，b）！");
    }

    fn line(width: f32) -> Quad {
        let corners = [(0.0, 0.0), (width, 0.0), (width, 24.0), (0.0, 24.0)];
        Quad(corners.map(|(x, y)| crate::geometry::Point { x, y }))
    }

    #[test]
    fn lines_of_one_width_run_together() {
        // Twice as wide as in the picture: 200, 640, 216 and 640 pixels.
        let batches = batches(&[100.0, 320.0, 108.0, 320.0].map(line));
        let lines: Vec<_> = batches
            .iter()
            .map(|batch| (batch.width, &batch.lines[..]))
            .collect();
        assert_eq!(lines, [(224, &[0, 2][..]), (640, &[1]), (640, &[3])]);
    }
}
