//! A scripted server in place of a language model.

use std::time::Duration;

use mesh_language::{Language, Limits, OpenAi, OpenAiSettings};
use serde_json::{Value, json};
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

pub(crate) const TIMEOUT: Duration = Duration::from_secs(2);

/// A chat completion with this content.
pub(crate) fn completion(content: &str) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(json!({
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": "scripted-1",
        "choices": [{ "index": 0, "message": { "role": "assistant", "content": content }, "finish_reason": "stop" }],
        "usage": { "prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15 },
    }))
}

/// A server that sends these responses in order, and 404 after the last.
pub(crate) async fn scripted(responses: impl IntoIterator<Item = ResponseTemplate>) -> MockServer {
    let server = MockServer::start().await;
    for response in responses {
        Mock::given(method("POST"))
            .and(path("/v1/chat/completions"))
            .respond_with(response)
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

/// The bodies of all requests that the server received.
pub(crate) async fn requests(server: &MockServer) -> Vec<Value> {
    let requests = server.received_requests().await.unwrap();
    requests
        .iter()
        .map(|request| request.body_json().unwrap())
        .collect()
}
