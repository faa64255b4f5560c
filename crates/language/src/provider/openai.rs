//! Servers with OpenAI's chat completions API: OpenAI itself, vLLM, llama.cpp, Ollama, and gateways to others.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Request, StatusCode, Uri};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::dialect::Dialect;
use super::http::{Http, Response};
use super::{Completion, FinishReason, ProviderError, Usage, retry_after};
use crate::{LanguageError, Prompt};

/// The longest error name that is logged. A longer one is probably a sentence.
const MAX_ERROR_NAME_BYTES: usize = 64;

/// The address of a server, and its model.
#[derive(Clone)]
pub struct OpenAiSettings {
    /// The address up to `/chat/completions`, such as `https://api.openai.com/v1`.
    pub base_url: String,
    /// The model's name on that server.
    pub model: String,
    /// The API key; `None` for a server without authentication.
    pub api_key: Option<String>,
    /// How long one completion may take.
    pub timeout: Duration,
}

impl fmt::Debug for OpenAiSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenAiSettings")
            .field("base_url", &self.base_url)
            .field("model", &self.model)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// Why a provider can't be made from its settings.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct InvalidProvider(String);

/// One model of one server.
#[derive(Debug)]
pub struct OpenAi {
    http: Http,
    address: Uri,
    model: String,
    /// Marked as sensitive, so that `Debug` does not print it.
    authorization: Option<HeaderValue>,
    timeout: Duration,
    /// The dialect of the last request that succeeded.
    dialect: Mutex<Dialect>,
}

#[derive(Deserialize)]
struct ChatCompletion {
    model: Option<String>,
    choices: Vec<Choice>,
    usage: Option<TokenCounts>,
}

#[derive(Deserialize)]
struct Choice {
    message: Message,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Message {
    content: Option<String>,
}

#[derive(Deserialize)]
struct TokenCounts {
    #[serde(default)]
    prompt_tokens: u64,
    #[serde(default)]
    completion_tokens: u64,
}

impl OpenAi {
    /// Validates the settings. Sends nothing.
    ///
    /// # Errors
    /// When the address is not an HTTP address, the key can't be sent in a header, or the system has no certificates.
    pub fn new(settings: OpenAiSettings) -> Result<Self, InvalidProvider> {
        let base = settings.base_url.trim_end_matches('/');
        let address: Uri = format!("{base}/chat/completions")
            .parse()
            .map_err(|error| InvalidProvider(format!("{base:?} is not a valid address ({error})")))?;
        let tls = match (address.scheme_str(), address.host()) {
            (Some("https"), Some(_)) => true,
            (Some("http"), Some(_)) => false,
            _ => {
                return Err(InvalidProvider(format!(
                    "{base:?} is not a server's address: use one like https://api.example.com/v1"
                )));
            }
        };
        if settings.model.is_empty() {
            return Err(InvalidProvider("the model's name is empty".to_owned()));
        }
        let authorization = settings.api_key.map(|key| {
            let mut value = HeaderValue::try_from(format!("Bearer {key}")).map_err(|_| {
                InvalidProvider("the key contains a character that a header can't contain".to_owned())
            })?;
            value.set_sensitive(true);
            Ok(value)
        });
        let http = Http::new(tls)
            .map_err(|error| InvalidProvider(format!("the system's certificates can't be read ({error})")))?;
        Ok(Self {
            http,
            address,
            model: settings.model,
            authorization: authorization.transpose()?,
            timeout: settings.timeout,
            dialect: Mutex::new(Dialect::default()),
        })
    }

    pub(super) async fn complete(&self, prompt: &Prompt) -> Result<Completion, LanguageError> {
        let result = timeout(self.timeout, self.negotiate(prompt)).await;
        result.unwrap_or(Err(ProviderError::TimedOut { after: self.timeout }.into()))
    }

    /// Sends the prompt, in another dialect each time that the server refuses the last one.
    async fn negotiate(&self, prompt: &Prompt) -> Result<Completion, LanguageError> {
        let mut dialect = *self.lock();
        loop {
            let start = Instant::now();
            let response = self.send(prompt, dialect).await?;
            let latency = start.elapsed();
            if response.status.is_success() {
                // What a server refuses in one task's schema says nothing about the next request.
                if !prompt.format.is_of_task {
                    *self.lock() = dialect;
                }
                return self.parse(&response.body, latency);
            }
            let body = String::from_utf8_lossy(&response.body).to_lowercase();
            // llama-cpp-python responds with 500 to fields that it does not support.
            let may_be_dialect =
                matches!(response.status.as_u16(), 400 | 422 | 500) && !is_context_exceeded(&body);
            let Some(next) = dialect.fallback(&body).filter(|_| may_be_dialect) else {
                return Err(refusal(&response, &body));
            };
            tracing::info!(
                event = "language_dialect_changed",
                from = ?dialect,
                to = ?next,
                "the language model's server did not accept a field: trying another dialect"
            );
            dialect = next;
        }
    }

