//! The running workers over time, from the times of each task and the invocation that ran it.

use std::collections::BTreeMap;

use jiff::Timestamp;

/// A task's only attempt.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    pub(crate) submitted: Timestamp,
    pub(crate) started: Timestamp,
    pub(crate) ended: Timestamp,
    pub(crate) invocation: String,
}

/// The attempts of all tasks, and the invocations that ran them.
#[derive(Debug)]
pub(crate) struct Timeline {
    attempts: Vec<Attempt>,
    /// The start of the first attempt and the end of the last one.
    invocations: Vec<(Timestamp, Timestamp)>,
}

/// The state at one time.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Counts {
    /// The tasks submitted so far.
    pub(crate) submitted: usize,
    pub(crate) waiting: usize,
    /// Claimed by a worker, which runs its tasks one after the other.
    pub(crate) running: usize,
    pub(crate) workers: usize,
}

impl Timeline {
    pub(crate) fn new(attempts: Vec<Attempt>) -> Self {
        let mut invocations = BTreeMap::new();
        for attempt in &attempts {
            let (start, end) = invocations
                .entry(&attempt.invocation)
                .or_insert((attempt.started, attempt.ended));
            *start = attempt.started.min(*start);
            *end = attempt.ended.max(*end);
        }
        Self {
            invocations: invocations.into_values().collect(),
            attempts,
        }
    }

    pub(crate) fn at(&self, time: Timestamp) -> Counts {
        let count =
            |is: &dyn Fn(&Attempt) -> bool| self.attempts.iter().filter(|attempt| is(attempt)).count();
        Counts {
            submitted: count(&|attempt| attempt.submitted <= time),
            waiting: count(&|attempt| attempt.submitted <= time && time < attempt.started),
            running: count(&|attempt| attempt.started <= time && time < attempt.ended),
            workers: self.workers(time),
        }
    }

    fn workers(&self, time: Timestamp) -> usize {
        let is_running = |(start, end): &&(Timestamp, Timestamp)| *start <= time && time < *end;
        self.invocations.iter().filter(is_running).count()
    }

    /// The maximum number of workers at any time.
    pub(crate) fn max_workers(&self) -> usize {
        self.max_workers_between(Timestamp::MIN, Timestamp::MAX)
    }

    /// The maximum number of workers between two times. The number only rises when one starts, so only starts are
    /// examined.
    pub(crate) fn max_workers_between(&self, from: Timestamp, to: Timestamp) -> usize {
        let starts = self.invocations.iter().map(|(start, _)| *start);
        let in_period = starts.filter(|start| from <= *start && *start < to);
        in_period
            .map(|start| self.workers(start))
            .max()
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn attempt(submitted: i64, started: i64, ended: i64, invocation: &str) -> Attempt {
        Attempt {
            submitted: at(submitted),
            started: at(started),
            ended: at(ended),
            invocation: invocation.to_owned(),
        }
    }

    fn timeline() -> Timeline {
        Timeline::new(vec![
            attempt(0, 2, 4, "a"),
            attempt(0, 3, 6, "a"),
            attempt(1, 5, 7, "b"),
            attempt(1, 8, 9, "c"),
        ])
    }

    #[test]
    fn a_batch_counts_as_one_worker_from_its_first_start_to_its_last_end() {
        let counts = |submitted, waiting, running, workers| Counts {
            submitted,
            waiting,
            running,
            workers,
        };
        let timeline = timeline();
        assert_eq!(timeline.at(at(0)), counts(2, 2, 0, 0));
        assert_eq!(timeline.at(at(3)), counts(4, 2, 2, 1));
        assert_eq!(timeline.at(at(5)), counts(4, 1, 2, 2));
        assert_eq!(timeline.at(at(7)), counts(4, 1, 0, 0));
        assert_eq!(timeline.at(at(9)), counts(4, 0, 0, 0));
    }

    #[test]
    fn the_maximum_is_that_of_the_given_period() {
        let timeline = timeline();
        assert_eq!(timeline.max_workers(), 2);
        assert_eq!(timeline.max_workers_between(at(0), at(5)), 1);
        assert_eq!(timeline.max_workers_between(at(7), at(100)), 1);
        assert_eq!(timeline.max_workers_between(at(9), at(100)), 0);
    }
}
