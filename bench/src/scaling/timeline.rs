//! Who ran when, from the times of each task and the invocation that ran it.

use std::collections::BTreeMap;

use jiff::Timestamp;

/// A task's only attempt.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    pub(crate) submitted: Timestamp,
    pub(crate) started: Timestamp,
    pub(crate) ended: Timestamp,
    /// The request id of the batch that it was in.
    pub(crate) invocation: String,
}

/// Tasks, and the invocations that ran them.
#[derive(Debug)]
pub(crate) struct Timeline {
    attempts: Vec<Attempt>,
    /// From the first task's start to the last one's end.
    invocations: Vec<(Timestamp, Timestamp)>,
}

/// How things stood.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Tasks so far.
    pub(crate) submitted: usize,
    pub(crate) waiting: usize,
    /// Claimed by a worker, which runs one after the other.
    pub(crate) running: usize,
    /// Invocations under way.
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
        let on = |(start, end): &&(Timestamp, Timestamp)| *start <= time && time < *end;
        self.invocations.iter().filter(on).count()
    }

    /// The most that ran at once.
    pub(crate) fn most(&self) -> usize {
        self.most_workers(Timestamp::MIN, Timestamp::MAX)
    }

    /// The most that ran at once of those that began in this time: the number only grows at a start.
    pub(crate) fn most_workers(&self, from: Timestamp, to: Timestamp) -> usize {
        let starts = self.invocations.iter().map(|(start, _)| *start);
        let within = starts.filter(|start| from <= *start && *start < to);
        within.map(|start| self.workers(start)).max().unwrap_or_default()
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
    fn a_batch_is_one_worker_from_its_first_start_to_its_last_end() {
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
    fn the_most_is_that_of_the_time_that_is_asked_for() {
        let timeline = timeline();
        assert_eq!(timeline.most(), 2);
        assert_eq!(timeline.most_workers(at(0), at(5)), 1);
        assert_eq!(timeline.most_workers(at(7), at(100)), 1);
        assert_eq!(timeline.most_workers(at(9), at(100)), 0);
    }
}
