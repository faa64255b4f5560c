use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc;
use std::time::SystemTime;

use mesh_task::{
    Content, Input, ModelName, Parameters, Payload, Sentiment, SentimentLabel, Size, TaskDraft, TaskId,
    TaskResult, TaskType, Tenant, WorkerKind,
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
        modality: WorkerKind::Text,
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
