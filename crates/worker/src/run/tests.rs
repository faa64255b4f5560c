use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc;
use std::time::SystemTime;

use mesh_task::{Content, TaskType, testing};

use super::*;

fn job(text: &str) -> Job {
    let (task, input) = testing::task_with(TaskType::Sentiment, serde_json::json!({ "text": text }));
    Job {
        task,
        input: Arc::new(input),
    }
}

fn text(job: &Job) -> &str {
    match &job.input.content {
        Content::Text(text) => text,
        other => unreachable!("the jobs are texts, not {other:?}"),
    }
}

/// Set when the one test that reads it has renewed its claims.
static RENEWED: AtomicBool = AtomicBool::new(false);

/// Does what the text of a job says.
struct ScriptedRunner;

impl Runner for ScriptedRunner {
    const READS_OBJECTS: bool = false;

    fn run(&self, jobs: &[Job], stop: &Stop) -> Outcomes {
        for job in jobs {
            match text(job) {
                "panic" => panic!("as the text says"),
                "wait for the stop" => {
                    let (sender, receiver) = mpsc::channel();
                    stop.on_trigger(move || sender.send(()).unwrap());
                    receiver.recv().unwrap();
                    return fail_all(jobs.len(), &RunError::timeout());
                }
                "wait for the first stop" if jobs.len() > 1 => {
                    let (sender, receiver) = mpsc::channel();
                    stop.on_trigger(move || sender.send(()).unwrap());
                    receiver.recv().unwrap();
                    return fail_all(jobs.len(), &RunError::timeout());
                }
                "wait for a renewal" => {
                    while !RENEWED.load(Ordering::SeqCst) {
                        std::thread::yield_now();
                    }
                }
                "never end" => loop {
                    std::thread::park();
                },
                "return too few outcomes" => return Vec::new(),
                "fail the call" => {
                    let error = RunError::transient(ErrorCode::InferenceFailed, "as the text says");
                    return fail_all(jobs.len(), &error);
                }
                _ => {}
            }
        }
        vec![Ok(testing::run_output()); jobs.len()]
    }
}

#[derive(Debug)]
struct Ran {
    ends: Vec<AttemptEnd>,
    ignored_stop: bool,
}

async fn run_texts(texts: &[&str], time: Duration) -> Ran {
    let jobs = texts.iter().copied().map(job).collect();
    run_jobs(jobs, time, async |_| None).await
}

async fn run_jobs(jobs: Vec<Job>, time: Duration, renew: impl AsyncFn(&Task) -> Option<Disposition>) -> Ran {
    let invocation = Invocation::until(SystemTime::now() + time);
    let mut run = Run::new(jobs.into_iter().enumerate().collect(), invocation);
    let mut ends = Vec::new();
    while !run.is_finished() {
        ends.extend(
            run.next_round(&Arc::new(ScriptedRunner), Duration::from_millis(1), &renew)
                .await,
        );
    }
    ends.sort_by_key(|(index, _)| *index);
    Ran {
        ends: ends.into_iter().map(|(_, end)| end).collect(),
        ignored_stop: run.ignored_stop(),
    }
}

fn reported(outcomes: Outcomes) -> Vec<AttemptEnd> {
    outcomes.into_iter().map(AttemptEnd::Reported).collect()
}

/// So short that the margin leaves no time.
const SOON: Duration = Duration::from_millis(10);
const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_panic_fails_its_own_task_alone() {
    let ran = run_texts(&["a", "panic", "b"], MINUTE).await;
    let [
        AttemptEnd::Reported(Ok(_)),
        AttemptEnd::Reported(Err(error)),
        AttemptEnd::Reported(Ok(_)),
    ] = &ran.ends[..]
    else {
        panic!("{ran:?}")
    };
    assert_eq!(
        (error.code, error.message.contains("as the text says")),
        (ErrorCode::Panic, true)
    );
}

#[tokio::test]
async fn a_failed_call_of_the_model_fails_the_job_at_fault_alone() {
    for fault in ["fail the call", "return too few outcomes"] {
        let ran = run_texts(&["a", fault, "b"], MINUTE).await;
        let [
            AttemptEnd::Reported(Ok(_)),
            AttemptEnd::Reported(Err(error)),
            AttemptEnd::Reported(Ok(_)),
        ] = &ran.ends[..]
        else {
            panic!("{fault}: {ran:?}")
        };
        assert_eq!(error.code, ErrorCode::InferenceFailed, "{fault}");
    }
}

#[tokio::test]
async fn a_run_is_stopped_at_its_deadline() {
    let ran = run_texts(&["wait for the stop"], SOON).await;
    assert_eq!(ran.ends, reported(fail_all(1, &RunError::timeout())));
    assert!(!ran.ignored_stop);
}

