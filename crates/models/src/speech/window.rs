//! Transcribes a recording of any length in windows of up to 30 seconds, Whisper's input size. Each window starts at the end
//! of the last segment that is complete in the previous window.

use serde::{Deserialize, Serialize};

use super::audio::RATE;
use super::decode::{DecodedWindow, Decoder};
use super::level::Levels;
use super::mel::{HOP, Mel};
use super::vocabulary::Vocabulary;
use crate::ModelError;

/// The length of a window, in seconds.
const WINDOW: f32 = 30.0;
/// The length of a window, in frames of the spectrum.
const FRAMES: usize = 3_000;
const FRAMES_PER_SECOND: f32 = (RATE as usize / HOP) as f32;
/// The time between a window's start and its first loud block, in seconds. It includes the soft beginning of a word.
const LEAD: f32 = 0.2;
/// The minimum step from one window to the next, in seconds. It ensures that transcription ends.
const MIN_STEP: f32 = 0.5;

/// A stretch of speech, usually a sentence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Segment {
    /// The start, in seconds from the recording's start.
    pub start: f32,
    /// The end, in seconds from the recording's start.
    pub end: f32,
    /// The text, without surrounding spaces; never empty.
    pub text: String,
}

/// The transcript of the windows so far.
#[derive(Default)]
pub(super) struct Speech {
    pub(super) text: String,
    pub(super) segments: Vec<Segment>,
    /// The language, as an index into the vocabulary's languages.
    pub(super) language: Option<usize>,
}

/// Transcribes samples at 16 kHz.
pub(super) fn transcribe(samples: &[f32], mel: &Mel, decoder: &Decoder<'_>) -> Result<Speech, ModelError> {
    let levels = Levels::new(samples);
    let duration = samples.len() as f32 / RATE as f32;
    let mut speech = Speech::default();
    let mut from = 0.0;
    while let Some(stretch) = levels.next_possible_speech(from, WINDOW) {
        decoder.interrupt.check()?;
        let first = ((stretch.start - LEAD).max(from) * FRAMES_PER_SECOND) as usize;
        let start = first as f32 / FRAMES_PER_SECOND;
        let window = decoder
            .network
            .encode(&mel.window(samples, first, FRAMES), decoder.interrupt)?;
        if speech.language.is_none() {
            speech.language = decoder.detect_language(&window)?;
        }
        let decoded = decoder.decode(&window, speech.language)?;
        let length = (duration - start).min(WINDOW);
        let (pieces, step) = pieces(&decoded, length, decoder.vocabulary);
        for piece in pieces {
            speech.add(piece, start, duration, &levels, decoder.vocabulary);
        }
        from = start + step.max(MIN_STEP);
    }
    if speech.segments.is_empty() {
        speech.language = None;
    }
    speech.text = speech.text.trim().to_owned();
    Ok(speech)
}

impl Speech {
    /// Adds a piece, unless it has no text or the recording is silent there.
    fn add(&mut self, piece: Piece, start: f32, duration: f32, levels: &Levels, vocabulary: &Vocabulary) {
        let text = vocabulary.text(&piece.tokens);
        let (start, end) = (start + piece.start, (start + piece.end).min(duration));
        if text.trim().is_empty() || start >= end || levels.is_silent(start..end) {
            return;
        }
        self.text.push_str(&text);
        self.segments.push(Segment {
            start,
            end,
            text: text.trim().to_owned(),
        });
    }
}

/// The tokens of a segment, with their times in seconds from the window's start.
#[derive(Debug, PartialEq)]
struct Piece {
    start: f32,
    end: f32,
    tokens: Vec<usize>,
}

/// Splits a window of this length at its timestamps. Also returns the step to the next window. The step ends at the last pair
/// of timestamps if the window's end cuts off a segment, else at the window's end.
fn pieces(decoded: &DecodedWindow, length: f32, vocabulary: &Vocabulary) -> (Vec<Piece>, f32) {
    let tokens = &decoded.tokens;
    if decoded.has_no_speech() {
        return (Vec::new(), length);
    }
    let is_timestamp = |place: usize| vocabulary.is_timestamp(tokens[place]);
    let mut splits: Vec<usize> = (1..tokens.len())
        .filter(|&place| is_timestamp(place - 1) && is_timestamp(place))
        .collect();
    let is_complete = tokens.len() >= 2 && is_timestamp(tokens.len() - 1) && !is_timestamp(tokens.len() - 2);
    if splits.is_empty() {
        return (vec![single_piece(tokens, length, vocabulary)], length);
    }
    if is_complete {
        splits.push(tokens.len());
    }
    let mut pieces = Vec::new();
    let mut from = 0;
    for split in splits {
        let tokens = &tokens[from..split];
        let seconds = |token: usize| {
            if vocabulary.is_timestamp(token) {
                vocabulary.seconds(token)
            } else {
                0.0
            }
        };
        pieces.push(Piece {
            start: seconds(tokens[0]),
            end: seconds(tokens[tokens.len() - 1]),
            tokens: tokens.to_vec(),
        });
        from = split;
    }
    let last = pieces.last().map_or(length, |piece| piece.end);
    (pieces, if is_complete { length } else { last })
}

/// The only segment of a window without a pair of timestamps. Its end may be missing.
fn single_piece(tokens: &[usize], length: f32, vocabulary: &Vocabulary) -> Piece {
    let time = |token: Option<&usize>| {
        let token = token.filter(|&&token| vocabulary.is_timestamp(token))?;
        Some(vocabulary.seconds(*token))
    };
    let start = time(tokens.first()).unwrap_or(0.0);
    let end = time(tokens.last()).unwrap_or(length);
    Piece {
        start: if start < end { start } else { 0.0 },
        end,
        tokens: tokens.to_vec(),
    }
}

#[cfg(test)]
mod tests;
