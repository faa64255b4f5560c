//! Tests the runner against a scripted server.

use std::future::ready;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mesh_backend::BoxFuture;
use mesh_language::{Limits, OpenAi, OpenAiSettings, Provider};
use mesh_task::{
    Content, DataExtraction, ErrorCode, Input, Parameters, RunErrorClass, TaskResult, TaskType, WorkerKind,
    testing,
};
use serde_json::{Value, json};
use wiremock::matchers::{body_string_contains, method};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;

/// A model of an OpenAI-compatible server, or of none.
#[derive(Debug)]
struct Source(Option<String>);

impl ProviderSource for Source {
    fn model(&self) -> &str {
        "m"
    }

    fn limits(&self) -> Limits {
        Limits::default()
    }

    fn provider(&self) -> BoxFuture<'_, Result<Provider, RunError>> {
        let provider = match &self.0 {
            None => Ok(Provider::None),
            Some(base_url) => {
                let settings = OpenAiSettings {
                    base_url: base_url.clone(),
                    model: "m".to_owned(),
                    api_key: None,
                    timeout: Duration::from_secs(30),
                };
                OpenAi::new(settings).map(Provider::from).map_err(misconfigured)
            }
        };
        Box::pin(ready(provider))
    }
}

fn runner(base_url: Option<String>) -> LanguageRunner {
    LanguageRunner {
        models: ModelCache::new(Box::new(Source(base_url))),
    }
}

fn job(task_type: TaskType, input: Value) -> Job {
    let (mut task, input) = testing::task_with(task_type, input);
    task.worker_kind = WorkerKind::Language;
    Job {
        task,
        input: Arc::new(input),
    }
}

fn translation(text: &str) -> Job {
    job(
        TaskType::Translate,
        json!({ "text": text, "target_language": "German" }),
    )
}

/// Responds to each request whose body contains the word.
async fn respond(server: &MockServer, word: &str, response: ResponseTemplate) {
    let mock = Mock::given(method("POST")).and(body_string_contains(word));
    mock.respond_with(response).mount(server).await;
}

fn completion(content: &Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(json!({
        "model": "m-2026-01",
        "choices": [{ "message": { "content": content.to_string() }, "finish_reason": "stop" }],
        "usage": { "prompt_tokens": 10, "completion_tokens": 5 },
    }))
}

/// Runs the jobs on a blocking thread, as the worker's loop does.
async fn run(runner: LanguageRunner, jobs: Vec<Job>) -> Vec<Result<RunOutput, RunError>> {
    let running = tokio::task::spawn_blocking(move || runner.run(&jobs, &Stop::default()));
    running.await.unwrap()
}

#[tokio::test]
async fn each_task_type_has_its_result_with_model_and_tokens() {
    let server = MockServer::start().await;
    respond(
        &server,
        "translation",
        completion(&json!({ "translation": "Hallo" })),
    )
    .await;
    respond(&server, "extraction", completion(&json!({ "name": "Ada" }))).await;
    respond(
        &server,
        "summary",
        completion(&json!({ "sentences": ["A.", "B."] })),
    )
    .await;
    respond(
        &server,
        "classification",
        completion(&json!({ "label": "travel" })),
    )
    .await;
    let text = "Hello from Rome.";
    let jobs = vec![
        translation(text),
        job(
            TaskType::DataExtraction,
            json!({ "text": text, "schema": { "name": "string" } }),
        ),
        job(TaskType::Summarize, json!({ "text": text, "engine": "llm" })),
        job(TaskType::Classify, json!({ "text": text, "engine": "llm" })),
    ];
    let outcomes = run(runner(Some(server.uri())), jobs).await;
    let outputs: Vec<_> = outcomes.into_iter().map(Result::unwrap).collect();
    for output in &outputs {
        assert_eq!(
            (output.model.name.as_str(), output.model.version.as_str()),
            ("m", "m-2026-01")
        );
        let usage = output.usage.unwrap();
        assert_eq!((usage.input_tokens, usage.output_tokens), (10, 5));
    }
    let results: Vec<_> = outputs
        .iter()
        .map(|output| serde_json::to_value(&output.result).unwrap())
        .collect();
    assert_eq!(results[0], json!({ "text": "Hallo" }));
    assert_eq!(results[1], json!({ "fields": { "name": "Ada" } }));
    assert_eq!(
        results[2],
        json!({ "summary": "A. B.", "sentences": ["A.", "B."] })
    );
    assert_eq!(
        (
            &results[3]["label"],
            &results[3]["scores"][0],
            results[3]["scores"].as_array().unwrap().len()
        ),
        (&json!("travel"), &json!({ "label": "travel", "score": 1.0 }), 12)
    );
}

