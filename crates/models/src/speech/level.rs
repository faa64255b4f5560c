//! Where there may be speech, told by loudness alone: what can't hold any is kept from the model, which writes words
//! even where none were said.
//!
//! Speech is louder than [`SILENCE`], and its loudness changes with every syllable; noise, hum and a lasting tone stay
//! within [`STEADY`]. What passes may still be none: the model has a say too.

use std::ops::Range;

use super::audio::RATE;

/// Samples of a block: 50 ms, a multiple of the periods of 50 and of 60 Hz.
const BLOCK: usize = RATE as usize / 20;
pub(super) const BLOCKS_PER_SECOND: f32 = 20.0;
/// Anything below is silence, in dB to a full-scale square wave: whispering close to a microphone is 15 dB above it, and
/// a room with nobody in it mostly below.
pub(super) const SILENCE: f32 = -60.0;
/// What changes its loudness by less than so many dB is no speech. Blocks of white noise differ by 1.5 dB, a speaker's
/// by 20 and more; under noise as loud as he is, by 4.
const STEADY: f32 = 3.0;

/// The loudness of each block, in dB.
pub(super) struct Levels(Vec<f32>);

impl Levels {
    pub(super) fn of(samples: &[f32]) -> Self {
        Self(samples.chunks(BLOCK).map(level).collect())
    }

    /// The seconds in which there may be speech at or after `from`, within the next `length`; None if there are none.
    pub(super) fn next_sound(&self, from: f32, length: f32) -> Option<Range<f32>> {
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

    /// Whether nothing but silence lies in these seconds.
    pub(super) fn is_silent(&self, seconds: Range<f32>) -> bool {
        let end = ((seconds.end * BLOCKS_PER_SECOND).ceil() as usize).min(self.0.len());
        let start = block(seconds.start).min(end);
        self.0[start..end].iter().all(|&level| level <= SILENCE)
    }
}

fn block(seconds: f32) -> usize {
    (seconds * BLOCKS_PER_SECOND) as usize
}

/// A constant (which cheap recorders add) is not heard, and not counted.
fn level(block: &[f32]) -> f32 {
    let count = block.len() as f32;
    let mean = block.iter().sum::<f32>() / count;
    let power = block.iter().map(|x| (x - mean) * (x - mean)).sum::<f32>() / count;
    10.0 * power.max(1e-12).log10()
}

/// From the quietest tenth to the loudest block. The last one may be a short piece, and is not asked unless alone.
fn is_steady(levels: &[f32]) -> bool {
    let mut levels = match levels {
        [whole @ .., _] if !whole.is_empty() => whole.to_vec(),
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
    fn silence_a_constant_hum_and_a_tone_are_no_sound() {
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
            assert_eq!(Levels::of(&samples).next_sound(0.0, 30.0), None, "{name}");
        }
    }

    #[test]
    fn a_sound_is_found_behind_silence_and_behind_hum() {
        let syllables = |hum: f32| -> Vec<f32> {
            let start = vec![0.0; 40 * RATE as usize];
            let quiet = tone(1, 200.0, 0.02);
            let loud = tone(1, 200.0, 0.2);
            let sound = [start, quiet.clone(), loud.clone(), quiet, loud].concat();
            let hum = tone(44, 50.0, hum);
            sound.iter().zip(hum).map(|(a, b)| a + b).collect()
        };
        assert_eq!(
            Levels::of(&syllables(0.0)).next_sound(0.0, 30.0),
            Some(40.0..44.0)
        );
        let found = Levels::of(&syllables(0.01)).next_sound(0.0, 30.0).unwrap();
        assert!(found.start <= 40.0 && found.end == 44.0, "{found:?}");
    }

    #[test]
    fn only_what_is_silent_all_through_is_silent() {
        let levels = Levels::of(&[vec![0.0; 32_000], tone(1, 300.0, 0.1)].concat());
        assert!(levels.is_silent(0.0..2.0));
        assert!(!levels.is_silent(1.0..2.1));
        assert!(levels.is_silent(9.0..10.0));
    }
}
