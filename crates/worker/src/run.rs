//! Runs jobs off the async threads, contained: no panic and no overrun leaves here.
//!
//! While they run, their claims are renewed. A claim that can't be is not the worker's any more: its task was cancelled,
//! or taken over after a pause. When that is so of all of them, the run is stopped.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use mesh_task::{RunError, RunErrorClass, RunOutput, Task, code};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout};

use crate::ring::Answer;
use crate::{Invocation, Job, Runner, Stop};

type Outcomes = Vec<Result<RunOutput, RunError>>;

/// How a task's run ended.
#[derive(Debug, PartialEq)]
pub(crate) enum End {
    /// With an outcome that is to be written.
    Own(Result<RunOutput, RunError>),
    /// The task is no longer the worker's; what is left of its message.
    Lost(Answer),
}

/// Jobs that are run as one. A job has until its own timeout, or until the invocation's work must end. Where one is cut off
/// before the others are at their end, these run again: that costs them time, and no attempt.
#[derive(Debug)]
pub(crate) struct Run<T> {
    open: Vec<Running<T>>,
    grace: Duration,
    overran: bool,
}

/// One job on its way, and what its caller knows of it.
#[derive(Debug)]
struct Running<T> {
    known: T,
    job: Job,
    deadline: Instant,
    end: Option<End>,
}

impl<T> Run<T> {
    pub(crate) fn of(jobs: Vec<(T, Job)>, invocation: &Invocation) -> Self {
        let begun = Instant::now();
        let deadline = |job: &Job| {
            let own = job
                .task
                .timeout_seconds
                .map(|seconds| begun + Duration::from_secs(seconds.into()));
            own.map_or(invocation.work_until(), |own| own.min(invocation.work_until()))
        };
        let open = jobs.into_iter().map(|(known, job)| Running {
            deadline: deadline(&job),
            known,
            job,
            end: None,
        });
        Self {
            open: open.collect(),
            grace: invocation.grace(),
            overran: false,
        }
    }

    /// Whether jobs are left to run.
    pub(crate) fn is_open(&self) -> bool {
        !self.open.is_empty()
    }

    /// Whether the run did not heed its stop: its thread goes on, and only the process's end will end it.
    pub(crate) fn overran(&self) -> bool {
        self.overran
    }

    /// Runs the open jobs until the first of their deadlines, and returns those that are at their end, which may be none.
    /// `renew` is called for each task once a `period`; it answers only when the task is no longer the worker's.
    pub(crate) async fn round<R: Runner>(
        &mut self,
        runner: &Arc<R>,
        period: Duration,
        renew: impl AsyncFn(&Task) -> Option<Answer>,
    ) -> Vec<(T, End)> {
        let Some(until) = self.open.iter().map(|one| one.deadline).min() else {
            return Vec::new();
        };
        let jobs: Vec<_> = self.open.iter().map(|one| one.job.clone()).collect();
        let stop = Stop::default();
        let mut run = tokio::task::spawn_blocking({
            let (runner, stop) = (Arc::clone(runner), stop.clone());
            move || contained(&*runner, &jobs, &stop)
        });
        let ended = tokio::select! {
            ended = &mut run => Some(ended),
            () = sleep_until(until) => None,
            () = hold_on(&mut self.open, period, renew) => None,
        };
        let was_stopped = ended.is_none();
        let ended = match ended {
            Some(ended) => Some(ended),
            None => {
                stop.trigger();
                timeout(self.grace, run).await.ok()
            }
        };
        self.overran = ended.is_none();
        let outcomes = match ended {
            Some(Ok(outcomes)) => outcomes,
            // The thread itself is gone, which the containment rules out but for a failure of the runtime's own.
            Some(Err(error)) => all(self.open.len(), &unfinished(&error.to_string())),
            None => all(self.open.len(), &RunError::timeout()),
        };
        let now = Instant::now();
        let (mut ends, mut open) = (Vec::new(), Vec::new());
        for (mut one, outcome) in self.open.drain(..).zip(outcomes) {
            let was_cut = matches!(&outcome, Err(error) if error.class == RunErrorClass::Timeout);
            let has_time = was_stopped && !self.overran && now < one.deadline;
            match one.end.take() {
                Some(end) => ends.push((one.known, end)),
                None if was_cut && has_time => open.push(one),
                None => ends.push((one.known, End::Own(outcome))),
            }
        }
        self.open = open;
        ends
    }
}

