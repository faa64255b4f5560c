//! A sound of any length, in windows of up to 30 seconds, which is what Whisper hears at once. Each starts where the
//! speech that the one before it took in whole has ended.

use serde::{Deserialize, Serialize};

use super::audio::RATE;
use super::decode::{Decoded, Decoder};
use super::level::Levels;
use super::mel::{HOP, Mel};
use super::vocabulary::Vocabulary;
use crate::ModelError;

/// The length of a window, in seconds and in frames of the spectrum.
const WINDOW: f32 = 30.0;
const FRAMES: usize = 3_000;
const FRAMES_PER_SECOND: f32 = (RATE as usize / HOP) as f32;
/// A window starts so much before the first sound in it, in seconds: a word's soft beginning belongs to the word.
const LEAD: f32 = 0.2;
/// The least step from one window to the next, in seconds, so that there is an end.
const LEAST_STEP: f32 = 0.5;

/// A stretch of speech, most often a sentence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Segment {
    /// When it starts, in seconds.
    pub start: f32,
    /// When it ends, in seconds.
    pub end: f32,
    /// What is said, without spaces around it.
    pub text: String,
}

/// What was said, as far as it was decoded.
#[derive(Default)]
pub(super) struct Speech {
    pub(super) text: String,
    pub(super) segments: Vec<Segment>,
    /// An index into the vocabulary's languages.
    pub(super) language: Option<usize>,
}

/// Decodes samples at 16 kHz.
pub(super) fn decode(samples: &[f32], mel: &Mel, decoder: &Decoder<'_>) -> Result<Speech, ModelError> {
    let levels = Levels::of(samples);
    let duration = samples.len() as f32 / RATE as f32;
    let mut speech = Speech::default();
    let mut from = 0.0;
    while let Some(sound) = levels.next_sound(from, WINDOW) {
        decoder.interrupt.check()?;
        let first = ((sound.start - LEAD).max(from) * FRAMES_PER_SECOND) as usize;
        let start = first as f32 / FRAMES_PER_SECOND;
        let heard = decoder
            .network
            .hear(&mel.window(samples, first, FRAMES), decoder.interrupt)?;
        if speech.language.is_none() {
            speech.language = decoder.language(&heard)?;
        }
        let decoded = decoder.decode(&heard, speech.language)?;
        let length = (duration - start).min(WINDOW);
        let (pieces, step) = pieces(&decoded, length, decoder.vocabulary);
        for piece in pieces {
            speech.add(piece, start, duration, &levels, decoder.vocabulary);
        }
        from = start + step.max(LEAST_STEP);
    }
    if speech.segments.is_empty() {
        speech.language = None;
    }
    speech.text = speech.text.trim().to_owned();
    Ok(speech)
}

impl Speech {
    /// Takes a piece that has words in it, and a sound beneath them.
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

/// Tokens of text and when they are said, in seconds from the window's start.
#[derive(Debug, PartialEq)]
struct Piece {
    start: f32,
    end: f32,
    tokens: Vec<usize>,
}

/// Cuts a window of this length at its timestamps; and how far on the next starts. That is the last pair of timestamps,
/// where one segment is whole and the next cut off by the window's end; else behind the window.
fn pieces(decoded: &Decoded, length: f32, vocabulary: &Vocabulary) -> (Vec<Piece>, f32) {
    let tokens = &decoded.tokens;
    if decoded.is_silence() {
        return (Vec::new(), length);
    }
    let is_timestamp = |place: usize| vocabulary.is_timestamp(tokens[place]);
    let mut cuts: Vec<usize> = (1..tokens.len())
        .filter(|&place| is_timestamp(place - 1) && is_timestamp(place))
        .collect();
    let ends_whole = tokens.len() >= 2 && is_timestamp(tokens.len() - 1) && !is_timestamp(tokens.len() - 2);
    if cuts.is_empty() {
        return (vec![whole(tokens, length, vocabulary)], length);
    }
    if ends_whole {
        cuts.push(tokens.len());
    }
    let mut pieces = Vec::new();
    let mut from = 0;
    for cut in cuts {
        let tokens = &tokens[from..cut];
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
        from = cut;
    }
    let last = pieces.last().map_or(length, |piece| piece.end);
    (pieces, if ends_whole { length } else { last })
}

/// A window without a pair of timestamps: one segment, which may lack its end.
fn whole(tokens: &[usize], length: f32, vocabulary: &Vocabulary) -> Piece {
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
