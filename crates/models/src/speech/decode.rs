//! Decodes a window to tokens: greedily, under the constraints of Whisper's training, and with fallbacks to higher
//! temperatures (`decoding.py` and `transcribe.py` of its authors).

use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;

use super::network::{EncodedWindow, KeyValueCache, Network};
use super::vocabulary::Vocabulary;
use crate::{Interrupt, ModelError};

/// The maximum number of tokens of a window, as in the decoder's training.
const MAX_TOKENS: usize = 224;
/// The latest start of the first segment of a window, in timestamps (1 s).
const MAX_FIRST_START: usize = 50;
/// The temperatures to try in turn. At 0 the most probable token is chosen, at others tokens are sampled with a fixed seed.
/// The authors try six; these three bring nearly all of the improvement.
const TEMPERATURES: [f32; 3] = [0.0, 0.4, 0.8];
/// The maximum ratio by which zlib compresses a text that does not repeat itself.
const MAX_COMPRESSION: f32 = 2.4;
/// The minimum mean log probability of the tokens. Below it, the model guessed.
const MIN_LOGPROB: f32 = -1.0;
/// A window has no speech if, for one of these pairs, the model's probability of no speech is above the first value and the
/// mean log probability of its tokens is below the second. The authors use one pair (0.6, -1). Ours are stricter, since the
/// model transcribes a click or a chime as "you". Of 94 clips of speech in both variants, half of them under noise, the
/// least certain had 0.54 and -0.15, the next 0.37. Each of 18 clips of clicks, chimes, beeps, chords and swelling noise had
/// over 0.7 and below -0.7, or over 0.45 and below -1.2.
const NO_SPEECH: [(f32, f32); 2] = [(0.6, -0.5), (0.4, MIN_LOGPROB)];
/// A loop repeats a sequence of up to `MAX_LOOP_PERIOD` text tokens, with at least this many tokens and repetitions in all.
/// It does not end by itself.
const MIN_LOOP_TOKENS: usize = 20;
const MIN_LOOP_REPETITIONS: usize = 4;
const MAX_LOOP_PERIOD: usize = 40;

/// The tokens of a window, with the model's confidence.
pub(super) struct DecodedWindow {
    /// Text tokens and timestamps, without the end token.
    pub(super) tokens: Vec<usize>,
    /// The mean of the tokens' log probabilities.
    logprob: f32,
    /// The probability that there is no speech, 0 to 1.
    no_speech: f32,
    /// Whether the text repeats itself.
    repeats: bool,
}

impl DecodedWindow {
    /// Whether there is no speech, by the model's output.
    pub(super) fn has_no_speech(&self) -> bool {
        NO_SPEECH
            .iter()
            .any(|&(no_speech, logprob)| self.no_speech > no_speech && self.logprob < logprob)
    }

    fn is_reliable(&self) -> bool {
        (!self.repeats && self.logprob >= MIN_LOGPROB) || self.has_no_speech()
    }
}

pub(super) struct Decoder<'a> {
    pub(super) network: &'a Network,
    pub(super) vocabulary: &'a Vocabulary,
    pub(super) interrupt: &'a Interrupt,
}

