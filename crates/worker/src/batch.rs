//! One invocation: a batch of messages in, an answer for each out.

use std::time::Duration;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsMessage};
use futures_util::future::join_all;
use jiff::Timestamp;
use mesh_cloud::{Claim, Claimant};
use mesh_task::{RunError, Task, code};

use crate::ring::{Answer, Ring, Rings};
use crate::{Invocation, Job, Runner, Worker, input, run};

/// What a claim leaves to do.
enum Claimed {
    Run(Box<Task>),
    /// Later and alone; the number sorts the least suspected first.
    Later(u32),
    Nothing(Answer),
}

impl<R: Runner> Worker<R> {
    /// Handles a batch of messages. Those that the answer names are delivered again.
    pub async fn handle(&self, records: Vec<SqsMessage>, invocation: Invocation) -> SqsBatchResponse {
        let Rings { rings, unreadable } = Rings::read(records);
        let mut answers = Vec::with_capacity(rings.len());
        let mut batch = Vec::new();
        let mut suspects = Vec::new();
        let claims = join_all(
            rings
                .iter()
                .map(|ring| self.claim(ring, Claimant::InBatch, &invocation)),
        )
        .await;
        for (ring, claimed) in rings.into_iter().zip(claims) {
            match claimed {
                Claimed::Run(task) => batch.push((ring, task)),
                Claimed::Later(suspicion) => suspects.push((suspicion, ring)),
                Claimed::Nothing(answer) => answers.push((ring.message_id, answer)),
            }
        }
        answers.extend(self.run_and_settle(batch, &invocation).await);

        // A task whose last attempt took its process along may do so again: each runs by itself, when the others are
        // written, and is claimed only then, so that its neighbours lose no attempt.
        suspects.sort_by_key(|(suspicion, _)| *suspicion);
        for (_, ring) in suspects {
            answers.extend(self.run_suspect(ring, &invocation).await);
        }

        // Shown again at once, they take the shortest way to the dead-letter queue, where someone may see them.
        let handles = unreadable
            .iter()
            .filter_map(|message| message.receipt_handle.as_deref());
        join_all(handles.map(|receipt_handle| self.hide(receipt_handle, Duration::ZERO))).await;

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

    async fn run_suspect(&self, ring: Ring, invocation: &Invocation) -> Vec<(String, Answer)> {
        let claimed = if invocation.has_room() {
            self.claim(&ring, Claimant::Alone, invocation).await
        } else {
            Claimed::Nothing(self.put_back(&ring, Duration::ZERO).await)
        };
        match claimed {
            Claimed::Run(task) => self.run_and_settle(vec![(ring, task)], invocation).await,
            // Alone there is no suspicion: only a change in between can have led here, and the next delivery sees it.
            Claimed::Later(_) => vec![(ring.message_id, Answer::Keep)],
            Claimed::Nothing(answer) => vec![(ring.message_id, answer)],
        }
    }

    async fn claim(&self, ring: &Ring, claimant: Claimant, invocation: &Invocation) -> Claimed {
        let now = Timestamp::now();
        match self
            .table
            .claim(&ring.message, claimant, now, invocation.lease_until())
            .await
        {
            Ok(Claim::Won(task)) => Claimed::Run(task),
            Ok(Claim::Suspect { suspicion }) => Claimed::Later(suspicion),
            Ok(Claim::Over) => {
                tracing::info!(task = %ring.message.id, "a message had nothing left to do");
                Claimed::Nothing(Answer::Done)
            }
            Ok(Claim::NotBefore(time)) => {
                let wait = Duration::try_from(time - now).unwrap_or_default();
                Claimed::Nothing(self.put_back(ring, wait).await)
            }
            Err(error) => {
                tracing::error!(task = %ring.message.id, %error, "a task could not be claimed");
                Claimed::Nothing(Answer::Keep)
            }
        }
    }

    /// Runs claimed tasks as one and writes each one's end.
    async fn run_and_settle(
        &self,
        claimed: Vec<(Ring, Box<Task>)>,
        invocation: &Invocation,
    ) -> Vec<(String, Answer)> {
        let inputs = join_all(claimed.iter().map(|(_, task)| self.input(task))).await;
        let mut jobs = Vec::new();
        let mut settled = Vec::new();
        let mut running = Vec::new();
        for ((ring, task), input) in claimed.into_iter().zip(inputs) {
            match input {
                Ok(input) => {
                    jobs.push(Job {
                        task: (*task).clone(),
                        input,
                    });
                    running.push((ring, task));
                }
                Err(error) => settled.push((ring, task, Err(error))),
            }
        }
        let mut overran = false;
        if !jobs.is_empty() {
            let ran = run::run(&self.runner, jobs, invocation).await;
            overran = ran.overran;
            settled.extend(
                running
                    .into_iter()
                    .zip(ran.outcomes)
                    .map(|((ring, task), outcome)| (ring, task, outcome)),
            );
        }
        let answers = settled.into_iter().map(async |(ring, task, outcome)| {
            let answer = self.settle(&ring, &task, outcome).await;
            (ring.message_id, answer)
        });
        let answers = join_all(answers).await;
        if overran {
            // Nothing may run on into the next invocation. The ends are written; the messages find that out.
            tracing::error!("a run did not heed its deadline: this environment ends");
            std::process::exit(1);
        }
        answers
    }

    /// The task's input, unless its attempts were spent without a word: then it must not run again.
    async fn input(&self, task: &Task) -> Result<mesh_task::Input, RunError> {
        if task.attempt > self.policy.max_attempts {
            let told =
                "every attempt ended with its process: the input may be too large for the worker's memory";
            return Err(RunError::transient(code::CRASHED, told));
        }
        input::load(&self.payloads, task).await
    }
}