#[tokio::test]
async fn failed_job_does_not_affect_the_others() {
    let server = MockServer::start().await;
    respond(&server, "refused", ResponseTemplate::new(400)).await;
    respond(
        &server,
        "busy",
        ResponseTemplate::new(429).insert_header("retry-after", "9"),
    )
    .await;
    respond(&server, "fine", completion(&json!({ "translation": "gut" }))).await;
    let mut stray = translation("fine");
    stray.input = Arc::new(Input {
        parameters: stray.input.parameters.clone(),
        content: Content::Image(vec![]),
    });
    let jobs = vec![
        translation("refused"),
        translation("busy"),
        stray,
        translation("fine"),
    ];
    let outcomes = run(runner(Some(server.uri())), jobs).await;
    let [Err(refused), Err(busy), Err(stray), Ok(fine)] = &outcomes[..] else {
        panic!("{outcomes:?}")
    };
    assert_eq!(
        (refused.class, refused.code),
        (RunErrorClass::Permanent, ErrorCode::ProviderRefused)
    );
    assert_eq!(
        (busy.class, busy.retry_after),
        (RunErrorClass::Throttled, Some(Duration::from_secs(9)))
    );
    assert_eq!(stray.code, ErrorCode::WrongWorker);
    assert!(matches!(fine.result, TaskResult::Translation(_)));
}

#[tokio::test]
async fn stop_cancels_running_jobs() {
    let server = MockServer::start().await;
    let (sender, stopped) = watch::channel(false);
    let slow = completion(&json!({ "translation": "gut" })).set_delay(Duration::from_secs(60));
    respond(&server, "slow", slow).await;
    let runner = runner(Some(server.uri()));
    let jobs = [translation("slow"), translation("slow too")];
    let start = Instant::now();
    let stop = async {
        while server.received_requests().await.unwrap_or_default().len() < jobs.len() {
            tokio::task::yield_now().await;
        }
        sender.send_replace(true);
    };
    let (outcomes, ()) = tokio::join!(runner.run_all(&jobs, &stopped), stop);
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    assert_eq!(outcomes, [Err(RunError::timeout()), Err(RunError::timeout())]);
}

fn extraction(schema: Value) -> Job {
    let mut job = job(
        TaskType::DataExtraction,
        json!({ "text": "Ada", "schema": { "name": "string" } }),
    );
    job.input = Arc::new(Input {
        content: job.input.content.clone(),
        parameters: Parameters::DataExtraction(DataExtraction { schema }),
    });
    job
}

#[tokio::test]
async fn stopped_run_starts_no_job() {
    let server = MockServer::start().await;
    let (_sender, stopped) = watch::channel(true);
    // A job that starts fails at once, by its schema. There are enough jobs that none starts by chance.
    let jobs: Vec<_> = (0..64).map(|_| extraction(json!({ "name": 7 }))).collect();
    let runner = runner(Some(server.uri()));
    let outcomes = runner.run_all(&jobs, &stopped).await;
    assert!(
        outcomes
            .iter()
            .all(|outcome| *outcome == Err(RunError::timeout())),
        "{outcomes:?}"
    );
}

#[tokio::test]
async fn schema_that_is_not_valid_fails_its_task_permanently() {
    let server = MockServer::start().await;
    let patterns: Vec<_> = (0..1_000)
        .map(|n| json!({ "pattern": format!("a.b{n}") }))
        .collect();
    let schema = json!({ "type": "object", "allOf": patterns });
    let outcomes = run(runner(Some(server.uri())), vec![extraction(schema)]).await;
    let error = outcomes[0].as_ref().unwrap_err();
    assert_eq!(
        (error.class, error.code),
        (RunErrorClass::Permanent, ErrorCode::InvalidInput)
    );
    assert!(
        error.message.starts_with("input.schema has too many patterns"),
        "{error}"
    );
}

#[tokio::test]
async fn without_a_provider_no_schema_is_read() {
    let runner = runner(None);
    let outcomes = run(runner, vec![extraction(json!({ "name": 7 }))]).await;
    let error = outcomes[0].as_ref().unwrap_err();
    assert_eq!(error.code, ErrorCode::ProviderNotConfigured);
}

#[tokio::test]
async fn without_a_provider_each_task_fails_permanently_with_advice() {
    let outcomes = run(runner(None), vec![translation("a"), translation("b")]).await;
    for outcome in outcomes {
        let error = outcome.unwrap_err();
        assert_eq!(
            (error.class, error.code),
            (RunErrorClass::Permanent, ErrorCode::ProviderNotConfigured)
        );
        assert!(error.message.contains("LanguageProvider"), "{error}");
    }
}

#[tokio::test]
async fn misconfigured_provider_fails_the_tasks() {
    let outcomes = run(runner(Some("nowhere".to_owned())), vec![translation("a")]).await;
    let error = outcomes[0].as_ref().unwrap_err();
    assert_eq!(error.code, ErrorCode::ProviderNotConfigured);
    assert!(error.message.contains("nowhere"), "{error}");
}
