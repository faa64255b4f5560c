//! What an attempt's outcome means for its task.

use std::collections::HashMap;
use std::str::FromStr;
use std::time::Duration;

use crate::{Failure, FailureKind, Finished, Outcome, RunError, RunErrorClass, Task, TaskType};

/// How many attempts a task may have at most.
pub const MAX_ATTEMPTS: u32 = 10;
/// How often a generation may be throttled without an attempt being spent. At the longest back-offs that takes half a
/// day; what is turned away for so long is not merely busy, and a task must end some time.
pub const MAX_THROTTLES: u32 = 100;

/// How often a task is tried, and how long it waits in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// How many attempts a task has, 1 to [`MAX_ATTEMPTS`].
    pub max_attempts: u32,
    /// The longest wait after the first attempt; it doubles with each further one.
    pub base: Duration,
    /// No wait is longer than this.
    pub cap: Duration,
}

impl RetryPolicy {
    /// The wait after attempt number `attempt` (1 for the first): exponential with full jitter, so that tasks which
    /// failed together do not return together (Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog).
    /// `random` is uniform in 0..1.
    #[must_use]
    pub fn backoff(&self, attempt: u32, random: f64) -> Duration {
        let doublings = attempt.saturating_sub(1).min(31);
        self.base
            .saturating_mul(1 << doublings)
            .min(self.cap)
            .mul_f64(random.clamp(0.0, 1.0))
    }
}

/// The retry policy of each type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryPolicies {
    /// For the types that have none of their own.
    pub general: RetryPolicy,
    /// `RETRY_POLICIES` of the template.
    pub own: OwnPolicies,
}

impl RetryPolicies {
    /// The policy of a type.
    #[must_use]
    pub fn of(&self, task_type: TaskType) -> &RetryPolicy {
        self.own.0.get(&task_type).unwrap_or(&self.general)
    }
}

/// The types that have a policy of their own: `face_detection=5/10/600, ...`, the numbers being attempts, base and cap
/// in seconds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnPolicies(HashMap<TaskType, RetryPolicy>);

/// The text says no retry policies.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no retry policy: write type=attempts/base/cap, attempts from 1 to {MAX_ATTEMPTS}, the others in seconds"
)]
pub struct InvalidPolicies(String);

impl FromStr for OwnPolicies {
    type Err = InvalidPolicies;

