//! From what was heard in a window to tokens: greedy, under the rules that Whisper was trained by, and with its ways out
//! of a wrong path (the `decoding.py` and `transcribe.py` of its authors).

use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;

use super::network::{Heard, Memory, Network};
use super::vocabulary::Vocabulary;
use crate::{Interrupt, ModelError};

/// The most tokens of a window: what the decoder was trained for.
const MOST_TOKENS: usize = 224;
/// The first words of a window start this soon, in timestamps (1 s).
const LATEST_START: usize = 50;
/// How freely each attempt chooses: first always the likeliest token, then, by chance of a fixed seed, others too. The
/// authors try six; two bring nearly all that helps.
const TEMPERATURES: [f32; 3] = [0.0, 0.4, 0.8];
/// Text that zlib shrinks by more than this repeats itself.
const MOST_COMPRESSION: f32 = 2.4;
/// A mean log probability of the tokens below this means that the model guessed.
const LEAST_LOGPROB: f32 = -1.0;
/// Nobody spoke if the model says so with more than the first of each pair, and its tokens' mean log probability is below
/// the second. The authors have one pair (0.6, -1); against the "you" that a click or a chime is heard as, ours are
/// stricter. Of 94 clips of speech in both variants, half under noise, the least sure had 0.54 and -0.15, the next 0.37;
/// of 18 of clicks, chimes, beeps, chords and swelling noise each had over 0.7 and below -0.7, or over 0.45 and below
/// -1.2.
const NO_SPEECH: [(f32, f32); 2] = [(0.6, -0.5), (0.4, LEAST_LOGPROB)];
/// The same text tokens over and over, at least so many, and at least four times: a loop, which never ends by itself.
const LOOP_TOKENS: usize = 20;
const LOOP_TIMES: usize = 4;
const LONGEST_LOOP: usize = 40;

/// What was said in a window.
pub(super) struct Decoded {
    /// Text and timestamps.
    pub(super) tokens: Vec<usize>,
    /// The mean of the tokens' log probabilities.
    logprob: f32,
    /// How surely nobody spoke, 0 to 1.
    no_speech: f32,
    repeats: bool,
}

impl Decoded {
    /// Whether the model thinks that nobody spoke.
    pub(super) fn is_silence(&self) -> bool {
        NO_SPEECH
            .iter()
            .any(|&(no_speech, logprob)| self.no_speech > no_speech && self.logprob < logprob)
    }

    fn is_good(&self) -> bool {
        (!self.repeats && self.logprob >= LEAST_LOGPROB) || self.is_silence()
    }
}

pub(super) struct Decoder<'a> {
    pub(super) network: &'a Network,
    pub(super) vocabulary: &'a Vocabulary,
    pub(super) interrupt: &'a Interrupt,
}

impl Decoder<'_> {
    /// The language that is spoken, as an index into the vocabulary's languages; None if the model knows but one.
    pub(super) fn language(&self, heard: &Heard) -> Result<Option<usize>, ModelError> {
        let first = self.vocabulary.start + 1;
        let count = self.vocabulary.languages.len();
        if count == 0 {
            return Ok(None);
        }
        let logits = self.step(&[self.vocabulary.start], heard, &mut self.network.memory()?)?;
        Ok(Some(likeliest(&logits[first..first + count])))
    }

    /// Decodes a window, in the language with this index.
    pub(super) fn decode(&self, heard: &Heard, language: Option<usize>) -> Result<Decoded, ModelError> {
        let mut best: Option<Decoded> = None;
        for temperature in TEMPERATURES {
            let decoded = self.attempt(heard, language, temperature)?;
            if decoded.is_good() {
                return Ok(decoded);
            }
            let rank = |decoded: &Decoded| (!decoded.repeats, decoded.logprob);
            if best.as_ref().is_none_or(|best| rank(&decoded) > rank(best)) {
                best = Some(decoded);
            }
        }
        best.ok_or_else(|| ModelError::Inference("there was no attempt at decoding".into()))
    }

    fn attempt(
        &self,
        heard: &Heard,
        language: Option<usize>,
        temperature: f32,
    ) -> Result<Decoded, ModelError> {
        let vocabulary = self.vocabulary;
        let mut memory = self.network.memory()?;
        let mut logits = self.step(&[vocabulary.start], heard, &mut memory)?;
        let no_speech = log_softmax_at(&logits, vocabulary.no_speech).exp();
        if let Some(language) = language {
            let prompt = [vocabulary.start + 1 + language, vocabulary.transcribe];
            logits = self.step(&prompt, heard, &mut memory)?;
        }
        let mut chance = fastrand::Rng::with_seed(0);
        let mut tokens = Vec::new();
        let mut logprob = 0.0;
        let mut count = 0;
        let mut repeats = false;
        loop {
            forbid(&mut logits, &tokens, vocabulary);
            let token = if temperature == 0.0 {
                likeliest(&logits)
            } else {
                sampled(&logits, temperature, &mut chance)
            };
            logprob += log_softmax_at(&logits, token);
            count += 1;
            if token == vocabulary.end {
                break;
            }
            tokens.push(token);
            if let Some(kept) = end_of_loop(&tokens, vocabulary) {
                tokens.truncate(kept);
                repeats = true;
                break;
            }
            if tokens.len() == MOST_TOKENS {
                break;
            }
            logits = self.step(&[token], heard, &mut memory)?;
        }
        Ok(Decoded {
            repeats: repeats || compression(&vocabulary.text(&tokens)) > MOST_COMPRESSION,
            logprob: logprob / count as f32,
            no_speech,
            tokens,
        })
    }

    fn step(&self, tokens: &[usize], heard: &Heard, memory: &mut Memory) -> Result<Vec<f32>, ModelError> {
        let logits = self.network.step(tokens, heard, memory, self.interrupt)?;
        if logits.len() != self.vocabulary.len() {
            return Err(ModelError::Inference(format!(
                "{} logits for {} tokens",
                logits.len(),
                self.vocabulary.len()
            )));
        }
        Ok(logits)
    }
}

