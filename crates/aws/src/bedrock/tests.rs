//! The client against a scripted server.

use std::time::Instant;

use aws_config::Region;
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use serde_json::{Value, json};
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;

const TIMEOUT: Duration = Duration::from_secs(2);

/// A client of a model at that server.
fn bedrock(server: &MockServer) -> Bedrock {
    let credentials = Credentials::new("key", "secret", None, None, "test");
    let config = SdkConfig::builder()
        .behavior_version(aws_config::BehaviorVersion::v2026_01_12())
        .endpoint_url(server.uri())
        .region(Region::from_static("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    Bedrock::new(&config, "some.model-v1:0".to_owned(), TIMEOUT)
}

async fn mount(server: &MockServer, answer: ResponseTemplate) {
    Mock::given(method("POST"))
        .and(path("/model/some.model-v1%3A0/converse"))
        .respond_with(answer)
        .up_to_n_times(1)
        .mount(server)
        .await;
}

async fn requests(server: &MockServer) -> Vec<Value> {
    let requests = server.received_requests().await.unwrap();
    requests
        .iter()
        .map(|request| request.body_json().unwrap())
        .collect()
}

const TALK: Conversation<'_> = Conversation {
    system: "Be brief.",
    turns: &["Hello", "Yes?", "Go on"],
    max_tokens: 100,
    form: None,
};

async fn converse(answer: ResponseTemplate) -> (Result<Conversed, BedrockError>, Vec<Value>) {
    let server = MockServer::start().await;
    mount(&server, answer).await;
    let conversed = bedrock(&server).converse(&TALK).await;
    (conversed, requests(&server).await)
}

fn answered(stop_reason: &str) -> ResponseTemplate {
    let content = json!([
        { "reasoningContent": { "reasoningText": { "text": "Hm." } } },
        { "text": "Well, " },
        { "text": "hello." },
    ]);
    ResponseTemplate::new(200).set_body_json(json!({
        "output": { "message": { "role": "assistant", "content": content } },
        "stopReason": stop_reason,
        "usage": { "inputTokens": 10, "outputTokens": 5, "totalTokens": 15 },
        "metrics": { "latencyMs": 42 },
    }))
}

/// The error of a call that is answered with this status and exception.
async fn failure(status: u16, exception: &str) -> BedrockError {
    let answer = ResponseTemplate::new(status)
        .insert_header("x-amzn-errortype", exception)
        .insert_header("retry-after", "7")
        .set_body_json(json!({ "message": "no" }));
    let (conversed, requests) = converse(answer).await;
    assert_eq!(
        requests.len(),
        1,
        "{exception}: the task's own retries are the only ones"
    );
    conversed.unwrap_err()
}

#[tokio::test]
async fn a_conversation_is_sent_with_its_roles_in_turn() {
    let (conversed, requests) = converse(answered("end_turn")).await;
    assert_eq!(
        conversed.unwrap(),
        Conversed {
            text: "Well, hello.".to_owned(),
            input_tokens: 10,
            output_tokens: 5,
            latency: Some(Duration::from_millis(42)),
            end: ConversationEnd::Finished,
        }
    );
    let turn = |role: &str, text: &str| json!({ "role": role, "content": [{ "text": text }] });
    assert_eq!(
        requests[0],
        json!({
            "system": [{ "text": "Be brief." }],
            "messages": [turn("user", "Hello"), turn("assistant", "Yes?"), turn("user", "Go on")],
            "inferenceConfig": { "maxTokens": 100, "temperature": 0.0 },
        })
    );
}

#[tokio::test]
async fn the_stop_reason_is_returned() {
    for (reason, end) in [
        ("max_tokens", ConversationEnd::CutOff),
        ("content_filtered", ConversationEnd::Filtered),
        ("guardrail_intervened", ConversationEnd::Filtered),
        ("a_reason_of_the_future", ConversationEnd::Finished),
    ] {
        let (conversed, _) = converse(answered(reason)).await;
        assert_eq!(conversed.unwrap().end, end, "{reason}");
    }
}

#[tokio::test]
async fn a_permanent_refusal_differs_from_an_error_that_may_pass() {
    for (status, exception) in [
        (400, "ValidationException"),
        (403, "AccessDeniedException"),
        (403, "UnrecognizedClientException"),
        (404, "ResourceNotFoundException"),
    ] {
        let error = failure(status, exception).await;
        let is_refused = matches!(&error, BedrockError::Refused { status: actual, .. } if *actual == status);
        assert!(is_refused, "{exception}: {error:?}");
    }
    for (status, exception) in [
        (429, "ThrottlingException"),
        (400, "ServiceQuotaExceededException"),
        (429, ""),
    ] {
        let error = failure(status, exception).await;
        let BedrockError::Throttled { retry_after, .. } = &error else {
            panic!("{exception}: {error:?}")
        };
        assert_eq!(retry_after.as_deref(), Some("7"));
    }
    let error = failure(408, "ModelTimeoutException").await;
    assert!(matches!(error, BedrockError::TimedOut(_)), "{error:?}");
    for (status, exception) in [
        (424, "ModelErrorException"),
        (429, "ModelNotReadyException"),
        (500, "InternalServerException"),
        (503, "ServiceUnavailableException"),
        (502, ""),
    ] {
        let error = failure(status, exception).await;
        assert!(
            matches!(error, BedrockError::Unavailable(_)),
            "{exception}: {error:?}"
        );
    }
}

#[tokio::test]
async fn a_call_that_hangs_ends_with_a_timeout() {
    let begun = Instant::now();
    let (conversed, _) = converse(answered("end_turn").set_delay(Duration::from_secs(30))).await;
    assert!(
        matches!(conversed, Err(BedrockError::TimedOut(_))),
        "{conversed:?}"
    );
    assert!(begun.elapsed() < TIMEOUT * 4, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_response_that_can_t_be_parsed_may_pass() {
    let (conversed, _) = converse(ResponseTemplate::new(200).set_body_string("<html>")).await;
    assert!(
        matches!(conversed, Err(BedrockError::Unavailable(_))),
        "{conversed:?}"
    );
}

fn refused(message: &str) -> ResponseTemplate {
    ResponseTemplate::new(400)
        .insert_header("x-amzn-errortype", "ValidationException")
        .set_body_json(json!({ "message": message }))
}

#[tokio::test]
async fn a_model_answers_by_the_tool_with_the_schema() {
    let schema = json!({ "type": "object", "properties": { "age": { "type": "integer" } } });
    let form = Form {
        name: "person",
        schema: &schema,
    };
    let content = json!([{ "toolUse": { "toolUseId": "1", "name": "person", "input": { "age": 36 } } }]);
    let used = ResponseTemplate::new(200).set_body_json(json!({
        "output": { "message": { "role": "assistant", "content": content } },
        "stopReason": "tool_use",
        "usage": { "inputTokens": 10, "outputTokens": 5, "totalTokens": 15 },
        "metrics": { "latencyMs": 42 },
    }));
    let server = MockServer::start().await;
    mount(&server, used).await;
    let conversation = Conversation {
        form: Some(form),
        ..TALK
    };
    let conversed = bedrock(&server).converse(&conversation).await.unwrap();
    assert_eq!(
        (conversed.text.as_str(), conversed.end),
        (r#"{"age":36}"#, ConversationEnd::Finished)
    );
    let config = &requests(&server).await[0]["toolConfig"];
    assert_eq!(config["toolChoice"], json!({ "tool": { "name": "person" } }));
    assert_eq!(config["tools"][0]["toolSpec"]["inputSchema"]["json"], schema);
}

#[tokio::test]
async fn a_model_without_tool_support_answers_in_plain_text() {
    let schema = json!({ "type": "object" });
    let conversation = Conversation {
        form: Some(Form {
            name: "person",
            schema: &schema,
        }),
        ..TALK
    };
    for (refusal, is_remembered) in [
        ("This model doesn't support tool use.", true),
        (
            "tools.0.custom.input_schema: input_schema does not support oneOf at the top level",
            false,
        ),
    ] {
        let server = MockServer::start().await;
        for answer in [refused(refusal), answered("end_turn"), answered("end_turn")] {
            mount(&server, answer).await;
        }
        let bedrock = bedrock(&server);
        for _ in 0..2 {
            assert_eq!(
                bedrock.converse(&conversation).await.unwrap().text,
                "Well, hello."
            );
        }
        let requests = requests(&server).await;
        let forms: Vec<_> = requests
            .iter()
            .map(|request| request.get("toolConfig").is_some())
            .collect();
        assert_eq!(forms, [true, false, !is_remembered], "{refusal}");
    }
}
