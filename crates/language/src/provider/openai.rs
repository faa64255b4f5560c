//! Servers that speak OpenAI's chat completions: OpenAI itself, vLLM, llama.cpp, Ollama, and gateways to others.

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
use super::{Completion, End, ProviderError, Usage, retry_after};
use crate::{LanguageError, Prompt};

/// What is longer is no name of an error.
const LONGEST_NAME: usize = 64;

/// Where the server is and what it runs.
#[derive(Clone)]
pub struct OpenAiSettings {
    /// Its address up to `/chat/completions`, such as `https://api.openai.com/v1`.
    pub base_url: String,
    /// The model's name there.
    pub model: String,
    /// Its key, where it wants one.
    pub api_key: Option<String>,
    /// How long one answer may take.
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

/// The settings make no provider.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct InvalidProvider(String);

/// One model of one server.
#[derive(Debug)]
pub struct OpenAi {
    http: Http,
    address: Uri,
    model: String,
    /// Marked as sensitive: it is printed nowhere.
    authorization: Option<HeaderValue>,
    timeout: Duration,
    /// What the server turned out to understand.
    dialect: Mutex<Dialect>,
}

#[derive(Deserialize)]
struct Answer {
    model: Option<String>,
    choices: Vec<Choice>,
    usage: Option<Counts>,
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
struct Counts {
    #[serde(default)]
    prompt_tokens: u64,
    #[serde(default)]
    completion_tokens: u64,
}

impl OpenAi {
    /// That server's model.
    ///
    /// # Errors
    /// When the address is none of HTTP's, the key can't be sent in a header, or the system has no certificates.
    pub fn new(settings: OpenAiSettings) -> Result<Self, InvalidProvider> {
        let refuse = |why: String| InvalidProvider(why);
        let base = settings.base_url.trim_end_matches('/');
        let address: Uri = format!("{base}/chat/completions")
            .parse()
            .map_err(|error| refuse(format!("{base:?} is no address ({error})")))?;
        let tls = match (address.scheme_str(), address.host()) {
            (Some("https"), Some(_)) => true,
            (Some("http"), Some(_)) => false,
            _ => {
                return Err(refuse(format!(
                    "{base:?} is no address of a server: it begins like https://api.example.com/v1"
                )));
            }
        };
        if settings.model.is_empty() {
            return Err(refuse("the model has no name".to_owned()));
        }
        let authorization = settings.api_key.map(|key| {
            let mut value = HeaderValue::try_from(format!("Bearer {key}"))
                .map_err(|_| refuse("the key holds a character that no header can hold".to_owned()))?;
            value.set_sensitive(true);
            Ok(value)
        });
        let http = Http::new(tls)
            .map_err(|error| refuse(format!("the system's certificates can't be read ({error})")))?;
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
        let told = timeout(self.timeout, self.ask(prompt)).await;
        told.unwrap_or(Err(ProviderError::TimedOut { after: self.timeout }.into()))
    }

    async fn ask(&self, prompt: &Prompt) -> Result<Completion, LanguageError> {
        let mut dialect = *self.lock();
        loop {
            let begun = Instant::now();
            let response = self.send(prompt, dialect).await?;
            let latency = begun.elapsed();
            if response.status.is_success() {
                *self.lock() = dialect;
                return self.read(&response.body, latency);
            }
            let words = String::from_utf8_lossy(&response.body).to_lowercase();
            // llama-cpp-python answers what it does not understand with 500.
            let is_disliked = matches!(response.status.as_u16(), 400 | 422 | 500) && !is_context(&words);
            let Some(next) = dialect.after(&words).filter(|_| is_disliked) else {
                return Err(refusal(&response, &words));
            };
            tracing::info!(from = ?dialect, to = ?next, "the language model's server is asked in another way");
            dialect = next;
        }
    }

    async fn send(&self, prompt: &Prompt, dialect: Dialect) -> Result<Response, ProviderError> {
        let system = json!({ "role": "system", "content": prompt.system });
        let turns = prompt.turns.iter().enumerate().map(|(turn, words)| {
            let role = if turn % 2 == 0 { "user" } else { "assistant" };
            json!({ "role": role, "content": words })
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
            tracing::warn!(%error, cause, "the language model's server gave no answer");
            ProviderError::Unavailable {
                why: error.to_string(),
                retry_after: None,
            }
        })
    }

