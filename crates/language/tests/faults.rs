//! What a provider's failures do to a task: each comes from a scripted server, as it would over the wire.

#![expect(clippy::unwrap_used, reason = "a test may")]

mod support;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;
use mesh_language::{Answered, Language, LanguageError, Limits, Provider};
use mesh_task::{ErrorCode, RunError, RunErrorClass};
use serde_json::json;
use support::{TIMEOUT, language, language_at, requests, said, scripted};
use wiremock::ResponseTemplate;

async fn translate(language: &Language) -> Result<Answered<String>, LanguageError> {
    language.translate("Good morning", "German").await
}

/// How a translation fails when the server answers so.
async fn failure(answer: ResponseTemplate) -> RunError {
    let server = scripted([answer]).await;
    let error = translate(&language(&server)).await.unwrap_err().into();
    assert_eq!(
        requests(&server).await.len(),
        1,
        "the task's own retries are the only ones"
    );
    error
}

#[tokio::test]
async fn an_answer_comes_with_its_tokens_and_the_model_s_name() {
    let server = scripted([said(r#"{"translation": "Guten Morgen"}"#)]).await;
    let answered = translate(&language(&server)).await.unwrap();
    assert_eq!(answered.value, "Guten Morgen");
    assert_eq!((answered.model.as_str(), answered.rounds), ("scripted-1", 1));
    assert_eq!(
        (answered.usage.input_tokens, answered.usage.output_tokens),
        (10, 5)
    );
    assert!(!answered.latency.is_zero());
    let received = server.received_requests().await.unwrap();
    assert_eq!(received[0].headers["authorization"], "Bearer sk-test");
}

#[tokio::test]
async fn a_rate_limit_costs_no_attempt_and_is_waited_out() {
    let error = failure(ResponseTemplate::new(429).insert_header("retry-after", "7")).await;
    assert_eq!(
        (error.class, error.code, error.retry_after),
        (
            RunErrorClass::Throttled,
            ErrorCode::ProviderThrottled,
            Some(Duration::from_secs(7))
        )
    );

    let in_a_minute = Timestamp::now() + Duration::from_secs(60);
    let date = DateTimePrinter::new()
        .timestamp_to_rfc9110_string(&in_a_minute)
        .unwrap();
    let error = failure(ResponseTemplate::new(429).insert_header("retry-after", date)).await;
    let wait = error.retry_after.unwrap();
    assert!(
        wait > Duration::from_secs(50) && wait <= Duration::from_secs(60),
        "{wait:?}"
    );

    let error = failure(ResponseTemplate::new(429)).await;
    assert_eq!((error.class, error.retry_after), (RunErrorClass::Throttled, None));
}

#[tokio::test]
async fn what_would_be_refused_again_is_not_tried_again() {
    for (status, told) in [
        (401, "LanguageApiKeySecret"),
        (403, "LanguageApiKeySecret"),
        (404, "LanguageModel"),
        (400, "the worker's log"),
        (422, "the worker's log"),
        (301, "the worker's log"),
    ] {
        let refused = ResponseTemplate::new(status)
            .insert_header("location", "http://example.com/")
            .set_body_json(json!({ "error": { "message": "Incorrect API key provided: sk-te*t" } }));
        let error = failure(refused).await;
        assert_eq!(
            (error.class, error.code),
            (RunErrorClass::Permanent, ErrorCode::ProviderRefused),
            "{status}"
        );
        assert!(error.message.contains(told), "{error}");
        assert!(
            !error.message.contains("sk-"),
            "a provider's own words may hold a part of the key: {error}"
        );
    }
}

#[tokio::test]
async fn a_failing_provider_is_tried_again() {
    for status in [408, 500, 502, 503, 529] {
        let error = failure(ResponseTemplate::new(status).insert_header("retry-after", "3")).await;
        assert_eq!(
            (error.class, error.code),
            (RunErrorClass::Transient, ErrorCode::ProviderUnavailable),
            "{status}"
        );
        assert_eq!(error.retry_after, Some(Duration::from_secs(3)), "{status}");
    }
}

#[tokio::test]
async fn an_answer_that_is_not_the_api_s_is_tried_again() {
    for body in [
        "",
        "<html>Bad gateway</html>",
        "{\"choices\": [{]}",
        "{\"choices\": []}",
        "{}",
    ] {
        let error = failure(ResponseTemplate::new(200).set_body_string(body)).await;
        assert_eq!(
            (error.class, error.code),
            (RunErrorClass::Transient, ErrorCode::ProviderUnavailable),
            "{body}"
        );
    }
}

#[tokio::test]
async fn a_provider_that_hangs_is_given_up() {
    let begun = Instant::now();
    let error = failure(said("{}").set_delay(Duration::from_secs(30))).await;
    assert!(begun.elapsed() < TIMEOUT * 3, "{:?}", begun.elapsed());
    assert_eq!(
        (error.class, error.code),
        (RunErrorClass::Transient, ErrorCode::ProviderUnavailable)
    );
    assert!(error.message.contains("2s"), "{error}");
}

#[tokio::test]
async fn a_connection_that_is_cut_is_tried_again() {
    for beginning in [
        "",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n{\"choices\": [",
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/v1", listener.local_addr().unwrap());
        let cutting = std::thread::spawn(move || {
            let (mut connection, _) = listener.accept().unwrap();
            let read = connection.read(&mut [0; 1 << 16]).unwrap();
            connection.write_all(beginning.as_bytes()).unwrap();
            read
        });
        let error = RunError::from(translate(&language_at(&address)).await.unwrap_err());
        assert!(cutting.join().unwrap() > 0);
        assert_eq!(
            (error.class, error.code),
            (RunErrorClass::Transient, ErrorCode::ProviderUnavailable),
            "{beginning}"
        );
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_tried_again() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/v1", listener.local_addr().unwrap());
    drop(listener);
    let error = RunError::from(translate(&language_at(&address)).await.unwrap_err());
    assert_eq!(
        (error.class, error.code),
        (RunErrorClass::Transient, ErrorCode::ProviderUnavailable)
    );
    assert!(error.message.contains("can't be reached"), "{error}");
}

#[tokio::test]
async fn without_a_provider_the_answer_is_at_once_how_to_set_one_up() {
    let language = Language::new(Provider::None, Limits::default());
    let error = RunError::from(translate(&language).await.unwrap_err());
    assert_eq!(
        (error.class, error.code),
        (RunErrorClass::Permanent, ErrorCode::ProviderNotConfigured)
    );
}

#[tokio::test]
async fn a_text_too_long_is_not_sent() {
    let server = scripted([]).await;
    let text = "é".repeat(Limits::default().max_text_chars + 1);
    let error = RunError::from(language(&server).summarize(&text, 3).await.unwrap_err());
    assert_eq!(
        (error.class, error.code),
        (RunErrorClass::Permanent, ErrorCode::TextTooLong)
    );
    assert!(
        error.message.contains("24001") && error.message.contains("24000"),
        "{error}"
    );
    assert!(requests(&server).await.is_empty());
}

#[tokio::test]
async fn a_text_that_the_model_can_t_take_is_said_to_be_too_long() {
    let words = json!({ "error": {
        "message": "This model's maximum context length is 8192 tokens. Reduce max_tokens.",
        "code": "context_length_exceeded",
    } });
    let error = failure(ResponseTemplate::new(400).set_body_json(words)).await;
    assert_eq!(
        (error.class, error.code),
        (RunErrorClass::Permanent, ErrorCode::TextTooLong)
    );
}

#[tokio::test]
async fn a_server_is_asked_in_the_words_that_it_understands() {
    let refuse = |status, words: &str| {
        ResponseTemplate::new(status).set_body_json(json!({ "error": { "message": words } }))
    };
    let good = || said(r#"{"translation": "Guten Morgen"}"#);
    let server = scripted([
        refuse(
            400,
            "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.",
        ),
        refuse(
            422,
            "body.response_format.type: Input should be 'text' or 'json_object'",
        ),
        refuse(500, "response_format is not supported"),
        good(),
        good(),
    ])
    .await;
    let language = language(&server);
    translate(&language).await.unwrap();
    translate(&language).await.unwrap();
    let requests = requests(&server).await;
    let kinds: Vec<_> = requests
        .iter()
        .map(|request| request["response_format"]["type"].as_str().unwrap_or("none"))
        .collect();
    assert_eq!(
        kinds,
        ["json_schema", "json_schema", "json_object", "none", "none"],
        "and it is remembered"
    );
    assert!(requests[0].get("max_tokens").is_some());
    for request in &requests[1..] {
        assert!(request.get("max_tokens").is_none() && request.get("max_completion_tokens").is_some());
    }
}
