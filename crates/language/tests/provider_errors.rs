//! What a provider's failures do to a task: each comes from a scripted server, as it would over the wire.

#![expect(clippy::unwrap_used, reason = "a test may")]

mod support;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;
use mesh_extraction_schema::Schema;
use mesh_language::{Language, LanguageError, Limits, Provider, Response};
use mesh_task::{ErrorCode, RunError, RunErrorClass};
use serde_json::json;
use support::{TIMEOUT, completion, language, language_at, requests, scripted};
use wiremock::ResponseTemplate;

async fn translate(language: &Language) -> Result<Response<String>, LanguageError> {
    language.translate("Good morning", "German").await
}

/// The error of a translation when the server sends this response.
async fn failure(response: ResponseTemplate) -> RunError {
    let server = scripted([response]).await;
    let error = translate(&language(&server)).await.unwrap_err().into();
    assert_eq!(
        requests(&server).await.len(),
        1,
        "only the task is retried, not the request"
    );
    error
}

#[tokio::test]
async fn response_has_the_tokens_and_the_model_s_name() {
    let server = scripted([completion(r#"{"translation": "Guten Morgen"}"#)]).await;
    let response = translate(&language(&server)).await.unwrap();
    assert_eq!(response.value, "Guten Morgen");
    assert_eq!((response.model.as_str(), response.rounds), ("scripted-1", 1));
    assert_eq!(
        (response.usage.input_tokens, response.usage.output_tokens),
        (10, 5)
    );
    assert!(!response.latency.is_zero());
    let received = server.received_requests().await.unwrap();
    assert_eq!(received[0].headers["authorization"], "Bearer sk-test");
}

#[tokio::test]
async fn rate_limit_throttles_the_task_for_the_requested_wait() {
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
async fn permanent_refusal_is_not_retried() {
    for (status, advice) in [
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
        assert!(error.message.contains(advice), "{error}");
        assert!(
            !error.message.contains("sk-"),
            "the provider's own message may contain part of the key: {error}"
        );
    }
}

#[tokio::test]
async fn failing_provider_is_retried() {
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
async fn body_that_is_not_a_chat_completion_is_retried() {
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
async fn hanging_provider_times_out() {
    let start = Instant::now();
    let error = failure(completion("{}").set_delay(Duration::from_secs(30))).await;
    assert!(start.elapsed() < TIMEOUT * 3, "{:?}", start.elapsed());
    assert_eq!(
        (error.class, error.code),
        (RunErrorClass::Transient, ErrorCode::ProviderUnavailable)
    );
    assert!(error.message.contains("2s"), "{error}");
}

#[tokio::test]
async fn interrupted_connection_is_retried() {
    for prefix in [
        "",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n{\"choices\": [",
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/v1", listener.local_addr().unwrap());
        let interrupting = std::thread::spawn(move || {
            let (mut connection, _) = listener.accept().unwrap();
            let read = connection.read(&mut [0; 1 << 16]).unwrap();
            connection.write_all(prefix.as_bytes()).unwrap();
            read
        });
        let error = RunError::from(translate(&language_at(&address)).await.unwrap_err());
        assert!(interrupting.join().unwrap() > 0);
        assert_eq!(
            (error.class, error.code),
            (RunErrorClass::Transient, ErrorCode::ProviderUnavailable),
            "{prefix}"
        );
    }
}

#[tokio::test]
async fn unreachable_server_is_retried() {
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
async fn request_without_a_provider_fails_permanently() {
    let language = Language::new(Provider::None, Limits::default());
    let error = RunError::from(translate(&language).await.unwrap_err());
    assert_eq!(
        (error.class, error.code),
        (RunErrorClass::Permanent, ErrorCode::ProviderNotConfigured)
    );
}

#[tokio::test]
async fn text_over_the_limit_is_not_sent() {
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
async fn text_and_schema_share_the_limit() {
    let limit = Limits::default().max_text_chars;
    let server = scripted([completion(r#"{"name": "Ada"}"#)]).await;
    let schema = Schema::parse(json!({
        "type": "object",
        "properties": { "name": { "$ref": "#/$defs/name" }, "other": { "$ref": "#/$defs/name" } },
        "$defs": { "name": { "enum": ["Ada", "é".repeat(500)] } },
    }));
    let schema = schema.unwrap();
    // Characters count, and each copy of a definition.
    let schema_chars = schema.as_json().to_string().chars().count();
    assert!((1_000..1_200).contains(&schema_chars), "{schema_chars}");
    let longest = "é".repeat(limit - schema_chars);
    language(&server).extract(&longest, &schema).await.unwrap();

    let text = format!("{longest}é");
    let error = language(&server).extract(&text, &schema).await.unwrap_err();
    let error = RunError::from(error);
    assert_eq!(
        (error.class, error.code),
        (RunErrorClass::Permanent, ErrorCode::TextTooLong)
    );
    for number in [text.chars().count(), schema_chars, limit] {
        assert!(error.message.contains(&number.to_string()), "{error}");
    }
    assert_eq!(requests(&server).await.len(), 1);
}

#[tokio::test]
async fn exceeded_context_is_a_text_too_long() {
    let body = json!({ "error": {
        "message": "This model's maximum context length is 8192 tokens. Reduce max_tokens.",
        "code": "context_length_exceeded",
    } });
    let error = failure(ResponseTemplate::new(400).set_body_json(body)).await;
    assert_eq!(
        (error.class, error.code),
        (RunErrorClass::Permanent, ErrorCode::TextTooLong)
    );
}

/// Else one task's schema would take the format from the requests of all others.
#[tokio::test]
async fn what_a_server_refuses_in_one_task_s_schema_changes_no_other_request() {
    let refused = || {
        let message = json!({ "error": { "message": "failed to parse grammar" } });
        ResponseTemplate::new(400).set_body_json(message)
    };
    let server = scripted([
        refused(),
        refused(),
        completion(r#"{"name": "Ada"}"#),
        refused(),
        completion(r#"{"labels": ["b"]}"#),
        completion(r#"{"translation": "Guten Morgen"}"#),
    ])
    .await;
    let language = language(&server);
    let schema = Schema::parse(json!({ "name": "string" })).unwrap();
    language.extract("Ada", &schema).await.unwrap();
    let labels = ["a", "b"].map(str::to_owned);
    language.classify("Ada", &labels, true).await.unwrap();
    translate(&language).await.unwrap();
    let kinds: Vec<_> = requests(&server)
        .await
        .iter()
        .map(|request| {
            request["response_format"]["type"]
                .as_str()
                .unwrap_or("none")
                .to_owned()
        })
        .collect();
    assert_eq!(
        kinds,
        [
            "json_schema",
            "json_object",
            "none",
            "json_schema",
            "json_object",
            "json_schema"
        ]
    );
}

#[tokio::test]
async fn request_adapts_to_the_fields_that_the_server_supports() {
    let refuse = |status, message: &str| {
        ResponseTemplate::new(status).set_body_json(json!({ "error": { "message": message } }))
    };
    let good = || completion(r#"{"translation": "Guten Morgen"}"#);
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
        "the second request begins with the last dialect"
    );
    assert!(requests[0].get("max_tokens").is_some());
    for request in &requests[1..] {
        assert!(request.get("max_tokens").is_none() && request.get("max_completion_tokens").is_some());
    }
}