    fn read(&self, body: &[u8], latency: Duration) -> Result<Completion, LanguageError> {
        let broken = |why: &str| ProviderError::Unavailable {
            why: why.to_owned(),
            retry_after: None,
        };
        let answer: Answer = serde_json::from_slice(body).map_err(|error| {
            // Not the error itself, which quotes the model where it expected something else.
            tracing::warn!(
                column = error.column(),
                bytes = body.len(),
                "the language model's server answered 200 with something else"
            );
            broken("its answer is not what the API promises")
        })?;
        let Some(choice) = answer.choices.into_iter().next() else {
            return Err(broken("its answer is empty").into());
        };
        let end = match choice.finish_reason.as_deref() {
            Some("content_filter") => return Err(ProviderError::Filtered.into()),
            Some("length") => End::CutOff,
            _ => End::Finished,
        };
        let usage = answer.usage.map(|counts| Usage {
            input_tokens: counts.prompt_tokens,
            output_tokens: counts.completion_tokens,
        });
        Ok(Completion {
            text: choice.message.content.unwrap_or_default(),
            model: answer
                .model
                .filter(|model| !model.is_empty())
                .unwrap_or_else(|| self.model.clone()),
            usage: usage.unwrap_or_default(),
            latency,
            end,
        })
    }

    /// No code panics while it holds the lock, so what a poisoned one guards is whole.
    fn lock(&self) -> std::sync::MutexGuard<'_, Dialect> {
        self.dialect.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What an answer without success means. The server's words go nowhere: they may hold a part of the key, or of what the
/// model was asked. Its name for the error is for the log.
fn refusal(response: &Response, words: &str) -> LanguageError {
    let status = response.status;
    let parsed: Option<Value> = serde_json::from_str(words).ok();
    tracing::warn!(
        status = status.as_u16(),
        code = parsed.as_ref().and_then(|words| name(words, "/error/code")),
        r#type = parsed.as_ref().and_then(|words| name(words, "/error/type")),
        bytes = words.len(),
        "the language model's server refused"
    );
    let wait = || {
        let header = response.headers.get(RETRY_AFTER)?.to_str().ok()?;
        retry_after::parse(header, Timestamp::now())
    };
    match status {
        StatusCode::TOO_MANY_REQUESTS => ProviderError::Throttled { retry_after: wait() }.into(),
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY => ProviderError::Unavailable {
            why: format!("it answered {}", status.as_u16()),
            retry_after: wait(),
        }
        .into(),
        _ if is_context(words) && status.is_client_error() => LanguageError::ContextTooLong,
        _ if status.is_client_error() || status.is_redirection() => ProviderError::Refused {
            status: Some(status.as_u16()),
        }
        .into(),
        _ => ProviderError::Unavailable {
            why: format!("it answered {}", status.as_u16()),
            retry_after: wait(),
        }
        .into(),
    }
}

/// The name that stands there, if it is one.
fn name<'a>(words: &'a Value, pointer: &str) -> Option<&'a str> {
    let found = words.pointer(pointer)?.as_str()?;
    let is_name = found.len() <= LONGEST_NAME
        && found
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c));
    is_name.then_some(found)
}

/// Whether the words, in small letters, speak of the model's context: OpenAI and vLLM have the code, llama.cpp has words.
fn is_context(words: &str) -> bool {
    let parsed: Option<Value> = serde_json::from_str(words).ok();
    let code = parsed
        .as_ref()
        .and_then(|value| value.pointer("/error/code")?.as_str());
    code == Some("context_length_exceeded")
        || [
            "maximum context length",
            "exceed context window",
            "exceeds the available context size",
        ]
        .iter()
        .any(|phrase| words.contains(phrase))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_refusal_only_names_are_logged() {
        let words = json!({ "error": { "code": "invalid_api_key", "type": "No such thing as: dear Ada" } });
        assert_eq!(name(&words, "/error/code"), Some("invalid_api_key"));
        assert_eq!(name(&words, "/error/type"), None, "a sentence is no name");
        assert_eq!(name(&words, "/error/param"), None);
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
    fn an_address_that_is_none_is_refused() {
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
    fn a_key_is_not_printed() {
        let settings = settings("http://127.0.0.1/v1");
        assert!(!format!("{settings:?}").contains("secret"));
        assert!(!format!("{:?}", OpenAi::new(settings).unwrap()).contains("secret"));
    }
}
