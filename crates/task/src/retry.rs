//! Which tasks are tried again, and when.
//!
//! [`Settlement::new`] decides what follows from an attempt: the result, another attempt, or failure. It is the only place
//! that decides it. [`RetryPolicy::backoff`] computes the wait before the next attempt.

use std::collections::HashMap;
use std::str::FromStr;
use std::time::Duration;

use crate::{Failure, FailureKind, Finished, Outcome, RunError, RunErrorClass, Task, TaskType};

/// The highest number of attempts that a task may have.
pub const MAX_ATTEMPTS: u32 = 10;
/// How often one generation may be throttled without a spent attempt. With the longest back-offs that takes half a day. A
/// service that refuses for longer is not merely busy, and every task must end.
pub const MAX_THROTTLES: u32 = 100;

/// How often a task is tried, and how long it waits between attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts of one generation, 1 to [`MAX_ATTEMPTS`].
    pub max_attempts: u32,
    /// The longest wait after the first attempt. It doubles with each further attempt.
    pub base: Duration,
    /// The limit of every wait.
    pub cap: Duration,
}

impl RetryPolicy {
    /// The wait after attempt number `attempt` (1 for the first): `random` x min(`cap`, `base` x 2^(`attempt` - 1)).
    ///
    /// `random` is uniform in 0..1, so this is exponential back-off with full jitter. The jitter spreads tasks that failed at
    /// the same moment (Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog).
    #[must_use]
    pub fn backoff(&self, attempt: u32, random: f64) -> Duration {
        let doublings = attempt.saturating_sub(1).min(31);
        self.base
            .saturating_mul(1 << doublings)
            .min(self.cap)
            .mul_f64(random.clamp(0.0, 1.0))
    }
}

/// The retry policy of each task type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryPolicies {
    /// The policy of the types that `own` does not name.
    pub general: RetryPolicy,
    /// The template's parameter `RetryPolicies`.
    pub own: OwnPolicies,
}

impl RetryPolicies {
    /// The policy of a type.
    #[must_use]
    pub fn for_type(&self, task_type: TaskType) -> &RetryPolicy {
        self.own.0.get(&task_type).unwrap_or(&self.general)
    }
}

/// The types that have a policy of their own, parsed from `face_detection=5/10/600, ...`. The numbers are attempts, then base
/// and cap in seconds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnPolicies(HashMap<TaskType, RetryPolicy>);

/// An entry that is not a retry policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a retry policy: expected type=attempts/base/cap, with 1 to {MAX_ATTEMPTS} attempts, base and cap in seconds"
)]
pub struct InvalidPolicies(String);

impl FromStr for OwnPolicies {
    type Err = InvalidPolicies;

