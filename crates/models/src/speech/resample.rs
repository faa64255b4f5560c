//! Any sample rate to another, piece by piece, by a windowed sinc: the band that both rates can carry passes unchanged,
//! and what the lower one can't carry is gone (by 70 dB) instead of folded back.

use std::f64::consts::PI;

/// Zeros of the sinc on each side of its middle.
const LOBES: f64 = 24.0;
/// Where the filter is at half: a little below the lower rate's limit, so that its slope ends about there.
const CUTOFF: f64 = 0.93;
/// Places between two input samples for which the filter is kept; in between it is interpolated, 100 dB precise.
const PHASES: usize = 512;

pub(super) struct Resampler {
    from: u64,
    to: u64,
    /// Input samples on each side of an output sample that make it up.
    reach: usize,
    /// A row of `2 * reach` weights for each phase, and one more row to interpolate towards.
    weights: Vec<f32>,
    /// The input that is still needed; the first of it has the index `first` (before the start: silence).
    input: Vec<f32>,
    first: u64,
    /// How many samples came out.
    made: u64,
}

impl Resampler {
    /// From and to so many Hz.
    pub(super) fn new(from: u32, to: u32) -> Self {
        // In input samples: the sinc widens where the output's rate is lower.
        let cutoff = CUTOFF * (f64::from(to) / f64::from(from)).min(1.0);
        let reach = (LOBES / cutoff).ceil() as usize;
        Self {
            from: from.into(),
            to: to.into(),
            reach,
            weights: weights(cutoff, reach),
            input: vec![0.0; reach - 1],
            first: 0,
            made: 0,
        }
    }

    /// Takes some input and appends what can be made of it.
    pub(super) fn push(&mut self, samples: &[f32], output: &mut Vec<f32>) {
        if self.from == self.to {
            output.extend_from_slice(samples);
            return;
        }
        self.input.extend_from_slice(samples);
        loop {
            let place = self.made * self.from;
            let start = (place / self.to - self.first) as usize;
            let Some(input) = self.input.get(start..start + 2 * self.reach) else {
                break;
            };
            let phase = (place % self.to) as f32 / self.to as f32 * PHASES as f32;
            output.push(self.weighted(input, phase));
            self.made += 1;
        }
        let done = ((self.made * self.from / self.to - self.first) as usize).min(self.input.len());
        self.input.drain(..done);
        self.first += done as u64;
    }

    /// Appends the rest, for which silence follows.
    pub(super) fn finish(mut self, output: &mut Vec<f32>) {
        if self.from != self.to {
            let silence = vec![0.0; self.reach];
            self.push(&silence, output);
        }
    }

    fn weighted(&self, input: &[f32], phase: f32) -> f32 {
        let width = 2 * self.reach;
        let row = phase as usize;
        let part = phase - row as f32;
        let rows = &self.weights[row * width..][..2 * width];
        let (this, next) = rows.split_at(width);
        let mut sums = [0.0; 2];
        for ((&x, &a), &b) in input.iter().zip(this).zip(next) {
            sums[0] += x * a;
            sums[1] += x * b;
        }
        sums[0] + part * (sums[1] - sums[0])
    }
}

/// The filter for every phase: how much each of the `2 * reach` samples around a place counts for it.
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
        // Each phase passes a constant exactly, or the phases' differences would be heard as a tone.
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

    fn resampled(from: u32, input: &[f32], piece: usize) -> Vec<f32> {
        let mut resampler = Resampler::new(from, 16_000);
        let mut output = Vec::new();
        for piece in input.chunks(piece) {
            resampler.push(piece, &mut output);
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
    fn a_tone_stays_the_same_tone_at_every_rate() {
        for rate in [8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000] {
            let output = resampled(rate, &tone(rate, 440.0), 1_000);
            assert!(output.len().abs_diff(16_000) <= 1, "{rate} Hz: {}", output.len());
            let expected = tone(16_000, 440.0);
            // The edges lack a neighbour.
            for i in 500..15_500 {
                let error = (output[i] - expected[i]).abs();
                assert!(error < 0.001, "{rate} Hz, sample {i}: off by {error}");
            }
        }
    }

    #[test]
    fn what_16_khz_can_not_carry_is_gone() {
        for hertz in [8_800.0, 12_000.0, 17_000.0] {
            let output = resampled(48_000, &tone(48_000, hertz), 777);
            let most = output[500..15_500]
                .iter()
                .fold(0.0_f32, |most, x| most.max(x.abs()));
            assert!(most < 0.001, "{hertz} Hz leaves {most}");
        }
    }

    #[test]
    fn pieces_of_any_size_give_the_same() {
        let input = tone(44_100, 1_000.0);
        let whole = resampled(44_100, &input, input.len());
        for piece in [1, 7, 4_096] {
            assert_eq!(resampled(44_100, &input, piece), whole);
        }
    }
}