#[tokio::test]
async fn a_deadline_spends_no_attempt_of_jobs_that_ran_beside_others() {
    let ran = run_texts(&["wait for the stop", "b"], SOON).await;
    assert_eq!(ran.ends, reported(fail_all(2, &RunError::interrupted())));
    assert!(!ran.ignored_stop);
}

/// A runtime waits for its threads. This one is shut down without waiting for the thread that never ends.
fn without_waiting_for_threads<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let tested = runtime.block_on(test);
    runtime.shutdown_background();
    tested
}

#[test]
fn a_run_that_ignores_its_stop_is_reported() {
    let ran = without_waiting_for_threads(run_texts(&["never end"], SOON));
    assert!(ran.ignored_stop);
    assert_eq!(ran.ends, reported(fail_all(1, &RunError::timeout())));
}

#[test]
fn a_run_that_ignores_its_stop_spends_no_attempt_of_the_others() {
    let ran = without_waiting_for_threads(run_texts(&["a", "never end", "b"], SOON));
    assert!(ran.ignored_stop);
    assert_eq!(ran.ends, reported(fail_all(3, &RunError::interrupted())));
}

/// The deadline that stops the run is another job's. What runs on may be either.
#[test]
fn a_job_with_time_left_is_interrupted_too_when_the_run_ignores_its_stop() {
    let mut short = job("a");
    short.task.timeout_seconds = Some(0);
    let jobs = vec![(0, short), (1, job("never end"))];
    // Ten seconds leave a grace of two thirds of one.
    let invocation = Invocation::until(SystemTime::now() + Duration::from_secs(10));
    let (run, ends) = without_waiting_for_threads(async {
        let mut run = Run::new(jobs, invocation);
        let ends = run
            .next_round(&Arc::new(ScriptedRunner), MINUTE, async |_| None)
            .await;
        (run, ends)
    });
    assert!(run.ignored_stop() && run.is_finished());
    let ends: Vec<_> = ends.into_iter().map(|(_, end)| end).collect();
    assert_eq!(ends, reported(fail_all(2, &RunError::interrupted())));
}

#[tokio::test]
async fn a_runner_that_returns_too_few_outcomes_costs_an_attempt() {
    let ran = run_texts(&["return too few outcomes"], MINUTE).await;
    let [AttemptEnd::Reported(Err(error))] = &ran.ends[..] else {
        panic!("{ran:?}")
    };
    assert_eq!(error.code, ErrorCode::InferenceFailed);
}

#[tokio::test]
async fn a_task_s_own_timeout_stops_it_and_not_its_neighbor() {
    let mut short = job("wait for the first stop");
    short.task.timeout_seconds = Some(1);
    let jobs = vec![("short", short), ("other", job("b"))];
    let mut run = Run::new(jobs, Invocation::until(SystemTime::now() + MINUTE));
    let (runner, renew) = (Arc::new(ScriptedRunner), async |_: &Task| None);
    let first = run.next_round(&runner, MINUTE, renew).await;
    assert_eq!(
        first,
        [("short", AttemptEnd::Reported(Err(RunError::interrupted())))],
        "at its own deadline, which the other may have caused"
    );
    let second = run.next_round(&runner, MINUTE, renew).await;
    assert_eq!(
        second,
        [("other", AttemptEnd::Reported(Ok(testing::run_output())))]
    );
    assert!(run.is_finished());
}

#[tokio::test]
async fn a_run_whose_claims_are_all_lost_is_stopped_and_reports_nothing() {
    let jobs = vec![job("wait for the stop"), job("b")];
    let ran = run_jobs(jobs, MINUTE, async |_| Some(Disposition::Delete)).await;
    assert_eq!(
        ran.ends,
        [
            AttemptEnd::ClaimLost(Disposition::Delete),
            AttemptEnd::ClaimLost(Disposition::Delete)
        ]
    );
    assert!(!ran.ignored_stop);
}

#[tokio::test]
async fn a_lost_claim_does_not_stop_the_neighbor() {
    let jobs = vec![job("a"), job("wait for a renewal")];
    let lost = jobs[0].task.id;
    let renewals = AtomicU32::new(0);
    let ran = run_jobs(jobs, MINUTE, async |task| {
        if renewals.fetch_add(1, Ordering::SeqCst) > 4 {
            RENEWED.store(true, Ordering::SeqCst);
        }
        (task.id == lost).then_some(Disposition::Retain)
    })
    .await;
    assert_eq!(
        ran.ends,
        [
            AttemptEnd::ClaimLost(Disposition::Retain),
            AttemptEnd::Reported(Ok(testing::run_output()))
        ]
    );
}
