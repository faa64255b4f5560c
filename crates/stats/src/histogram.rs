//! How long things took, in fixed buckets.

use serde::{Deserialize, Serialize};

/// The buckets' upper bounds in milliseconds: 1, 2 and 5 in each decade from 10 ms to 50 minutes. What took longer is in one
/// more bucket. Fixed, so that what was counted by one version can be added to what another counts.
const BOUNDS: [u64; 18] = [
    10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000,
    1_000_000, 2_000_000, 3_000_000,
];

/// Counts by bucket, without the empty ones at the end.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Histogram(Vec<u64>);

impl Histogram {
    /// Counts one that took so long.
    pub fn note(&mut self, millis: u64) {
        let bucket = BOUNDS.partition_point(|bound| *bound < millis);
        if self.0.len() <= bucket {
            self.0.resize(bucket + 1, 0);
        }
        self.0[bucket] += 1;
    }

    /// Adds another's counts.
    pub fn merge(&mut self, other: &Self) {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        for (count, more) in self.0.iter_mut().zip(&other.0) {
            *count += more;
        }
    }

    /// How many it counts.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.iter().sum()
    }

    /// How long the fastest so many percent took at most, in milliseconds: inside the bucket that holds the answer its tasks
    /// are taken to be spread evenly. None if it counts nothing.
    #[must_use]
    pub fn percentile(&self, percent: u64) -> Option<u64> {
        let rank = (self.count() * percent).div_ceil(100).max(1);
        let mut below = 0;
        for (bucket, count) in self.0.iter().enumerate() {
            if below + count >= rank {
                let lower = bucket.checked_sub(1).map_or(0, |bucket| BOUNDS[bucket]);
                // Of what is above all bounds no more is known than that.
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
    fn a_percentile_lies_in_the_bucket_that_holds_it() {
        let mut rng = fastrand::Rng::with_seed(7);
        let mut times: Vec<u64> = (0..1_000)
            .map(|_| rng.u64(0..4_000_000) >> rng.u32(0..20))
            .collect();
        let mut histogram = Histogram::default();
        times.iter().for_each(|millis| histogram.note(*millis));
        times.sort_unstable();
        for percent in [1, 50, 95, 99, 100] {
            let exact = times[usize::try_from(percent).unwrap() * 10 - 1];
            let told = histogram.percentile(percent).unwrap();
            let bucket = |millis| BOUNDS.partition_point(|bound| *bound < millis);
            assert!(
                bucket(told) == bucket(exact) || (exact > 3_000_000 && told == 3_000_000),
                "p{percent}: {exact} ms, told as {told}"
            );
        }
    }

    #[test]
    fn nothing_has_no_percentile_and_sums_are_sums() {
        let mut one = Histogram::default();
        assert_eq!(one.percentile(50), None);
        one.note(5);
        let mut two = Histogram::default();
        two.note(4_000_000);
        one.merge(&two);
        two.merge(&one);
        assert_eq!((one.count(), two.count()), (2, 3));
        assert_eq!(
            (one.percentile(50), one.percentile(95)),
            (Some(10), Some(3_000_000))
        );
    }
}
