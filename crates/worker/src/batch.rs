//! One invocation: a batch of messages in, an answer for each out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsMessage};
use futures_util::future::{join, join_all};
use jiff::Timestamp;
use mesh_aws::{Claim, WriteOutcome};
use mesh_task::{ClaimRefusal, Isolation, Task};
use tokio::time::{interval_at, timeout_at};
use tracing::Instrument;

use crate::delivery::{Answer, Deliveries, Delivery};
use crate::run::{End, Run};
use crate::settle::after_loss;
use crate::{Invocation, Job, Runner, Worker, input};

/// A claim is renewed, and so a cancelled task noticed, this often while a lease lasts once.
const RENEWALS_PER_LEASE: u32 = 6;

/// What a claim leaves to do.
enum Claimed {
    Run(Box<Task>),
    /// Later and alone; the number sorts the least suspected first.
    Later(u32),
    Nothing(Answer),
}

/// A claimed task on its way.
struct Attempt {
    delivery: Delivery,
    task: Box<Task>,
    /// How long its input took to come.
    fetch: Duration,
}

impl<R: Runner> Worker<R> {
    /// Handles a batch of messages. Those that the answer names are delivered again.
    pub async fn handle(&self, records: Vec<SqsMessage>, invocation: Invocation) -> SqsBatchResponse {
        self.batch_metrics.received(records.len());
        let Deliveries {
            deliveries,
            unreadable,
        } = Deliveries::read(records);
        let mut answers = Vec::with_capacity(deliveries.len());
        let mut batch = Vec::new();
        let mut suspects = Vec::new();
        let claims = join_all(
            deliveries
                .iter()
                .map(|delivery| self.claim(delivery, Isolation::Batched, &invocation)),
        )
        .await;
        for (delivery, claimed) in deliveries.into_iter().zip(claims) {
            match claimed {
                Claimed::Run(task) => batch.push((delivery, task)),
                Claimed::Later(consecutive_crashes) => suspects.push((consecutive_crashes, delivery)),
                Claimed::Nothing(answer) => answers.push((delivery.message_id, answer)),
            }
        }
        answers.extend(self.run_and_settle(batch, &invocation).await);

        // A task whose last attempt took its process along may do so again: each runs by itself, when the others are
        // written, and is claimed only then, so that its neighbours lose no attempt.
        suspects.sort_by_key(|(consecutive_crashes, _)| *consecutive_crashes);
        for (_, delivery) in suspects {
            answers.extend(self.run_suspect(delivery, &invocation).await);
        }

        // Shown again at once, they take the shortest way to the dead-letter queue, where someone may see them.
        let handles = unreadable
            .iter()
            .filter_map(|message| Some((&*message.queue, message.receipt_handle.as_deref()?)));
        join_all(
            handles
                .map(|(queue, receipt_handle)| self.change_visibility(queue, receipt_handle, Duration::ZERO)),
        )
        .await;

        let mut response = SqsBatchResponse::default();
        let kept = answers
            .into_iter()
            .filter(|(_, answer)| *answer == Answer::Keep)
            .map(|(message_id, _)| message_id);
        for message_id in kept.chain(unreadable.into_iter().map(|message| message.message_id)) {
            response.add_failure(message_id);
        }
        response
    }

    async fn run_suspect(&self, delivery: Delivery, invocation: &Invocation) -> Vec<(String, Answer)> {
        let claimed = if invocation.has_room() {
            self.claim(&delivery, Isolation::Isolated, invocation).await
        } else {
            Claimed::Nothing(self.release(&delivery, Duration::ZERO).await)
        };
        match claimed {
            Claimed::Run(task) => self.run_and_settle(vec![(delivery, task)], invocation).await,
            // Alone there is no consecutive_crashes: only a change in between can have led here, and the next delivery sees it.
            Claimed::Later(_) => vec![(delivery.message_id, Answer::Keep)],
            Claimed::Nothing(answer) => vec![(delivery.message_id, answer)],
        }
    }

    async fn claim(&self, delivery: &Delivery, isolation: Isolation, invocation: &Invocation) -> Claimed {
        let claiming = self.claim_logged(delivery, isolation, invocation);
        claiming.instrument(delivery.span.clone()).await
    }

    async fn claim_logged(
        &self,
        delivery: &Delivery,
        isolation: Isolation,
        invocation: &Invocation,
    ) -> Claimed {
        let now = Timestamp::now();
        let lease_until = invocation.lease_until().min(now + self.lease);
        let claim = self
            .table
            .claim(&delivery.message, isolation, now, lease_until)
            .await;
        let (refusal, task) = match claim {
            Ok(Claim::Won(task)) => {
                delivery.record(&task);
                self.batch_metrics.waited(task.waited());
                return Claimed::Run(task);
            }
            Ok(Claim::Refused(refusal, task)) => (refusal, task),
            Err(error) => {
                tracing::error!(%error, "a task could not be claimed");
                let wait = self.policies.general.backoff(delivery.receives, fastrand::f64());
                return Claimed::Nothing(self.release(delivery, wait).await);
            }
        };
        match (refusal, task) {
            (ClaimRefusal::Quarantined { consecutive_crashes }, _) => Claimed::Later(consecutive_crashes),
            (ClaimRefusal::NotBefore(time), _) => {
                let wait = Duration::try_from(time - now).unwrap_or_default();
                Claimed::Nothing(self.release(delivery, wait).await)
            }
            (ClaimRefusal::AttemptsExhausted, Some(task)) => {
                Claimed::Nothing(self.fail_exhausted(delivery, &task, now).await)
            }
            (ClaimRefusal::NothingToDo | ClaimRefusal::AttemptsExhausted, _) => {
                tracing::info!("a message had nothing left to do");
                Claimed::Nothing(Answer::Done)
            }
        }
    }

