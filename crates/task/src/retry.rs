//! What an attempt's outcome means for its task.

use std::time::Duration;

use crate::{Failure, FailureKind, RunError, RunErrorClass, TaskResult};

/// How often a task is tried, and how long it waits in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// How many attempts a task has, at least 1.
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

/// What is to be written of an attempt that ended with a word.
#[derive(Debug, Clone, PartialEq)]
pub enum Settlement {
    /// Final: the result.
    Completed(TaskResult),
    /// Pending again after the delay; the error is kept until the next attempt ends.
    Retry {
        /// What went wrong this time.
        failure: Failure,
        /// How long the task rests.
        delay: Duration,
        /// The attempt did not end by itself, so the next one runs apart from other tasks.
        cut_off: bool,
    },
    /// Final: the error.
    Failed(Failure),
}

impl Settlement {
    /// Decides what follows from attempt number `attempt`. This is the only place that does.
    #[must_use]
    pub fn of(
        outcome: Result<TaskResult, RunError>,
        attempt: u32,
        policy: &RetryPolicy,
        random: f64,
    ) -> Self {
        let error = match outcome {
            Ok(result) => return Self::Completed(result),
            Err(error) => error,
        };
        let attempts_left = attempt < policy.max_attempts;
        match error.class {
            RunErrorClass::Permanent => Self::Failed(error.into_failure(FailureKind::Permanent)),
            class if attempts_left => Self::Retry {
                failure: error.into_failure(FailureKind::Transient),
                delay: policy.backoff(attempt, random),
                cut_off: class == RunErrorClass::Timeout,
            },
            RunErrorClass::Transient => Self::Failed(error.into_failure(FailureKind::Exhausted)),
            RunErrorClass::Timeout => Self::Failed(error.into_failure(FailureKind::Timeout)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{SentimentLabel, code};

    const POLICY: RetryPolicy = RetryPolicy {
        max_attempts: 3,
        base: Duration::from_secs(2),
        cap: Duration::from_secs(900),
    };

    fn kind(class: RunErrorClass, attempt: u32) -> FailureKind {
        let error = RunError {
            class,
            code: code::TIMEOUT,
            message: String::new(),
        };
        match Settlement::of(Err(error), attempt, &POLICY, 0.5) {
            Settlement::Failed(failure) | Settlement::Retry { failure, .. } => failure.kind,
            Settlement::Completed(_) => unreachable!("an error does not complete a task"),
        }
    }

    #[test]
    fn a_permanent_error_is_never_tried_again() {
        assert_eq!(kind(RunErrorClass::Permanent, 1), FailureKind::Permanent);
        assert_eq!(kind(RunErrorClass::Permanent, 3), FailureKind::Permanent);
    }

    #[test]
    fn a_transient_error_is_tried_until_the_attempts_are_spent() {
        assert_eq!(kind(RunErrorClass::Transient, 1), FailureKind::Transient);
        assert_eq!(kind(RunErrorClass::Transient, 2), FailureKind::Transient);
        assert_eq!(kind(RunErrorClass::Transient, 3), FailureKind::Exhausted);
        assert_eq!(kind(RunErrorClass::Transient, 4), FailureKind::Exhausted);
        assert_eq!(kind(RunErrorClass::Timeout, 2), FailureKind::Transient);
        assert_eq!(kind(RunErrorClass::Timeout, 3), FailureKind::Timeout);
    }

    #[test]
    fn only_an_attempt_that_was_cut_off_sends_the_next_one_apart() {
        let next = |error| match Settlement::of(Err(error), 1, &POLICY, 0.0) {
            Settlement::Retry { cut_off, .. } => cut_off,
            other => panic!("expected a retry, got {other:?}"),
        };
        assert!(next(RunError::timeout()));
        assert!(!next(RunError::transient(code::INFERENCE_FAILED, "")));
    }

    #[test]
    fn a_result_completes_whatever_the_attempt() {
        let result = TaskResult::Sentiment(crate::Sentiment {
            label: SentimentLabel::Positive,
            score: 1.0,
        });
        assert_eq!(
            Settlement::of(Ok(result.clone()), 9, &POLICY, 0.0),
            Settlement::Completed(result)
        );
    }

    proptest! {
        #[test]
        fn a_wait_never_exceeds_its_ceiling(attempt in 0u32..1_000, random in 0.0f64..1.0) {
            let ceiling = Duration::from_secs(2).saturating_mul(1 << attempt.saturating_sub(1).min(20)).min(POLICY.cap);
            prop_assert!(POLICY.backoff(attempt, random) <= ceiling);
        }
    }
}
