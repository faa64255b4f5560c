//! What a worker did in each of the last minutes.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use mesh_backend::Activity;

/// How many minutes are stored: `GET /v1/workers` shows an hour.
const STORED_MINUTES: i64 = 60;

/// Each minute with activity, oldest first.
#[derive(Debug, Default)]
pub(super) struct ActivityLog(Mutex<VecDeque<(i64, Activity)>>);

impl ActivityLog {
    pub(super) fn add(&self, activity: Activity, now: Timestamp) {
        let minute = minute(now);
        let mut stored = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        stored.retain(|(at, _)| *at > minute - STORED_MINUTES);
        match stored.iter_mut().find(|(at, _)| *at == minute) {
            Some((_, sum)) => add(sum, &activity),
            None => stored.push_back((minute, activity)),
        }
    }

    /// The sum of the last minutes, the current one included.
    pub(super) fn sum(&self, minutes: i64, now: Timestamp) -> Activity {
        let first = minute(now) - minutes;
        let stored = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sum = Activity::default();
        for (minute, activity) in stored.iter().filter(|(minute, _)| *minute > first) {
            add(&mut sum, activity);
            if activity.batches > 0 {
                sum.last_seen = sum.last_seen.max(Timestamp::from_second(minute * 60).ok());
            }
        }
        sum
    }
}

fn add(sum: &mut Activity, more: &Activity) {
    sum.completed += more.completed;
    sum.failed += more.failed;
    sum.retried += more.retried;
    sum.messages += more.messages;
    sum.batches += more.batches;
    sum.cold_starts += more.cold_starts;
}

fn minute(time: Timestamp) -> i64 {
    time.as_second().div_euclid(60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_hour_is_added_up_and_what_is_older_is_forgotten() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let batch = Activity {
            completed: 2,
            failed: 1,
            retried: 1,
            messages: 4,
            batches: 1,
            ..Activity::default()
        };
        let start = Activity {
            cold_starts: 1,
            ..Activity::default()
        };
        let log = ActivityLog::default();
        log.add(batch, at("2026-01-31T11:00:59Z"));
        log.add(batch, at("2026-01-31T11:01:00Z"));
        log.add(batch, at("2026-01-31T11:01:30Z"));
        log.add(start, at("2026-01-31T11:50:00Z"));
        let sum = log.sum(60, at("2026-01-31T12:00:10Z"));
        let expected = Activity {
            completed: 4,
            failed: 2,
            retried: 2,
            messages: 8,
            batches: 2,
            cold_starts: 1,
            last_seen: Some(at("2026-01-31T11:01:00Z")),
        };
        assert_eq!(sum, expected);
        log.add(start, at("2026-01-31T13:00:00Z"));
        assert_eq!(log.0.lock().unwrap().len(), 1);
        assert_eq!(log.sum(60, at("2026-01-31T13:00:00Z")).last_seen, None);
    }
}
