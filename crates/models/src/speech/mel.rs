//! Computes Whisper's input: the log-mel spectrum, as in its authors' `audio.py` (80 bands up to 8 kHz on Slaney's mel scale,
//! frames of 25 ms every 10 ms).

use std::f64::consts::PI;
use std::sync::Arc;

use ndarray::Array3;
use realfft::{RealFftPlanner, RealToComplex};

use super::audio::RATE;

pub(super) const BANDS: usize = 80;
/// The number of samples in a frame.
const WIDTH: usize = 400;
/// The number of samples from one frame to the next.
pub(super) const HOP: usize = 160;
const BINS: usize = WIDTH / 2 + 1;
/// The dynamic range, in powers of ten. Levels further below the loudest are raised to this limit.
const RANGE: f32 = 8.0;
const MIN_POWER: f32 = 1e-10;

pub(super) struct Mel {
    fft: Arc<dyn RealToComplex<f32>>,
    hann: Vec<f32>,
    /// For each band, its first bin, and the weights of the bins from there on.
    bands: Vec<(usize, Vec<f32>)>,
}

impl Mel {
    pub(super) fn new() -> Self {
        Self {
            fft: RealFftPlanner::new().plan_fft_forward(WIDTH),
            hann: (0..WIDTH)
                .map(|i| (0.5 - 0.5 * (2.0 * PI * i as f64 / WIDTH as f64).cos()) as f32)
                .collect(),
            bands: (0..BANDS).map(band).collect(),
        }
    }

    /// The spectrum of `frames` frames from frame `first` on, [1, 80, frames]. The end is padded with silence.
    pub(super) fn window(&self, samples: &[f32], first: usize, frames: usize) -> Array3<f32> {
        let mut spectrum = Array3::from_elem((1, BANDS, frames), MIN_POWER.log10());
        let mut input = self.fft.make_input_vec();
        let mut output = self.fft.make_output_vec();
        let mut scratch = self.fft.make_scratch_vec();
        let mut max = f32::MIN;
        for frame in 0..frames {
            // A frame is centered at its time.
            let start = ((first + frame) * HOP) as isize - (WIDTH / 2) as isize;
            if start >= samples.len() as isize {
                break;
            }
            for (i, (x, hann)) in input.iter_mut().zip(&self.hann).enumerate() {
                // The samples are mirrored at their start.
                let place = (start + i as isize).unsigned_abs();
                *x = hann * samples.get(place).copied().unwrap_or(0.0);
            }
            self.fft
                .process_with_scratch(&mut input, &mut output, &mut scratch)
                .expect("the planner made the buffers");
            for (band, (bin, weights)) in self.bands.iter().enumerate() {
                let power: f32 = output[*bin..]
                    .iter()
                    .zip(weights)
                    .map(|(x, weight)| x.norm_sqr() * weight)
                    .sum();
                let level = power.max(MIN_POWER).log10();
                max = max.max(level);
                spectrum[(0, band, frame)] = level;
            }
        }
        let min = max.max(MIN_POWER.log10()) - RANGE;
        spectrum.mapv_inplace(|level| (level.max(min) + 4.0) / 4.0);
        spectrum
    }
}

/// The triangular filter of a band, by its first bin and its weights. All filters have the same area in Hz.
fn band(band: usize) -> (usize, Vec<f32>) {
    let highest = mel(f64::from(RATE) / 2.0);
    let edge = |edge: usize| hertz(highest * edge as f64 / (BANDS + 1) as f64);
    let (low, middle, high) = (edge(band), edge(band + 1), edge(band + 2));
    let weight = |bin: usize| {
        let hertz = (bin * RATE as usize) as f64 / WIDTH as f64;
        let height = ((hertz - low) / (middle - low)).min((high - hertz) / (high - middle));
        (height.max(0.0) * 2.0 / (high - low)) as f32
    };
    let first = (0..BINS).find(|&bin| weight(bin) > 0.0).unwrap_or(0);
    let weights = (first..BINS).map(weight).take_while(|&weight| weight > 0.0);
    (first, weights.collect())
}

/// Slaney's mel scale: linear up to 1 kHz, logarithmic above (Auditory Toolbox, 1998).
fn mel(hertz: f64) -> f64 {
    if hertz < 1_000.0 {
        hertz * 3.0 / 200.0
    } else {
        15.0 + (hertz / 1_000.0).ln() * 27.0 / 6.4_f64.ln()
    }
}

fn hertz(mel: f64) -> f64 {
    if mel < 15.0 {
        mel * 200.0 / 3.0
    } else {
        1_000.0 * ((mel - 15.0) / 27.0 * 6.4_f64.ln()).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The reference values come from an independent implementation in numpy: `python models/evaluate/mel.py`.
    #[test]
    fn spectrum_matches_the_reference() {
        let reference: serde_json::Value = serde_json::from_str(include_str!("testdata/mel.json")).unwrap();
        // Two rising tones and a constant, as in the script.
        let samples: Vec<f32> = (0..16_000)
            .map(|i| {
                let t = f64::from(i) / 16_000.0;
                let tone = |from: f64, rise: f64| (2.0 * PI * (from + rise * t) * t).sin();
                (0.4 * tone(150.0, 1_000.0) + 0.2 * tone(3_000.0, 2_000.0) + 0.05) as f32
            })
            .collect();
        for (first, frames) in [(0, 120), (40, 60)] {
            let spectrum = Mel::new().window(&samples, first, frames);
            let expected = reference[format!("{first}+{frames}")].as_array().unwrap();
            assert_eq!(expected.len(), 12);
            for value in expected {
                let [band, frame, level] = [0, 1, 2].map(|i| value[i].as_f64().unwrap());
                let found = spectrum[(0, band as usize, frame as usize)];
                assert!(
                    (f64::from(found) - level).abs() < 2e-4,
                    "{first}+{frames}, band {band}, frame {frame}: {found}, not {level}"
                );
            }
        }
    }

    #[test]
    fn spectrum_of_silence_is_constant() {
        let spectrum = Mel::new().window(&[0.0; 8_000], 0, 100);
        let first = spectrum[(0, 0, 0)];
        assert!(spectrum.iter().all(|&level| level == first && level.is_finite()));
    }
}
