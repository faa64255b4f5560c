//! A scripted server in place of a language model's.

use std::time::Duration;

use mesh_language::{Language, Limits, OpenAi, OpenAiSettings};
use serde_json::{Value, json};
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

pub(crate) const TIMEOUT: Duration = Duration::from_secs(2);

/// What a model's words look like on the wire.
pub(crate) fn said(words: &str) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(json!({
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": "scripted-1",
        "choices": [{ "index": 0, "message": { "role": "assistant", "content": words }, "finish_reason": "stop" }],
        "usage": { "prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15 },
    }))
}

/// A server that gives these answers one after the other, and 404 to whatever else comes.
pub(crate) async fn scripted(answers: impl IntoIterator<Item = ResponseTemplate>) -> MockServer {
    let server = MockServer::start().await;
    for answer in answers {
        Mock::given(method("POST"))
            .and(path("/v1/chat/completions"))
            .respond_with(answer)
            .up_to_n_times(1)
            .mount(&server)
            .await;
    }
    server
}

pub(crate) fn language_at(base_url: &str) -> Language {
    let settings = OpenAiSettings {
        base_url: base_url.to_owned(),
        model: "m".to_owned(),
        api_key: Some("sk-test".to_owned()),
        timeout: TIMEOUT,
    };
    Language::new(OpenAi::new(settings).unwrap().into(), Limits::default())
}

pub(crate) fn language(server: &MockServer) -> Language {
    language_at(&format!("{}/v1", server.uri()))
}

/// The bodies of all requests that came.
pub(crate) async fn requests(server: &MockServer) -> Vec<Value> {
    let requests = server.received_requests().await.unwrap();
    requests
        .iter()
        .map(|request| request.body_json().unwrap())
        .collect()
}