/// Rules out what may not come next. Timestamps come in pairs, the end of one segment and the start of the next, but for
/// the first and the last; they never go back.
fn forbid(logits: &mut [f32], tokens: &[usize], vocabulary: &Vocabulary) {
    let mut forbid = |tokens: std::ops::Range<usize>| logits[tokens].fill(f32::NEG_INFINITY);
    let timestamps = vocabulary.first_timestamp..vocabulary.len();
    for &token in &vocabulary.suppress {
        forbid(token..token + 1);
    }
    forbid(vocabulary.end + 1..vocabulary.first_timestamp);
    let is_timestamp = |back: usize| {
        let place = tokens.len().checked_sub(back)?;
        Some(vocabulary.is_timestamp(tokens[place]))
    };
    match (is_timestamp(1), is_timestamp(2)) {
        (None, _) => {
            for &token in &vocabulary.suppress_at_start {
                forbid(token..token + 1);
            }
            forbid(0..timestamps.start);
            forbid(timestamps.start + LATEST_START + 1..timestamps.end);
        }
        // The start of a segment, behind which there must be text.
        (Some(true), None | Some(true)) => forbid(timestamps.clone()),
        // The end of one: the next follows, or the end of all.
        (Some(true), Some(false)) => forbid(0..vocabulary.end),
        (Some(false), _) => {}
    }
    if let Some(&last) = tokens.iter().rev().find(|&&token| vocabulary.is_timestamp(token)) {
        // A segment ends later than it starts; the next may start where it ends.
        let next = if is_timestamp(1) == Some(true) {
            last
        } else {
            last + 1
        };
        forbid(timestamps.start..next);
    }
    // If a timestamp is likelier than any token of text, it is time for one.
    let likeliest_text = logits[..timestamps.start]
        .iter()
        .copied()
        .fold(f32::NEG_INFINITY, f32::max);
    if log_sum_exp(&logits[timestamps.clone()]) > likeliest_text {
        logits[..timestamps.start].fill(f32::NEG_INFINITY);
    }
}

fn likeliest(logits: &[f32]) -> usize {
    let mut best = 0;
    for (token, logit) in logits.iter().enumerate() {
        if *logit > logits[best] {
            best = token;
        }
    }
    best
}

/// A token by its probability at this temperature (by the Gumbel-max method).
fn sampled(logits: &[f32], temperature: f32, chance: &mut fastrand::Rng) -> usize {
    let mut best = (0, f32::NEG_INFINITY);
    for (token, &logit) in logits.iter().enumerate() {
        if logit > f32::NEG_INFINITY {
            let gumbel = -(-chance.f32().max(f32::MIN_POSITIVE).ln()).ln();
            let score = logit / temperature + gumbel;
            if score > best.1 {
                best = (token, score);
            }
        }
    }
    best.0
}

fn log_sum_exp(logits: &[f32]) -> f32 {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    if most == f32::NEG_INFINITY {
        return most;
    }
    most + logits.iter().map(|logit| (logit - most).exp()).sum::<f32>().ln()
}

fn log_softmax_at(logits: &[f32], token: usize) -> f32 {
    logits[token] - log_sum_exp(logits)
}

/// How many of the tokens to keep when their text has begun to go round in a circle: all up to its first time round.
fn end_of_loop(tokens: &[usize], vocabulary: &Vocabulary) -> Option<usize> {
    let text: Vec<(usize, usize)> = tokens
        .iter()
        .copied()
        .enumerate()
        .filter(|&(_, token)| vocabulary.is_text(token))
        .collect();
    (1..=LONGEST_LOOP).find_map(|period| {
        let length = LOOP_TOKENS.max(LOOP_TIMES * period);
        let start = text.len().checked_sub(length)?;
        let circle = &text[start..];
        let goes_round = circle.iter().zip(&circle[period..]).all(|(a, b)| a.1 == b.1);
        goes_round.then(|| circle[period].0)
    })
}

/// By how much zlib shrinks a text: 1 to 2 for what people say.
fn compression(text: &str) -> f32 {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    let compressed = encoder.write_all(text.as_bytes()).and_then(|()| encoder.finish());
    compressed.map_or(0.0, |compressed| text.len() as f32 / compressed.len() as f32)
}

/// A window in which this was said, surely.
#[cfg(test)]
pub(super) fn said(tokens: Vec<usize>) -> Decoded {
    Decoded {
        tokens,
        logprob: 0.0,
        no_speech: 0.0,
        repeats: false,
    }
}

#[cfg(test)]
mod tests;