/// Renews the claims once a period, for as long as one of them is the worker's.
async fn hold_on<T>(
    running: &mut [Running<T>],
    period: Duration,
    renew: impl AsyncFn(&Task) -> Option<Answer>,
) {
    let mut ticks = interval_at(Instant::now() + period, period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while running.iter().any(|one| one.end.is_none()) {
        ticks.tick().await;
        let open = running.iter_mut().filter(|one| one.end.is_none());
        join_all(open.map(async |one| one.end = renew(&one.job.task).await.map(End::Lost))).await;
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
            // The log has where; the message may quote the input, and so is for the task alone.
            let message = panic_message(&*panic);
            tracing::error!("a task panicked");
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
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
    use std::sync::mpsc;
    use std::time::SystemTime;

    use mesh_task::{
        Content, Input, Modality, ModelName, Parameters, Payload, Sentiment, SentimentLabel, Size, TaskDraft,
        TaskId, TaskResult, TaskType, Tenant,
    };

    use super::*;

    fn fine() -> RunOutput {
        RunOutput {
            result: TaskResult::Sentiment(Sentiment {
                label: SentimentLabel::Positive,
                score: 1.0,
                positive: 1.0,
            }),
            model: ModelName {
                name: "model".to_owned(),
                version: "1".to_owned(),
            },
            load: Duration::ZERO,
            inference: Duration::ZERO,
            usage: None,
        }
    }

    fn job(text: &str) -> Job {
        let payload = Payload::Inline(serde_json::json!({ "text": text }));
        let now = jiff::Timestamp::now();
        let draft = TaskDraft {
            id: TaskId::generate(),
            tenant: Tenant::first(),
            task_type: TaskType::Sentiment,
            modality: Modality::Text,
            size: Size::Small,
            priority: mesh_task::Priority::Normal,
            payload,
            metadata: [].into(),
            max_attempts: 3,
            timeout_seconds: None,
            correlation_id: String::new(),
        };
        Job {
            task: Task::new(draft, now, now),
            input: Arc::new(Input {
                parameters: Parameters::Sentiment,
                content: Content::Text(text.to_owned()),
            }),
        }
    }

    fn text(job: &Job) -> &str {
        match &job.input.content {
            Content::Text(text) => text,
            other => unreachable!("these jobs are texts, not {other:?}"),
        }
    }

    /// Set when the claims of the one test that looks at it were renewed.
    static RENEWED: AtomicBool = AtomicBool::new(false);

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
                    "wait for the first stop" if jobs.len() > 1 => {
                        let (told, heard) = mpsc::channel();
                        stop.on_trigger(move || told.send(()).unwrap());
                        heard.recv().unwrap();
                        return all(jobs.len(), &RunError::timeout());
                    }
                    "wait for a renewal" => {
                        while !RENEWED.load(Ordering::SeqCst) {
                            std::thread::yield_now();
                        }
                    }
                    "never end" => loop {
                        std::thread::park();
                    },
                    "answer too little" => return Vec::new(),
                    _ => {}
                }
            }
            vec![Ok(fine()); jobs.len()]
        }
    }

    /// What came of a run.
    #[derive(Debug)]
    struct Ran {
        ends: Vec<End>,
        overran: bool,
    }

    async fn run_texts(texts: &[&str], time: Duration) -> Ran {
        let jobs = texts.iter().copied().map(job).collect();
        run_jobs(jobs, time, async |_| None).await
    }

    async fn run_jobs(jobs: Vec<Job>, time: Duration, renew: impl AsyncFn(&Task) -> Option<Answer>) -> Ran {
        let invocation = Invocation::until(SystemTime::now() + time);
        let mut run = Run::of(jobs.into_iter().enumerate().collect(), &invocation);
        let mut ends = Vec::new();
        while run.is_open() {
            ends.extend(
                run.round(&Arc::new(Obedient), Duration::from_millis(1), &renew)
                    .await,
            );
        }
        ends.sort_by_key(|(place, _)| *place);
        Ran {
            ends: ends.into_iter().map(|(_, end)| end).collect(),
            overran: run.overran(),
        }
    }

    fn ends(outcomes: Outcomes) -> Vec<End> {
        outcomes.into_iter().map(End::Own).collect()
    }

    /// So short that the margin takes it all.
    const SOON: Duration = Duration::from_millis(10);
    const MINUTE: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn a_panic_fails_its_own_task_alone() {
        let ran = run_texts(&["a", "panic", "b"], MINUTE).await;
        let [End::Own(Ok(_)), End::Own(Err(error)), End::Own(Ok(_))] = &ran.ends[..] else {
            panic!("{ran:?}")
        };
        assert_eq!(
            (error.code, error.message.contains("as told")),
            (code::PANIC, true)
        );
    }

    #[tokio::test]
    async fn a_run_is_cut_off_at_its_deadline() {
        let ran = run_texts(&["wait for the stop", "b"], SOON).await;
        assert_eq!(ran.ends, ends(all(2, &RunError::timeout())));
        assert!(!ran.overran);
    }

    #[test]
    fn a_run_that_does_not_heed_its_stop_is_known_to_go_on() {
        // A thread that never ends would hold up the end of the test's own runtime: it lives in one that is let go.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let ran = runtime.block_on(run_texts(&["never end"], SOON));
        runtime.shutdown_background();
        assert!(ran.overran);
        assert_eq!(ran.ends, ends(all(1, &RunError::timeout())));
    }

    #[tokio::test]
    async fn a_runner_that_loses_count_costs_an_attempt_and_no_task() {
        let ran = run_texts(&["answer too little"], MINUTE).await;
        let [End::Own(Err(error))] = &ran.ends[..] else {
            panic!("{ran:?}")
        };
        assert_eq!(error.code, code::INFERENCE_FAILED);
    }

    #[tokio::test]
    async fn a_task_s_own_timeout_cuts_it_off_and_not_its_neighbour() {
        let mut hasty = job("wait for the first stop");
        hasty.task.timeout_seconds = Some(1);
        let jobs = vec![("hasty", hasty), ("other", job("b"))];
        let mut run = Run::of(jobs, &Invocation::until(SystemTime::now() + MINUTE));
        let (runner, renew) = (Arc::new(Obedient), async |_: &Task| None);
        let first = run.round(&runner, MINUTE, renew).await;
        assert_eq!(first, [("hasty", End::Own(Err(RunError::timeout())))], "at once");
        let second = run.round(&runner, MINUTE, renew).await;
        assert_eq!(second, [("other", End::Own(Ok(fine())))]);
        assert!(!run.is_open());
    }

    #[tokio::test]
    async fn a_run_whose_tasks_are_all_lost_is_stopped_and_writes_nothing() {
        let jobs = vec![job("wait for the stop"), job("b")];
        let ran = run_jobs(jobs, MINUTE, async |_| Some(Answer::Done)).await;
        assert_eq!(ran.ends, [End::Lost(Answer::Done), End::Lost(Answer::Done)]);
        assert!(!ran.overran);
    }

    #[tokio::test]
    async fn a_lost_task_does_not_stop_its_neighbour() {
        let jobs = vec![job("a"), job("wait for a renewal")];
        let lost = jobs[0].task.id;
        let renewals = AtomicU32::new(0);
        let ran = run_jobs(jobs, MINUTE, async |task| {
            if renewals.fetch_add(1, Ordering::SeqCst) > 4 {
                RENEWED.store(true, Ordering::SeqCst);
            }
            (task.id == lost).then_some(Answer::Keep)
        })
        .await;
        assert_eq!(ran.ends, [End::Lost(Answer::Keep), End::Own(Ok(fine()))]);
    }
}