impl Decoder<'_> {
    /// The language of the speech, as an index into the vocabulary's languages. `None` for a model of English only.
    pub(super) fn detect_language(&self, window: &EncodedWindow) -> Result<Option<usize>, ModelError> {
        let first = self.vocabulary.start + 1;
        let count = self.vocabulary.languages.len();
        if count == 0 {
            return Ok(None);
        }
        let logits = self.step(&[self.vocabulary.start], window, &mut self.network.empty_cache()?)?;
        Ok(Some(argmax(&logits[first..first + count])))
    }

    /// Decodes a window, in the language with this index.
    pub(super) fn decode(
        &self,
        window: &EncodedWindow,
        language: Option<usize>,
    ) -> Result<DecodedWindow, ModelError> {
        let mut best: Option<DecodedWindow> = None;
        for temperature in TEMPERATURES {
            let decoded = self.decode_at(temperature, window, language)?;
            if decoded.is_reliable() {
                return Ok(decoded);
            }
            let rank = |decoded: &DecodedWindow| (!decoded.repeats, decoded.logprob);
            if best.as_ref().is_none_or(|best| rank(&decoded) > rank(best)) {
                best = Some(decoded);
            }
        }
        best.ok_or_else(|| ModelError::Inference("there is no temperature to decode at".into()))
    }

    fn decode_at(
        &self,
        temperature: f32,
        window: &EncodedWindow,
        language: Option<usize>,
    ) -> Result<DecodedWindow, ModelError> {
        let vocabulary = self.vocabulary;
        let mut cache = self.network.empty_cache()?;
        let mut logits = self.step(&[vocabulary.start], window, &mut cache)?;
        let no_speech = log_softmax_at(&logits, vocabulary.no_speech).exp();
        if let Some(language) = language {
            let prompt = [vocabulary.start + 1 + language, vocabulary.transcribe];
            logits = self.step(&prompt, window, &mut cache)?;
        }
        let mut rng = fastrand::Rng::with_seed(0);
        let mut tokens = Vec::new();
        let mut logprob = 0.0;
        let mut count = 0;
        let mut repeats = false;
        loop {
            suppress_invalid(&mut logits, &tokens, vocabulary);
            let token = if temperature == 0.0 {
                argmax(&logits)
            } else {
                sample(&logits, temperature, &mut rng)
            };
            logprob += log_softmax_at(&logits, token);
            count += 1;
            if token == vocabulary.end {
                break;
            }
            tokens.push(token);
            if let Some(length) = length_before_loop(&tokens, vocabulary) {
                tokens.truncate(length);
                repeats = true;
                break;
            }
            if tokens.len() == MAX_TOKENS {
                break;
            }
            logits = self.step(&[token], window, &mut cache)?;
        }
        Ok(DecodedWindow {
            repeats: repeats || compression_ratio(&vocabulary.text(&tokens)) > MAX_COMPRESSION,
            logprob: logprob / count as f32,
            no_speech,
            tokens,
        })
    }

    fn step(
        &self,
        tokens: &[usize],
        window: &EncodedWindow,
        cache: &mut KeyValueCache,
    ) -> Result<Vec<f32>, ModelError> {
        let logits = self.network.step(tokens, window, cache, self.interrupt)?;
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

/// Suppresses tokens that must not follow `tokens`. Timestamps are in pairs, the end of one segment and the start of the
/// next, except for the first and the last. They never decrease.
fn suppress_invalid(logits: &mut [f32], tokens: &[usize], vocabulary: &Vocabulary) {
    let mut suppress = |tokens: std::ops::Range<usize>| logits[tokens].fill(f32::NEG_INFINITY);
    let timestamps = vocabulary.first_timestamp..vocabulary.len();
    for &token in &vocabulary.suppress {
        suppress(token..token + 1);
    }
    suppress(vocabulary.end + 1..vocabulary.first_timestamp);
    let is_timestamp = |back: usize| {
        let place = tokens.len().checked_sub(back)?;
        Some(vocabulary.is_timestamp(tokens[place]))
    };
    match (is_timestamp(1), is_timestamp(2)) {
        (None, _) => {
            for &token in &vocabulary.suppress_at_start {
                suppress(token..token + 1);
            }
            suppress(0..timestamps.start);
            suppress(timestamps.start + MAX_FIRST_START + 1..timestamps.end);
        }
        // The last token starts a segment, so text must follow.
        (Some(true), None | Some(true)) => suppress(timestamps.clone()),
        // The last token ends a segment, so the next segment or the end must follow.
        (Some(true), Some(false)) => suppress(0..vocabulary.end),
        (Some(false), _) => {}
    }
    if let Some(&last) = tokens.iter().rev().find(|&&token| vocabulary.is_timestamp(token)) {
        // A segment must end after its start, but the next one may start at its end.
        let next = if is_timestamp(1) == Some(true) {
            last
        } else {
            last + 1
        };
        suppress(timestamps.start..next);
    }
    // If the timestamps together are more probable than any text token, a timestamp follows.
    let max_text = logits[..timestamps.start]
        .iter()
        .copied()
        .fold(f32::NEG_INFINITY, f32::max);
    if log_sum_exp(&logits[timestamps.clone()]) > max_text {
        logits[..timestamps.start].fill(f32::NEG_INFINITY);
    }
}

fn argmax(logits: &[f32]) -> usize {
    let mut best = 0;
    for (token, logit) in logits.iter().enumerate() {
        if *logit > logits[best] {
            best = token;
        }
    }
    best
}

/// Samples a token at this temperature (by the Gumbel-max method).
fn sample(logits: &[f32], temperature: f32, rng: &mut fastrand::Rng) -> usize {
    let mut best = (0, f32::NEG_INFINITY);
    for (token, &logit) in logits.iter().enumerate() {
        if logit > f32::NEG_INFINITY {
            let gumbel = -(-rng.f32().max(f32::MIN_POSITIVE).ln()).ln();
            let score = logit / temperature + gumbel;
            if score > best.1 {
                best = (token, score);
            }
        }
    }
    best.0
}

fn log_sum_exp(logits: &[f32]) -> f32 {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    if max == f32::NEG_INFINITY {
        return max;
    }
    max + logits.iter().map(|logit| (logit - max).exp()).sum::<f32>().ln()
}

fn log_softmax_at(logits: &[f32], token: usize) -> f32 {
    logits[token] - log_sum_exp(logits)
}

/// The number of tokens up to the end of a loop's first repetition; `None` if the text is not in a loop.
fn length_before_loop(tokens: &[usize], vocabulary: &Vocabulary) -> Option<usize> {
    let text: Vec<(usize, usize)> = tokens
        .iter()
        .copied()
        .enumerate()
        .filter(|&(_, token)| vocabulary.is_text(token))
        .collect();
    (1..=MAX_LOOP_PERIOD).find_map(|period| {
        let length = MIN_LOOP_TOKENS.max(MIN_LOOP_REPETITIONS * period);
        let start = text.len().checked_sub(length)?;
        let tail = &text[start..];
        let is_loop = tail.iter().zip(&tail[period..]).all(|(a, b)| a.1 == b.1);
        is_loop.then(|| tail[period].0)
    })
}

/// The ratio by which zlib compresses a text: 1 to 2 for ordinary speech.
fn compression_ratio(text: &str) -> f32 {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    let compressed = encoder.write_all(text.as_bytes()).and_then(|()| encoder.finish());
    compressed.map_or(0.0, |compressed| text.len() as f32 / compressed.len() as f32)
}

/// A window with these tokens, decoded with full confidence.
#[cfg(test)]
pub(super) fn certain(tokens: Vec<usize>) -> DecodedWindow {
    DecodedWindow {
        tokens,
        logprob: 0.0,
        no_speech: 0.0,
        repeats: false,
    }
}

#[cfg(test)]
mod tests;
