//! One batch of messages: claim their tasks, run them, settle them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::{join, join_all};
use mesh_task::{Isolation, RunError, Task};
use tokio::time::{interval_at, timeout_at};
use tracing::Instrument;

use crate::claim::Claim;
use crate::delivery::{Deliveries, Delivery, Disposition, ForeignMessage, change_visibility};
use crate::run::{AttemptEnd, Run};
use crate::{Invocation, Job, Runner, Worker, input};

/// How often a claim is renewed during one lease. A cancelled task is noticed as often.
const RENEWALS_PER_LEASE: u32 = 6;

/// What became of a batch.
#[derive(Debug, Default)]
pub struct Handled {
    /// The ids of the messages that the queue must not delete.
    pub retained: Vec<String>,
    /// Whether a run ignored its stop. Its thread still runs, so the host must end the process.
    pub must_exit: bool,
}

impl Handled {
    fn add(&mut self, message_id: String, disposition: Disposition) {
        if disposition == Disposition::Retain {
            self.retained.push(message_id);
        }
    }
}

/// A claimed task with its message.
struct ClaimedTask {
    delivery: Delivery,
    task: Box<Task>,
    /// How long its input took to load.
    fetch: Duration,
}

impl<R: Runner> Worker<R> {
    /// Handles a batch of messages.
    pub async fn handle(&self, batch: Deliveries, invocation: Invocation) -> Handled {
        self.batch_metrics.received(batch.received);
        let mut handled = Handled::default();
        let mut claimed = Vec::new();
        let mut quarantined = Vec::new();
        let claims = join_all(batch.deliveries.iter().map(|delivery| {
            let claim = self.claim(delivery, Isolation::Batched, invocation);
            claim.instrument(delivery.span.clone())
        }))
        .await;
        for (delivery, claim) in batch.deliveries.into_iter().zip(claims) {
            match claim {
                Claim::Claimed(task) => claimed.push((delivery, task)),
                Claim::Quarantined { consecutive_crashes } => {
                    quarantined.push((consecutive_crashes, delivery));
                }
                Claim::Refused(disposition) => handled.add(delivery.message_id, disposition),
            }
        }
        self.run_and_settle(claimed, invocation, &mut handled).await;

        // A quarantined task may crash the process again. Each is claimed only when the others are settled, and runs
        // isolated. The task that crashed most often comes last.
        quarantined.sort_by_key(|(consecutive_crashes, _)| *consecutive_crashes);
        let mut quarantined = quarantined.into_iter().map(|(_, delivery)| delivery);
        while !handled.must_exit
            && let Some(delivery) = quarantined.next()
        {
            self.run_isolated(delivery, invocation, &mut handled).await;
        }
        // What this process does not run any more, another one runs at once.
        self.release_all(quarantined, &mut handled).await;
        retain_foreign(batch.foreign, &mut handled).await;
        handled
    }

    /// Lets the queue deliver these messages again now.
    async fn release_all(&self, deliveries: impl Iterator<Item = Delivery>, handled: &mut Handled) {
        let released = deliveries.map(async |delivery| {
            let disposition = self.release(&delivery, Duration::ZERO).await;
            (delivery.message_id, disposition)
        });
        for (message_id, disposition) in join_all(released).await {
            handled.add(message_id, disposition);
        }
    }

    /// Claims and runs one quarantined task, if enough time is left: at its deadline it spends an attempt.
    async fn run_isolated(&self, delivery: Delivery, invocation: Invocation, handled: &mut Handled) {
        if !invocation.has_room_for_isolated() {
            return self.release_all([delivery].into_iter(), handled).await;
        }
        let claim = self.claim(&delivery, Isolation::Isolated, invocation);
        match claim.instrument(delivery.span.clone()).await {
            Claim::Claimed(task) => {
                self.run_and_settle(vec![(delivery, task)], invocation, handled)
                    .await;
            }
            // An isolated claim accepts a quarantined task. So the task changed between the claim and the refusal, and the next
            // receive of the message sees the change.
            Claim::Quarantined { .. } => handled.add(delivery.message_id, Disposition::Retain),
            Claim::Refused(disposition) => handled.add(delivery.message_id, disposition),
        }
    }