    async fn send(&self, prompt: &Prompt, dialect: Dialect) -> Result<Response, ProviderError> {
        let system = json!({ "role": "system", "content": prompt.system });
        let turns = prompt.turns.iter().enumerate().map(|(turn, content)| {
            let role = if turn % 2 == 0 { "user" } else { "assistant" };
            json!({ "role": role, "content": content })
        });
        let messages: Vec<_> = std::iter::once(system).chain(turns).collect();
        let mut body = json!({ "model": self.model, "messages": messages });
        dialect.apply(&mut body, &prompt.format, prompt.max_output_tokens);
        let mut request = Request::new(body.to_string().into_bytes());
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = self.address.clone();
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(authorization) = &self.authorization {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        self.http.send(request).await.map_err(|error| {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            tracing::warn!(
                event = "language_request_failed",
                %error,
                cause,
                "the language model's server did not respond"
            );
            ProviderError::Unavailable {
                reason: error.to_string(),
                retry_after: None,
            }
        })
    }

    fn parse(&self, body: &[u8], latency: Duration) -> Result<Completion, LanguageError> {
        let unavailable = |reason: &str| ProviderError::Unavailable {
            reason: reason.to_owned(),
            retry_after: None,
        };
        let response: ChatCompletion = serde_json::from_slice(body).map_err(|error| {
            // Not the error itself: it quotes the response where it expected something else.
            tracing::warn!(
                event = "language_response_invalid",
                column = error.column(),
                bytes = body.len(),
                "the language model's server responded with 200 and an unexpected body"
            );
            unavailable("its response is not a chat completion")
        })?;
        let Some(choice) = response.choices.into_iter().next() else {
            return Err(unavailable("its response is empty").into());
        };
        let finish_reason = match choice.finish_reason.as_deref() {
            Some("content_filter") => return Err(ProviderError::Filtered.into()),
            Some("length") => FinishReason::Length,
            _ => FinishReason::Stop,
        };
        let usage = response.usage.map(|counts| Usage {
            input_tokens: counts.prompt_tokens,
            output_tokens: counts.completion_tokens,
        });
        Ok(Completion {
            text: choice.message.content.unwrap_or_default(),
            model: response
                .model
                .filter(|model| !model.is_empty())
                .unwrap_or_else(|| self.model.clone()),
            usage: usage.unwrap_or_default(),
            latency,
            finish_reason,
        })
    }

    /// No code panics while it holds the lock, so a poisoned lock still guards a valid value.
    fn lock(&self) -> std::sync::MutexGuard<'_, Dialect> {
        self.dialect.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The error for a response that is not a success; `body` is in lower case. The body itself is neither returned nor logged:
/// it may contain part of the key or of the prompt. Only the error's code and type are logged.
fn refusal(response: &Response, body: &str) -> LanguageError {
    let status = response.status;
    let json: Option<Value> = serde_json::from_str(body).ok();
    tracing::warn!(
        event = "language_request_refused",
        status = status.as_u16(),
        code = json.as_ref().and_then(|json| error_name(json, "/error/code")),
        r#type = json.as_ref().and_then(|json| error_name(json, "/error/type")),
        bytes = body.len(),
        "the language model's server refused the request"
    );
    let wait = || {
        let header = response.headers.get(RETRY_AFTER)?.to_str().ok()?;
        retry_after::parse(header, Timestamp::now())
    };
    match status {
        StatusCode::TOO_MANY_REQUESTS => ProviderError::Throttled { retry_after: wait() }.into(),
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY => ProviderError::Unavailable {
            reason: format!("it responded with {}", status.as_u16()),
            retry_after: wait(),
        }
        .into(),
        _ if is_context_exceeded(body) && status.is_client_error() => LanguageError::ContextTooLong,
        _ if status.is_client_error() || status.is_redirection() => ProviderError::Refused {
            status: Some(status.as_u16()),
        }
        .into(),
        _ => ProviderError::Unavailable {
            reason: format!("it responded with {}", status.as_u16()),
            retry_after: wait(),
        }
        .into(),
    }
}

/// The string at the pointer, if it looks like an identifier rather than a sentence.
fn error_name<'a>(json: &'a Value, pointer: &str) -> Option<&'a str> {
    let name = json.pointer(pointer)?.as_str()?;
    let is_identifier = name.len() <= MAX_ERROR_NAME_BYTES
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c));
    is_identifier.then_some(name)
}

/// Whether the error, in lower case, says that the prompt exceeds the model's context. OpenAI and vLLM send a code,
/// llama.cpp only a message.
fn is_context_exceeded(body: &str) -> bool {
    let json: Option<Value> = serde_json::from_str(body).ok();
    let code = json
        .as_ref()
        .and_then(|json| json.pointer("/error/code")?.as_str());
    code == Some("context_length_exceeded")
        || [
            "maximum context length",
            "exceed context window",
            "exceeds the available context size",
        ]
        .iter()
        .any(|phrase| body.contains(phrase))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_identifiers_of_an_error_are_logged() {
        let body = json!({ "error": { "code": "invalid_api_key", "type": "No such thing as: dear Ada" } });
        assert_eq!(error_name(&body, "/error/code"), Some("invalid_api_key"));
        assert_eq!(
            error_name(&body, "/error/type"),
            None,
            "a sentence is not an identifier"
        );
        assert_eq!(error_name(&body, "/error/param"), None);
    }

    fn settings(base_url: &str) -> OpenAiSettings {
        OpenAiSettings {
            base_url: base_url.to_owned(),
            model: "m".to_owned(),
            api_key: Some("sk-very-secret".to_owned()),
            timeout: Duration::from_secs(1),
        }
    }

    #[test]
    fn invalid_address_is_refused() {
        for good in ["http://127.0.0.1:8000/v1", "http://localhost/v1/"] {
            let server = OpenAi::new(settings(good)).unwrap();
            assert!(server.address.path().ends_with("/v1/chat/completions"), "{good}");
        }
        for bad in [
            "",
            "api.example.com/v1",
            "/v1",
            "ftp://example.com",
            "http://",
            "http://a b",
        ] {
            assert!(OpenAi::new(settings(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn key_is_not_printed() {
        let settings = settings("http://127.0.0.1/v1");
        assert!(!format!("{settings:?}").contains("secret"));
        assert!(!format!("{:?}", OpenAi::new(settings).unwrap()).contains("secret"));
    }
}