    fn from_str(text: &str) -> Result<Self, InvalidPolicies> {
        let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        let read = |entry: &str| {
            let (task_type, numbers) = entry.split_once('=')?;
            let mut numbers = numbers.split('/').map(|number| number.trim().parse::<u32>().ok());
            let mut next = || numbers.next().flatten();
            let policy = RetryPolicy {
                max_attempts: next().filter(|attempts| (1..=MAX_ATTEMPTS).contains(attempts))?,
                base: Duration::from_secs(next()?.into()),
                cap: Duration::from_secs(next()?.into()),
            };
            let task_type = task_type.trim().parse().ok()?;
            numbers.next().is_none().then_some((task_type, policy))
        };
        entries
            .map(|entry| read(entry).ok_or_else(|| InvalidPolicies(entry.to_owned())))
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

/// What is to be written of an attempt that ended with a word.
#[derive(Debug, Clone, PartialEq)]
pub enum Settlement {
    /// Final: the result.
    Completed(Finished),
    /// Pending again after the delay; the error is kept until the next attempt ends.
    Retry {
        /// What went wrong this time.
        failure: Failure,
        /// How it ended.
        outcome: Outcome,
        /// How long the task rests.
        delay: Duration,
    },
    /// Final: the error.
    Failed {
        /// What went wrong.
        failure: Failure,
        /// How it ended.
        outcome: Outcome,
    },
}

impl Settlement {
    /// Decides what follows from the attempt that `task` was claimed for. This is the only place that does. `random` is
    /// uniform in 0..1.
    #[must_use]
    pub fn of(outcome: Result<Finished, RunError>, task: &Task, policy: &RetryPolicy, random: f64) -> Self {
        let error = match outcome {
            Ok(finished) => return Self::Completed(finished),
            Err(error) => error,
        };
        let attempts_left = task.attempt < task.max_attempts;
        let least = error.retry_after.unwrap_or_default();
        let (outcome, kind, delay) = match error.class {
            RunErrorClass::Permanent => (Outcome::Permanent, FailureKind::Permanent, None),
            RunErrorClass::Throttled if task.throttles < MAX_THROTTLES => {
                let delay = policy.backoff(task.throttles + 1, random);
                (Outcome::Throttled, FailureKind::Transient, Some(delay))
            }
            RunErrorClass::Timeout => (Outcome::Timeout, FailureKind::Timeout, None),
            RunErrorClass::Transient | RunErrorClass::Throttled => {
                (Outcome::Transient, FailureKind::Exhausted, None)
            }
        };
        let again = attempts_left && matches!(outcome, Outcome::Transient | Outcome::Timeout);
        match delay.or_else(|| again.then(|| policy.backoff(task.attempt, random))) {
            Some(delay) => Self::Retry {
                failure: error.into_failure(FailureKind::Transient),
                outcome,
                delay: delay.max(least),
            },
            None => Self::Failed {
                failure: error.into_failure(kind),
                outcome,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{code, testing};

    const POLICY: RetryPolicy = RetryPolicy {
        max_attempts: 3,
        base: Duration::from_secs(2),
        cap: Duration::from_secs(900),
    };

    /// What follows from an error in that attempt of three.
    fn settled(error: RunError, attempt: u32) -> Settlement {
        let mut task = testing::task();
        task.attempt = attempt;
        Settlement::of(Err(error), &task, &POLICY, 1.0)
    }

    fn kind(error: RunError, attempt: u32) -> FailureKind {
        match settled(error, attempt) {
            Settlement::Completed(_) => panic!("an error completes nothing"),
            Settlement::Retry { failure, .. } | Settlement::Failed { failure, .. } => failure.kind,
        }
    }

    fn transient() -> RunError {
        RunError::transient(code::INFERENCE_FAILED, "")
    }

    #[test]
    fn a_permanent_error_is_never_tried_again() {
        for attempt in 1..=3 {
            assert_eq!(
                kind(RunError::permanent(code::PANIC, ""), attempt),
                FailureKind::Permanent
            );
        }
    }

    #[test]
    fn a_transient_error_is_tried_until_the_attempts_are_spent() {
        assert_eq!([1, 2, 3, 4].map(|attempt| kind(transient(), attempt)), {
            use FailureKind::{Exhausted, Transient};
            [Transient, Transient, Exhausted, Exhausted]
        });
        assert_eq!(kind(RunError::timeout(), 2), FailureKind::Transient);
        assert_eq!(kind(RunError::timeout(), 3), FailureKind::Timeout);
    }

    #[test]
    fn a_throttled_attempt_is_not_spent_and_waits_as_long_as_it_was_told() {
        let told = Duration::from_secs(77);
        let throttled = || RunError::throttled(code::THROTTLED, "", Some(told));
        let Settlement::Retry { outcome, delay, .. } = settled(throttled(), 3) else {
            panic!("the last attempt, throttled, is not the last")
        };
        assert_eq!((outcome, delay), (Outcome::Throttled, told));
        let mut task = testing::task();
        (task.attempt, task.throttles) = (3, MAX_THROTTLES);
        let settled = Settlement::of(Err(throttled()), &task, &POLICY, 0.0);
        assert!(matches!(settled, Settlement::Failed { .. }), "but not for ever");
    }

    #[test]
    fn a_result_completes_whatever_the_attempt() {
        let finished = testing::finished();
        let settled = Settlement::of(Ok(finished.clone()), &testing::task(), &POLICY, 0.0);
        assert_eq!(settled, Settlement::Completed(finished));
    }

    #[test]
    fn a_type_may_have_a_policy_of_its_own() {
        let policies = |own: &str| RetryPolicies {
            general: POLICY,
            own: own.parse().unwrap(),
        };
        let own = policies(" face_detection=5/10/600 ,");
        assert_eq!(own.of(TaskType::Sentiment), &POLICY);
        assert_eq!(
            own.of(TaskType::FaceDetection),
            &RetryPolicy {
                max_attempts: 5,
                base: Duration::from_secs(10),
                cap: Duration::from_secs(600)
            }
        );
        assert_eq!(policies("").of(TaskType::FaceDetection), &POLICY);
        for wrong in [
            "sentiment",
            "x=1/1/1",
            "sentiment=0/1/1",
            "sentiment=11/1/1",
            "sentiment=1/1",
            "sentiment=1/1/1/1",
        ] {
            assert!(wrong.parse::<OwnPolicies>().is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn a_wait_never_exceeds_its_ceiling(attempt in 0u32..1_000, random in 0.0f64..1.0) {
            let ceiling = Duration::from_secs(2).saturating_mul(1 << attempt.saturating_sub(1).min(20)).min(POLICY.cap);
            prop_assert!(POLICY.backoff(attempt, random) <= ceiling);
        }
    }
}