    /// Runs claimed tasks as one batch. Each end is written as soon as it is known, because the lease is not renewed from then
    /// on.
    async fn run_and_settle(
        &self,
        claimed: Vec<(Delivery, Box<Task>)>,
        invocation: Invocation,
        handled: &mut Handled,
    ) {
        let _running = self.batch_metrics.run(claimed.len());
        let (jobs, mut ended) = self.load_inputs(claimed, invocation).await;
        let mut run = Run::new(jobs, invocation);
        while !run.is_finished() {
            let round = run.next_round(&self.runner, self.renewal_period(), async |task| {
                self.renew(task).await
            });
            let settled;
            (ended, settled) = join(round, self.settle_all(ended)).await;
            for (message_id, disposition) in settled {
                handled.add(message_id, disposition);
            }
        }
        for (message_id, disposition) in self.settle_all(ended).await {
            handled.add(message_id, disposition);
        }
        if run.ignored_stop() {
            tracing::error!(
                event = "run_overran",
                "a run ignored its deadline: this environment ends"
            );
            handled.must_exit = true;
        }
    }

    /// Loads the inputs of claimed tasks beside making the runner ready, and renews their leases meanwhile. An input that cannot
    /// be loaded ends its attempt.
    async fn load_inputs(
        &self,
        claimed: Vec<(Delivery, Box<Task>)>,
        invocation: Invocation,
    ) -> (Vec<(ClaimedTask, Job)>, Vec<(ClaimedTask, AttemptEnd)>) {
        let load_until = invocation.load_until();
        // Beside others, their inputs may have taken the time.
        let too_late = || match &claimed[..] {
            [_] => input::storage_unavailable(),
            _ => RunError::interrupted(),
        };
        let loads = claimed.iter().map(async |(_, task)| {
            let begun = Instant::now();
            let loaded = timeout_at(load_until, input::load(&*self.payloads, task)).await;
            (loaded.unwrap_or_else(|_| Err(too_late())), begun.elapsed())
        });
        let tasks: Vec<_> = claimed.iter().map(|(_, task)| &**task).collect();
        let prepared = async {
            let prepared = timeout_at(load_until, self.runner.prepare()).await;
            prepared.unwrap_or_else(|_| Err(RunError::worker_unavailable()))
        };
        let (inputs, prepared) = self.while_renewing(&tasks, join(join_all(loads), prepared)).await;
        let (mut jobs, mut ended) = (Vec::new(), Vec::new());
        for ((delivery, task), (input, fetch)) in claimed.into_iter().zip(inputs) {
            let claimed = ClaimedTask {
                delivery,
                task,
                fetch,
            };
            match input.and_then(|input| prepared.clone().map(|()| input)) {
                Ok(input) => {
                    let job = Job {
                        task: (*claimed.task).clone(),
                        input: Arc::new(input),
                    };
                    jobs.push((claimed, job));
                }
                Err(error) => ended.push((claimed, AttemptEnd::Reported(Err(error)))),
            }
        }
        (jobs, ended)
    }

    /// Waits for `work`, and renews the leases of these tasks meanwhile. A claim that was lost is noticed when the task runs.
    async fn while_renewing<T>(&self, tasks: &[&Task], work: impl Future<Output = T>) -> T {
        let period = self.renewal_period();
        let renewals = async {
            let mut ticks = interval_at(tokio::time::Instant::now() + period, period);
            loop {
                ticks.tick().await;
                join_all(tasks.iter().map(|task| self.renew(task))).await;
            }
        };
        tokio::select! {
            done = work => done,
            never = renewals => never,
        }
    }

    fn renewal_period(&self) -> Duration {
        self.lease / RENEWALS_PER_LEASE
    }

    /// Writes the ends of attempts. Returns what becomes of each message, by its id.
    async fn settle_all(&self, ended: Vec<(ClaimedTask, AttemptEnd)>) -> Vec<(String, Disposition)> {
        let settling = ended.into_iter().map(async |(claimed, end)| {
            let ClaimedTask {
                delivery,
                task,
                fetch,
            } = claimed;
            let disposition = match end {
                AttemptEnd::Reported(outcome) => {
                    let settle = self.settle(&delivery, &task, fetch, outcome);
                    let settle = self.runner.wrap_settle(&task, settle);
                    settle.instrument(delivery.span.clone()).await
                }
                AttemptEnd::ClaimLost(disposition) => disposition,
            };
            (delivery.message_id, disposition)
        });
        join_all(settling).await
    }
}

/// Makes foreign messages visible at once, so that they reach the dead-letter queue, where people see them, soon.
async fn retain_foreign(foreign: Vec<ForeignMessage>, handled: &mut Handled) {
    let receipts = foreign
        .iter()
        .filter_map(|message| Some((&*message.queue, message.receipt_handle.as_deref()?)));
    join_all(receipts.map(|(queue, receipt)| change_visibility(queue, receipt, Duration::ZERO))).await;
    for message in foreign {
        handled.add(message.message_id, Disposition::Retain);
    }
}

#[cfg(test)]
mod order_tests;
#[cfg(test)]
mod tests;
