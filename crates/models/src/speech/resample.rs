//! Converts between sample rates, chunk by chunk, with a windowed sinc filter. Frequencies within the range of both rates
//! pass unchanged. Higher ones are attenuated by 70 dB, so that they do not alias.

use std::f64::consts::PI;

/// The number of zeros of the sinc on each side of its center.
const LOBES: f64 = 24.0;
/// The frequency at which the filter is at half, relative to the lower rate's Nyquist frequency. It is a little below 1, so
/// that the filter's slope ends near that frequency.
const CUTOFF: f64 = 0.93;
/// The number of positions between two input samples at which the filter is tabulated. Interpolation between them has an
/// error of -100 dB.
const PHASES: usize = 512;

pub(super) struct Resampler {
    from: u64,
    to: u64,
    /// The number of input samples on each side that contribute to an output sample.
    reach: usize,
    /// A row of `2 * reach` weights for each phase, and one more row for interpolation.
    weights: Vec<f32>,
    /// The input samples that are still needed, preceded by silence. `first` is the index of the first one.
    input: Vec<f32>,
    first: u64,
    /// The number of output samples so far.
    produced: u64,
}

impl Resampler {
    /// Converts from and to these rates, in Hz.
    pub(super) fn new(from: u32, to: u32) -> Self {
        // Relative to the input's rate: a lower output rate makes the sinc wider.
        let cutoff = CUTOFF * (f64::from(to) / f64::from(from)).min(1.0);
        let reach = (LOBES / cutoff).ceil() as usize;
        Self {
            from: from.into(),
            to: to.into(),
            reach,
            weights: weights(cutoff, reach),
            input: vec![0.0; reach - 1],
            first: 0,
            produced: 0,
        }
    }

    /// Adds input, and appends the output samples that can be computed from the input so far.
    pub(super) fn push(&mut self, samples: &[f32], output: &mut Vec<f32>) {
        if self.from == self.to {
            output.extend_from_slice(samples);
            return;
        }
        self.input.extend_from_slice(samples);
        loop {
            let place = self.produced * self.from;
            let start = (place / self.to - self.first) as usize;
            let Some(input) = self.input.get(start..start + 2 * self.reach) else {
                break;
            };
            let phase = (place % self.to) as f32 / self.to as f32 * PHASES as f32;
            output.push(self.weighted(input, phase));
            self.produced += 1;
        }
        let done = ((self.produced * self.from / self.to - self.first) as usize).min(self.input.len());
        self.input.drain(..done);
        self.first += done as u64;
    }

    /// Appends the remaining output samples, as if silence followed the input.
    pub(super) fn finish(mut self, output: &mut Vec<f32>) {
        if self.from != self.to {
            let silence = vec![0.0; self.reach];
            self.push(&silence, output);
        }
    }

    fn weighted(&self, input: &[f32], phase: f32) -> f32 {
        let width = 2 * self.reach;
        let row = phase as usize;
        let fraction = phase - row as f32;
        let rows = &self.weights[row * width..][..2 * width];
        let (this, next) = rows.split_at(width);
        let mut sums = [0.0; 2];
        for ((&x, &a), &b) in input.iter().zip(this).zip(next) {
            sums[0] += x * a;
            sums[1] += x * b;
        }
        sums[0] + fraction * (sums[1] - sums[0])
    }
}

/// The filter for every phase: the weights of the `2 * reach` samples around a position.
fn weights(cutoff: f64, reach: usize) -> Vec<f32> {
    let mut weights = Vec::with_capacity((PHASES + 1) * 2 * reach);
    for phase in 0..=PHASES {
        let place = (reach - 1) as f64 + phase as f64 / PHASES as f64;
        let row: Vec<f64> = (0..2 * reach)
            .map(|sample| {
                let away = sample as f64 - place;
                sinc(away * cutoff) * blackman(away / reach as f64)
            })
            .collect();
        // Normalized so that each phase passes a constant exactly. Differences between phases would be audible as a tone.
        let sum: f64 = row.iter().sum();
        weights.extend(row.iter().map(|weight| (weight / sum) as f32));
    }
    weights
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 { 1.0 } else { (PI * x).sin() / (PI * x) }
}

/// Blackman's window over -1 to 1.
fn blackman(x: f64) -> f64 {
    if x.abs() >= 1.0 {
        return 0.0;
    }
    0.42 + 0.5 * (PI * x).cos() + 0.08 * (2.0 * PI * x).cos()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resampled(from: u32, input: &[f32], chunk: usize) -> Vec<f32> {
        let mut resampler = Resampler::new(from, 16_000);
        let mut output = Vec::new();
        for chunk in input.chunks(chunk) {
            resampler.push(chunk, &mut output);
        }
        resampler.finish(&mut output);
        output
    }

    fn tone(rate: u32, hertz: f64) -> Vec<f32> {
        (0..rate)
            .map(|i| (2.0 * PI * hertz * f64::from(i) / f64::from(rate)).sin() as f32)
            .collect()
    }

    #[test]
    fn tone_is_preserved_at_every_rate() {
        for rate in [8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000] {
            let output = resampled(rate, &tone(rate, 440.0), 1_000);
            assert!(output.len().abs_diff(16_000) <= 1, "{rate} Hz: {}", output.len());
            let expected = tone(16_000, 440.0);
            // Samples at the edges lack neighbors.
            for i in 500..15_500 {
                let error = (output[i] - expected[i]).abs();
                assert!(error < 0.001, "{rate} Hz, sample {i}: off by {error}");
            }
        }
    }

    #[test]
    fn frequencies_above_8_khz_are_removed() {
        for hertz in [8_800.0, 12_000.0, 17_000.0] {
            let output = resampled(48_000, &tone(48_000, hertz), 777);
            let max = output[500..15_500]
                .iter()
                .fold(0.0_f32, |max, x| max.max(x.abs()));
            assert!(max < 0.001, "{hertz} Hz leaves {max}");
        }
    }

    #[test]
    fn chunks_of_any_size_give_the_same_output() {
        let input = tone(44_100, 1_000.0);
        let whole = resampled(44_100, &input, input.len());
        for chunk in [1, 7, 4_096] {
            assert_eq!(resampled(44_100, &input, chunk), whole);
        }
    }
}
