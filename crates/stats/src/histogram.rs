//! Durations, counted in fixed buckets.

use serde::{Deserialize, Serialize};

/// The upper bounds of the buckets in milliseconds: 1, 2 and 5 in each decade from 10 ms to 50 minutes. One more bucket counts
/// longer durations. The bounds are stored nowhere, so they must not change: stored counts would shift to other durations.
const BOUNDS: [u64; 18] = [
    10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000,
    1_000_000, 2_000_000, 3_000_000,
];

/// Counts by bucket, without the empty buckets at the end.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Histogram(Vec<u64>);

impl Histogram {
    /// Counts one duration, in milliseconds.
    pub fn record(&mut self, millis: u64) {
        let bucket = BOUNDS.partition_point(|bound| *bound < millis);
        if self.0.len() <= bucket {
            self.0.resize(bucket + 1, 0);
        }
        self.0[bucket] += 1;
    }

    /// Adds the counts of another histogram.
    pub fn merge(&mut self, other: &Self) {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        for (count, more) in self.0.iter_mut().zip(&other.0) {
            *count += more;
        }
    }

    /// The number of durations.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The duration that this many percent do not exceed, in milliseconds; `None` if nothing was counted. Inside a bucket the
    /// durations are assumed to be spread evenly.
    #[must_use]
    pub fn percentile(&self, percent: u64) -> Option<u64> {
        let rank = (self.count() * percent).div_ceil(100).max(1);
        let mut below = 0;
        for (bucket, count) in self.0.iter().enumerate() {
            if below + count >= rank {
                let lower = bucket.checked_sub(1).map_or(0, |bucket| BOUNDS[bucket]);
                // The last bucket has no upper bound.
                let upper = BOUNDS.get(bucket).copied().unwrap_or(lower);
                return Some(lower + (upper - lower) * (rank - below) / count);
            }
            below += count;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_lies_in_the_bucket_of_the_exact_value() {
        let mut rng = fastrand::Rng::with_seed(7);
        let mut times: Vec<u64> = (0..1_000)
            .map(|_| rng.u64(0..4_000_000) >> rng.u32(0..20))
            .collect();
        let mut histogram = Histogram::default();
        times.iter().for_each(|millis| histogram.record(*millis));
        times.sort_unstable();
        for percent in [1, 50, 95, 99, 100] {
            let exact = times[usize::try_from(percent).unwrap() * 10 - 1];
            let estimate = histogram.percentile(percent).unwrap();
            let bucket = |millis| BOUNDS.partition_point(|bound| *bound < millis);
            assert!(
                bucket(estimate) == bucket(exact) || (exact > 3_000_000 && estimate == 3_000_000),
                "p{percent}: {exact} ms, estimated as {estimate}"
            );
        }
    }

    #[test]
    fn an_empty_histogram_has_no_percentile_and_merged_counts_add_up() {
        let mut one = Histogram::default();
        assert_eq!(one.percentile(50), None);
        one.record(5);
        let mut two = Histogram::default();
        two.record(4_000_000);
        one.merge(&two);
        two.merge(&one);
        assert_eq!((one.count(), two.count()), (2, 3));
        assert_eq!(
            (one.percentile(50), one.percentile(95)),
            (Some(10), Some(3_000_000))
        );
    }
}
