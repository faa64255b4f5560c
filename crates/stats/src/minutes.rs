//! How many tasks were submitted and finished in the last minutes.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Histogram, Record};

const MINUTE: Duration = Duration::from_secs(60);
/// How many minutes are stored: a quarter of an hour, and the minute in which it began.
const STORED_MINUTES: i64 = 16;

/// What was submitted and finished in each minute of the last quarter of an hour. A task counts in the minute in which it
/// changed, no matter when its record is read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Minutes(Vec<Minute>);

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Minute {
    /// In minutes since the epoch.
    minute: i64,
    #[serde(flatten)]
    flow: Flow,
}

/// What was submitted and finished in a period.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flow {
    /// The number of accepted tasks.
    pub submitted: u64,
    /// The number of tasks that became final.
    pub finished: u64,
    /// How long tasks that were ready waited for a worker, in milliseconds.
    pub queue_wait: Histogram,
    /// How long the attempts took that completed or failed their tasks, in milliseconds.
    pub run: Histogram,
}

impl Minutes {
    /// Counts a record.
    pub(crate) fn record(&mut self, record: &Record, now: Timestamp) {
        let Some(new) = &record.new else { return };
        let Some(old) = &record.old else {
            if let Some(flow) = self.at(new.created_at, now) {
                flow.submitted += 1;
            }
            return;
        };
        if old.status == new.status {
            return;
        }
        let Some(flow) = self.at(new.updated_at, now) else {
            return;
        };
        if let Some(wait) = record.queue_wait() {
            flow.queue_wait.record(millis(wait));
        }
        if let Some(run) = record.run() {
            flow.run.record(millis(run));
        }
        flow.finished += u64::from(new.status.is_final());
    }

    /// The counts of a time's minute; `None` if the minute is too old. A time in the future counts in the current minute.
    fn at(&mut self, time: Timestamp, now: Timestamp) -> Option<&mut Flow> {
        let (minute, newest) = (minute(time.min(now)), minute(now));
        self.0.retain(|one| one.minute > newest - STORED_MINUTES);
        if minute <= newest - STORED_MINUTES {
            return None;
        }
        let place = match self.0.binary_search_by_key(&minute, |one| one.minute) {
            Ok(place) => place,
            Err(place) => {
                let new = Minute {
                    minute,
                    flow: Flow::default(),
                };
                self.0.insert(place, new);
                place
            }
        };
        Some(&mut self.0[place].flow)
    }

    /// What was submitted and finished in the last minutes, at most 15. The first minute counts in proportion to its part in the
    /// period.
    #[must_use]
    pub fn flow(&self, minutes: u32, now: Timestamp) -> Flow {
        let newest = minute(now);
        let first = newest - i64::from(minutes);
        let into = now.as_millisecond().rem_euclid(60_000).unsigned_abs();
        let mut sum = Flow::default();
        for one in &self.0 {
            if one.minute < first || one.minute > newest {
                continue;
            }
            let part = |count: u64| {
                if one.minute == first {
                    (count * (60_000 - into)).div_ceil(60_000)
                } else {
                    count
                }
            };
            sum.submitted += part(one.flow.submitted);
            sum.finished += part(one.flow.finished);
            sum.queue_wait.merge(&one.flow.queue_wait);
            sum.run.merge(&one.flow.run);
        }
        sum
    }
}

fn minute(time: Timestamp) -> i64 {
    time.as_second().div_euclid(MINUTE.as_secs().cast_signed())
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use mesh_task::Status;

    use super::*;
    use crate::testing::{NOON, next, record, task};

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_wait_of_a_task_begins_when_it_is_ready() {
        let mut minutes = Minutes::default();
        let now = NOON + secs(60);
        let pending = task(Status::Pending);
        let claimed = next(&pending, Status::Processing, secs(3));
        let mut waiting = next(&claimed, Status::Pending, secs(1));
        waiting.next_attempt_at = Some(waiting.updated_at + secs(10));
        let again = next(&waiting, Status::Processing, secs(12));
        let done = next(&again, Status::Completed, secs(30));
        let life = [&pending, &claimed, &waiting, &again, &done];
        minutes.record(&record(1, None, Some(&pending)), now);
        for step in life.windows(2) {
            minutes.record(&record(1, Some(step[0]), Some(step[1])), now);
        }
        minutes.record(&record(1, Some(&done), None), now);
        let flow = minutes.flow(15, now);
        assert_eq!((flow.submitted, flow.finished), (1, 1));
        let mut waits = Histogram::default();
        waits.record(3_000);
        waits.record(2_000);
        let mut runs = Histogram::default();
        runs.record(30_000);
        assert_eq!((flow.queue_wait, flow.run), (waits, runs));
    }

    #[test]
    fn a_rate_covers_the_last_minutes_only() {
        let mut minutes = Minutes::default();
        let submit = |minutes: &mut Minutes, at: Timestamp, now: Timestamp| {
            let mut task = task(Status::Pending);
            task.created_at = at;
            minutes.record(&record(1, None, Some(&task)), now);
        };
        for second in 0..120 {
            submit(&mut minutes, NOON + secs(second), NOON + secs(second));
        }
        let at = |second, last| minutes.flow(last, NOON + secs(second)).submitted;
        assert_eq!([at(90, 1), at(119, 1), at(119, 5), at(150, 1)], [90, 61, 120, 30]);
        assert_eq!([at(180, 1), at(60 * 15, 15), at(60 * 20, 15)], [0, 120, 0]);

        // A record that is read late counts in its own minute, and one from the future in the current minute.
        submit(&mut minutes, NOON + secs(60), NOON + secs(600));
        submit(&mut minutes, NOON + secs(9_000), NOON + secs(600));
        submit(&mut minutes, NOON - secs(60), NOON + secs(16 * 60));
        assert_eq!(minutes.flow(1, NOON + secs(600)).submitted, 1);
        assert!(
            minutes.0.len() <= usize::try_from(STORED_MINUTES).unwrap(),
            "{minutes:?}"
        );
        assert_eq!(minutes.flow(15, NOON + secs(16 * 60)).submitted, 62);
    }
}
