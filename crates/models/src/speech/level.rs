//! Finds stretches that may contain speech, by their loudness. Other stretches are not transcribed, since the model outputs
//! words even for silence.
//!
//! Speech is louder than [`SILENCE`], and its loudness changes with every syllable. The loudness of noise, hum and a constant
//! tone stays within [`STEADY`]. A stretch that passes may still have no speech, which the model detects.

use std::ops::Range;

use super::audio::RATE;

/// The number of samples in a block: 50 ms, a multiple of the periods of 50 and of 60 Hz.
const BLOCK: usize = RATE as usize / 20;
pub(super) const BLOCKS_PER_SECOND: f32 = 20.0;
/// The maximum loudness of silence, in dB relative to a full-scale square wave. Whispering close to a microphone is 15 dB
/// above it, and an empty room mostly below.
pub(super) const SILENCE: f32 = -60.0;
/// The minimum change of loudness in speech, in dB. Blocks of white noise differ by 1.5 dB, those of speech by 20 and more,
/// and those of speech under noise of the same loudness by 4.
const STEADY: f32 = 3.0;

/// The loudness of each block, in dB.
pub(super) struct Levels(Vec<f32>);

impl Levels {
    pub(super) fn new(samples: &[f32]) -> Self {
        Self(samples.chunks(BLOCK).map(level).collect())
    }

    /// The next stretch from `from` on that may contain speech, of up to `length` seconds; `None` if there is none.
    pub(super) fn next_possible_speech(&self, from: f32, length: f32) -> Option<Range<f32>> {
        let mut from = from;
        loop {
            let start = block(from)
                + self
                    .0
                    .get(block(from)..)?
                    .iter()
                    .position(|&level| level > SILENCE)?;
            let end = (start + block(length)).min(self.0.len());
            if !is_steady(&self.0[start..end]) {
                return Some(start as f32 / BLOCKS_PER_SECOND..end as f32 / BLOCKS_PER_SECOND);
            }
            from = end as f32 / BLOCKS_PER_SECOND;
        }
    }

    /// Whether all blocks between these seconds are silent.
    pub(super) fn is_silent(&self, seconds: Range<f32>) -> bool {
        let end = ((seconds.end * BLOCKS_PER_SECOND).ceil() as usize).min(self.0.len());
        let start = block(seconds.start).min(end);
        self.0[start..end].iter().all(|&level| level <= SILENCE)
    }
}

fn block(seconds: f32) -> usize {
    (seconds * BLOCKS_PER_SECOND) as usize
}

/// The loudness of a block, in dB. A constant offset, which cheap recorders add, is inaudible and does not count.
fn level(block: &[f32]) -> f32 {
    let count = block.len() as f32;
    let mean = block.iter().sum::<f32>() / count;
    let power = block.iter().map(|x| (x - mean) * (x - mean)).sum::<f32>() / count;
    10.0 * power.max(1e-12).log10()
}

/// Whether the loudness changes little between the quietest tenth and the loudest block. The last block may be short, so it
/// counts only if it is the only one.
fn is_steady(levels: &[f32]) -> bool {
    let mut levels = match levels {
        [complete @ .., _] if !complete.is_empty() => complete.to_vec(),
        _ => levels.to_vec(),
    };
    levels.sort_by(f32::total_cmp);
    match levels.last() {
        Some(loudest) => loudest - levels[levels.len() / 10] < STEADY,
        None => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(seconds: usize, hertz: f32, volume: f32) -> Vec<f32> {
        (0..seconds * RATE as usize)
            .map(|i| volume * (std::f32::consts::TAU * hertz * i as f32 / RATE as f32).sin())
            .collect()
    }

    #[test]
    fn silence_offset_hum_and_tone_are_not_speech() {
        let hum: Vec<f32> = tone(40, 50.0, 0.2)
            .iter()
            .zip(tone(40, 150.0, 0.1))
            .map(|(a, b)| a + b)
            .collect();
        for (name, samples) in [
            ("silence", vec![0.0; 320_000]),
            ("a constant", vec![0.3; 320_000]),
            ("hum", hum),
            ("60 Hz", tone(40, 60.0, 0.5)),
            ("a tone", tone(40, 1_000.0, 0.9)),
            ("a faint beep", tone(1, 700.0, 0.0005)),
        ] {
            assert_eq!(
                Levels::new(&samples).next_possible_speech(0.0, 30.0),
                None,
                "{name}"
            );
        }
    }

    #[test]
    fn speech_is_found_after_silence_and_within_hum() {
        let syllables = |hum: f32| -> Vec<f32> {
            let start = vec![0.0; 40 * RATE as usize];
            let quiet = tone(1, 200.0, 0.02);
            let loud = tone(1, 200.0, 0.2);
            let sound = [start, quiet.clone(), loud.clone(), quiet, loud].concat();
            let hum = tone(44, 50.0, hum);
            sound.iter().zip(hum).map(|(a, b)| a + b).collect()
        };
        assert_eq!(
            Levels::new(&syllables(0.0)).next_possible_speech(0.0, 30.0),
            Some(40.0..44.0)
        );
        let found = Levels::new(&syllables(0.01))
            .next_possible_speech(0.0, 30.0)
            .unwrap();
        assert!(found.start <= 40.0 && found.end == 44.0, "{found:?}");
    }

    #[test]
    fn stretch_is_silent_only_if_all_its_blocks_are() {
        let levels = Levels::new(&[vec![0.0; 32_000], tone(1, 300.0, 0.1)].concat());
        assert!(levels.is_silent(0.0..2.0));
        assert!(!levels.is_silent(1.0..2.1));
        assert!(levels.is_silent(9.0..10.0));
    }
}