    /// Ends a task whose attempts were all spent, the last one without a word.
    async fn fail_exhausted(&self, delivery: &Delivery, task: &Task, now: Timestamp) -> Answer {
        match self
            .table
            .write(&task.tenant, task.id, &task.fail_exhausted(now))
            .await
        {
            Ok(WriteOutcome::Applied(task)) => {
                tracing::warn!(
                    attempt = task.attempt,
                    correlation_id = task.correlation_id,
                    "a task's attempts ended without a word"
                );
                self.dead_letter(delivery).await
            }
            // Somebody else has moved it since: the message finds out what is left to do.
            Ok(WriteOutcome::ConditionFailed(_)) => Answer::Keep,
            Err(error) => {
                tracing::error!(%error, "a task's end could not be written");
                Answer::Keep
            }
        }
    }

    /// Holds a running task for one more lease. An answer says that it is no longer this worker's: it was cancelled, or
    /// taken over after a pause.
    async fn renew(&self, task: &Task) -> Option<Answer> {
        #[cfg(feature = "faults")]
        if crate::faults::is_stalled(task) {
            return None;
        }
        let renew = task.renew(Timestamp::now() + self.lease);
        match self.table.write(&task.tenant, task.id, &renew).await {
            Ok(WriteOutcome::Applied(_)) => None,
            Ok(WriteOutcome::ConditionFailed(standing)) => {
                tracing::info!(
                    task_id = %task.id,
                    correlation_id = task.correlation_id,
                    "a running task is no longer this worker's"
                );
                Some(after_loss(standing.as_deref()))
            }
            Err(error) => {
                tracing::warn!(task_id = %task.id, %error, "a lease was not renewed");
                None
            }
        }
    }

    /// Runs claimed tasks as one and writes each one's end as soon as it is known: from then on nobody renews its lease.
    async fn run_and_settle(
        &self,
        claimed: Vec<(Delivery, Box<Task>)>,
        invocation: &Invocation,
    ) -> Vec<(String, Answer)> {
        let load_until = invocation.load_until();
        let loads = claimed.iter().map(async |(_, task)| {
            let begun = Instant::now();
            let loaded = timeout_at(load_until, input::load(&self.payloads, task)).await;
            (
                loaded.unwrap_or_else(|_| Err(input::unanswered())),
                begun.elapsed(),
            )
        });
        let tasks: Vec<_> = claimed.iter().map(|(_, task)| &**task).collect();
        let inputs = self.renewing(&tasks, join_all(loads)).await;
        let mut jobs = Vec::new();
        let mut ended = Vec::new();
        for ((delivery, task), (input, fetch)) in claimed.into_iter().zip(inputs) {
            let attempt = Attempt {
                delivery,
                task,
                fetch,
            };
            match input {
                Ok(input) => {
                    let job = Job {
                        task: (*attempt.task).clone(),
                        input: Arc::new(input),
                    };
                    jobs.push((attempt, job));
                }
                Err(error) => ended.push((attempt, End::Own(Err(error)))),
            }
        }
        let period = self.lease / RENEWALS_PER_LEASE;
        let mut run = Run::of(jobs, invocation);
        let mut answers = Vec::new();
        while run.is_open() {
            let round = run.round(&self.runner, period, async |task| self.renew(task).await);
            let settled;
            (ended, settled) = join(round, self.settle_all(ended)).await;
            answers.extend(settled);
        }
        answers.extend(self.settle_all(ended).await);
        if run.overran() {
            // Nothing may run on into the next invocation. The ends are written; the messages find that out.
            tracing::error!("a run did not heed its deadline: this environment ends");
            self.batch_metrics.emit();
            std::process::exit(1);
        }
        answers
    }

    /// Waits for `work`, and holds these tasks meanwhile. One that is no longer the worker's is found out when it runs.
    async fn renewing<T>(&self, tasks: &[&Task], work: impl Future<Output = T>) -> T {
        let period = self.lease / RENEWALS_PER_LEASE;
        let hold = async {
            let mut ticks = interval_at(tokio::time::Instant::now() + period, period);
            loop {
                ticks.tick().await;
                join_all(tasks.iter().map(|task| self.renew(task))).await;
            }
        };
        tokio::select! {
            done = work => done,
            never = hold => never,
        }
    }

    async fn settle_all(&self, ended: Vec<(Attempt, End)>) -> Vec<(String, Answer)> {
        let settling = ended.into_iter().map(async |(attempt, end)| {
            let Attempt {
                delivery,
                task,
                fetch,
            } = attempt;
            let answer = match end {
                End::Own(outcome) => {
                    let settling = self.settle(&delivery, &task, fetch, outcome);
                    settling.instrument(delivery.span.clone()).await
                }
                End::Lost(answer) => answer,
            };
            (delivery.message_id, answer)
        });
        join_all(settling).await
    }
}
