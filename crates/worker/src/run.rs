//! Runs jobs off the async threads, contained: no panic and no overrun leaves here.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use mesh_task::{RunError, TaskResult, code};
use tokio::time::{timeout, timeout_at};

use crate::{Invocation, Job, Runner, Stop};

type Outcomes = Vec<Result<TaskResult, RunError>>;

/// What came of a run.
#[derive(Debug)]
pub(crate) struct Ran {
    /// For each job, in order.
    pub(crate) outcomes: Outcomes,
    /// The run did not heed its stop: its thread goes on, and only the process's end will end it.
    pub(crate) overran: bool,
}

/// Runs the jobs as one until the invocation's work must end. ONNX Runtime heeds a stop within milliseconds; the decoding
/// of a large image ends only by itself, within a second or two.
pub(crate) async fn run<R: Runner>(runner: &Arc<R>, jobs: Vec<Job>, invocation: &Invocation) -> Ran {
    let count = jobs.len();
    let stop = Stop::default();
    let mut running = tokio::task::spawn_blocking({
        let (runner, stop) = (Arc::clone(runner), stop.clone());
        move || contained(&*runner, &jobs, &stop)
    });
    let ended = match timeout_at(invocation.work_until(), &mut running).await {
        Ok(ended) => Some(ended),
        Err(_) => {
            stop.trigger();
            timeout(invocation.grace(), running).await.ok()
        }
    };
    match ended {
        Some(Ok(outcomes)) => Ran {
            outcomes,
            overran: false,
        },
        // The thread itself is gone, which the containment rules out but for a failure of the runtime's own.
        Some(Err(error)) => Ran {
            outcomes: all(count, &unfinished(&error.to_string())),
            overran: false,
        },
        None => Ran {
            outcomes: all(count, &RunError::timeout()),
            overran: true,
        },
    }
}

/// Runs the jobs as one, and if that panics one by one: the task whose input is at fault fails, and it alone.
fn contained<R: Runner>(runner: &R, jobs: &[Job], stop: &Stop) -> Outcomes {
    match catch_unwind(AssertUnwindSafe(|| runner.run(jobs, stop))) {
        Ok(outcomes) if outcomes.len() == jobs.len() => outcomes,
        Ok(outcomes) => all(
            jobs.len(),
            &unfinished(&format!("{} outcomes for {} jobs", outcomes.len(), jobs.len())),
        ),
        Err(_) if jobs.len() > 1 => {
            tracing::warn!(
                jobs = jobs.len(),
                "a batch panicked; its tasks are run one by one"
            );
            jobs.chunks(1)
                .flat_map(|job| contained(runner, job, stop))
                .collect()
        }
        Err(panic) => {
            let message = panic_message(&*panic);
            tracing::error!(message, "a task panicked");
            let told =
                format!("the input made the worker panic ({message}): please report it with the input");
            all(jobs.len(), &RunError::permanent(code::PANIC, told))
        }
    }
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

fn unfinished(why: &str) -> RunError {
    tracing::error!(why, "a run did not end as it should");
    RunError::transient(
        code::INFERENCE_FAILED,
        "the run did not end as it should; it is tried again",
    )
}

fn all(count: usize, error: &RunError) -> Outcomes {
    vec![Err(error.clone()); count]
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::{Duration, SystemTime};

    use mesh_task::{Input, Payload, Sentiment, SentimentLabel, Task, TaskId, TaskType, Tenant};

    use super::*;

    const FINE: TaskResult = TaskResult::Sentiment(Sentiment {
        label: SentimentLabel::Positive,
        score: 1.0,
    });

    fn job(text: &str) -> Job {
        let payload = Payload::Inline(serde_json::json!({ "text": text }));
        let now = jiff::Timestamp::now();
        let task = Task::new(
            TaskId::generate(),
            Tenant::first(),
            TaskType::Sentiment,
            payload,
            [].into(),
            now,
        );
        Job {
            task,
            input: Input::Sentiment {
                text: text.to_owned(),
            },
        }
    }

    fn text(job: &Job) -> &str {
        match &job.input {
            Input::Sentiment { text } => text,
            Input::FaceDetection { .. } => unreachable!("these jobs are texts"),
        }
    }

    /// Does what a job's text says.
    struct Obedient;

    impl Runner for Obedient {
        const READS_OBJECTS: bool = false;

        fn run(&self, jobs: &[Job], stop: &Stop) -> Outcomes {
            for job in jobs {
                match text(job) {
                    "panic" => panic!("as told"),
                    "wait for the stop" => {
                        let (told, heard) = mpsc::channel();
                        stop.on_trigger(move || told.send(()).unwrap());
                        heard.recv().unwrap();
                        return all(jobs.len(), &RunError::timeout());
                    }
                    "never end" => loop {
                        std::thread::park();
                    },
                    "answer too little" => return Vec::new(),
                    _ => {}
                }
            }
            vec![Ok(FINE); jobs.len()]
        }
    }

    async fn run_texts(texts: &[&str], time: Duration) -> Ran {
        let jobs = texts.iter().copied().map(job).collect();
        run(
            &Arc::new(Obedient),
            jobs,
            &Invocation::until(SystemTime::now() + time),
        )
        .await
    }

    /// So short that the margin takes it all.
    const SOON: Duration = Duration::from_millis(10);
    const MINUTE: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn a_panic_fails_its_own_task_alone() {
        let ran = run_texts(&["a", "panic", "b"], MINUTE).await;
        assert_eq!((&ran.outcomes[0], &ran.outcomes[2]), (&Ok(FINE), &Ok(FINE)));
        let error = ran.outcomes[1].as_ref().unwrap_err();
        assert_eq!(
            (error.code, error.message.contains("as told")),
            (code::PANIC, true)
        );
    }

    #[tokio::test]
    async fn a_run_is_cut_off_at_its_deadline() {
        let ran = run_texts(&["wait for the stop", "b"], SOON).await;
        assert_eq!(ran.outcomes, all(2, &RunError::timeout()));
        assert!(!ran.overran);
    }

    #[tokio::test]
    async fn a_run_that_does_not_heed_its_stop_is_known_to_go_on() {
        // A thread that never ends would hold up the end of this test's runtime: it lives in one that is let go.
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_time()
            .build()
            .unwrap();
        let ran = runtime
            .spawn(async { run_texts(&["never end"], SOON).await })
            .await
            .unwrap();
        runtime.shutdown_background();
        assert!(ran.overran);
        assert_eq!(ran.outcomes, all(1, &RunError::timeout()));
    }

    #[tokio::test]
    async fn a_runner_that_loses_count_costs_an_attempt_and_no_task() {
        let ran = run_texts(&["answer too little"], MINUTE).await;
        assert_eq!(ran.outcomes[0].as_ref().unwrap_err().code, code::INFERENCE_FAILED);
    }
}