    fn from_str(text: &str) -> Result<Self, InvalidPolicies> {
        let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        let parse = |entry: &str| {
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
            .map(|entry| parse(entry).ok_or_else(|| InvalidPolicies(entry.to_owned())))
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

/// What follows for a task from an attempt that reported an outcome.
#[derive(Debug, Clone, PartialEq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Settlement {
    /// The task is final and has this result.
    Completed(Finished),
    /// The task is pending again, and a worker may claim it after `delay`.
    #[strum(serialize = "retried")]
    Retry {
        /// Why this attempt failed. The task shows it until the next attempt ends.
        failure: Failure,
        outcome: Outcome,
        /// The back-off before the next attempt.
        delay: Duration,
    },
    /// The task is final and has this error.
    Failed {
        failure: Failure,
        /// How its last attempt ended.
        outcome: Outcome,
    },
}

impl Settlement {
    /// Decides what follows from the attempt that `task` was claimed for. `random` is uniform in 0..1.
    #[must_use]
    pub fn new(outcome: Result<Finished, RunError>, task: &Task, policy: &RetryPolicy, random: f64) -> Self {
        let error = match outcome {
            Ok(finished) => return Self::Completed(finished),
            Err(error) => error,
        };
        // A task that was throttled too often loses attempts as after any other error.
        let class = match error.class {
            RunErrorClass::Throttled if task.throttles >= MAX_THROTTLES => RunErrorClass::Transient,
            class => class,
        };
        let attempts_left = task.attempt < task.max_attempts;
        let delay = match class {
            RunErrorClass::Permanent => None,
            RunErrorClass::Throttled => Some(policy.backoff(task.throttles + 1, random)),
            RunErrorClass::Transient | RunErrorClass::Timeout => {
                attempts_left.then(|| policy.backoff(task.attempt, random))
            }
            // The next attempt runs isolated, so nothing needs to calm down first.
            RunErrorClass::Interrupted => Some(Duration::ZERO),
            RunErrorClass::Lost => task.survives_crash().then_some(Duration::ZERO),
        };
        let outcome = class.into();
        match delay {
            Some(delay) => Self::Retry {
                delay: delay.max(error.retry_after.unwrap_or_default()),
                failure: error.into_failure(FailureKind::Transient),
                outcome,
            },
            None => Self::Failed {
                failure: error.into_failure(FailureKind::from_last_attempt(class)),
                outcome,
            },
        }
    }

    /// The name in the log: `completed`, `retried` or `failed`.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        self.into()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{ErrorCode, testing};

    const POLICY: RetryPolicy = RetryPolicy {
        max_attempts: 3,
        base: Duration::from_secs(2),
        cap: Duration::from_secs(900),
    };

    /// What follows from an error in this attempt of three.
    fn settled(error: RunError, attempt: u32) -> Settlement {
        let mut task = testing::task();
        task.attempt = attempt;
        Settlement::new(Err(error), &task, &POLICY, 1.0)
    }

    fn kind(error: RunError, attempt: u32) -> FailureKind {
        match settled(error, attempt) {
            Settlement::Completed(_) => panic!("an error completes nothing"),
            Settlement::Retry { failure, .. } | Settlement::Failed { failure, .. } => failure.kind,
        }
    }

    fn transient() -> RunError {
        RunError::transient(ErrorCode::InferenceFailed, "")
    }

    #[test]
    fn a_permanent_error_is_never_retried() {
        for attempt in 1..=3 {
            assert_eq!(
                kind(RunError::permanent(ErrorCode::Panic, ""), attempt),
                FailureKind::Permanent
            );
        }
    }

    #[test]
    fn a_transient_error_is_retried_until_the_attempts_are_exhausted() {
        assert_eq!([1, 2, 3, 4].map(|attempt| kind(transient(), attempt)), {
            use FailureKind::{Exhausted, Transient};
            [Transient, Transient, Exhausted, Exhausted]
        });
        assert_eq!(kind(RunError::timeout(), 2), FailureKind::Transient);
        assert_eq!(kind(RunError::timeout(), 3), FailureKind::Timeout);
    }

    #[test]
    fn a_throttled_attempt_is_not_spent_and_waits_for_retry_after() {
        let retry_after = Duration::from_secs(77);
        let throttled = || RunError::throttled(ErrorCode::Throttled, "", Some(retry_after));
        let Settlement::Retry { outcome, delay, .. } = settled(throttled(), 3) else {
            panic!("a throttled last attempt is retried")
        };
        assert_eq!((outcome, delay), (Outcome::Throttled, retry_after));
        let mut task = testing::task();
        (task.attempt, task.throttles) = (3, MAX_THROTTLES);
        let settled = Settlement::new(Err(throttled()), &task, &POLICY, 0.0);
        assert!(
            matches!(settled, Settlement::Failed { .. }),
            "throttled too often"
        );
    }

    #[test]
    fn an_interrupted_last_attempt_is_retried_at_once() {
        let Settlement::Retry { outcome, delay, .. } = settled(RunError::interrupted(), 3) else {
            panic!("an interrupted attempt is not spent")
        };
        assert_eq!((outcome, delay), (Outcome::Interrupted, Duration::ZERO));
    }

    #[test]
    fn a_lost_last_attempt_is_retried_at_once_unless_it_was_isolated() {
        let Settlement::Retry { outcome, delay, .. } = settled(RunError::crashed(), 3) else {
            panic!("it ran beside others, so it is not spent")
        };
        assert_eq!((outcome, delay), (Outcome::Lost, Duration::ZERO));
        let mut isolated = testing::task();
        (isolated.attempt, isolated.consecutive_crashes) = (2, 2);
        let settled = |task: &Task| Settlement::new(Err(RunError::crashed()), task, &POLICY, 1.0);
        assert!(matches!(settled(&isolated), Settlement::Retry { .. }));
        isolated.attempt = 3;
        let Settlement::Failed { failure, outcome } = settled(&isolated) else {
            panic!("its last attempt is spent")
        };
        assert_eq!((failure.kind, outcome), (FailureKind::Exhausted, Outcome::Lost));
    }

    #[test]
    fn a_result_completes_the_task_in_any_attempt() {
        let finished = testing::finished();
        let settled = Settlement::new(Ok(finished.clone()), &testing::task(), &POLICY, 0.0);
        assert_eq!(settled.as_str(), "completed");
        assert_eq!(settled, Settlement::Completed(finished));
    }

    #[test]
    fn a_settlement_has_the_name_that_the_log_shows() {
        assert_eq!(settled(transient(), 1).as_str(), "retried");
        assert_eq!(settled(transient(), 3).as_str(), "failed");
    }

    #[test]
    fn a_type_can_have_its_own_policy() {
        let policies = |own: &str| RetryPolicies {
            general: POLICY,
            own: own.parse().unwrap(),
        };
        let own = policies(" face_detection=5/10/600 ,");
        assert_eq!(own.for_type(TaskType::Sentiment), &POLICY);
        assert_eq!(
            own.for_type(TaskType::FaceDetection),
            &RetryPolicy {
                max_attempts: 5,
                base: Duration::from_secs(10),
                cap: Duration::from_secs(600)
            }
        );
        assert_eq!(policies("").for_type(TaskType::FaceDetection), &POLICY);
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
        fn backoff_never_exceeds_its_ceiling(attempt in 0u32..1_000, random in 0.0f64..1.0) {
            let ceiling = Duration::from_secs(2).saturating_mul(1 << attempt.saturating_sub(1).min(20)).min(POLICY.cap);
            prop_assert!(POLICY.backoff(attempt, random) <= ceiling);
        }
    }
}
