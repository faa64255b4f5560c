//! Amazon Bedrock's Converse API, one call for all of its text models.

mod document;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_bedrockruntime::Client;
use aws_sdk_bedrockruntime::error::SdkError;
use aws_sdk_bedrockruntime::operation::converse::ConverseError;
use aws_sdk_bedrockruntime::types::{
    ContentBlock, ConversationRole, InferenceConfiguration, Message, SpecificToolChoice, StopReason,
    SystemContentBlock, Tool, ToolChoice, ToolConfiguration, ToolInputSchema, ToolSpecification,
};
use serde_json::Value;

use mesh_backend::BackendError;

use crate::error::from_sdk;

/// A client for one of Bedrock's models.
#[derive(Debug)]
pub struct Bedrock {
    client: Client,
    model: String,
    /// Whether the model has refused tools before.
    lacks_tool_support: AtomicBool,
}

/// A conversation that the model continues.
#[derive(Debug, Clone, Copy)]
pub struct Conversation<'a> {
    /// The system prompt.
    pub system: &'a str,
    /// The messages of user and model in turn; the first and the last are the user's.
    pub turns: &'a [&'a str],
    /// The maximum length of the answer, in tokens.
    pub max_tokens: u32,
    /// The schema that the answer is to follow. A model without support for tools answers in plain text.
    pub form: Option<Form<'a>>,
}

/// The schema of an answer.
#[derive(Debug, Clone, Copy)]
pub struct Form<'a> {
    /// The schema's name: letters and underscores.
    pub name: &'a str,
    /// The JSON Schema of an object.
    pub schema: &'a Value,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversed {
    /// The text, or the JSON that follows the schema.
    pub text: String,
    /// The length of the conversation, in tokens.
    pub input_tokens: u64,
    /// The length of the answer, in tokens.
    pub output_tokens: u64,
    /// The model's latency as Bedrock measured it.
    pub latency: Option<Duration>,
    pub end: ConversationEnd,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConversationEnd {
    /// The answer is complete.
    Finished,
    /// The answer reached its maximum length.
    CutOff,
    /// A content filter or guardrail of the account withheld the answer.
    Filtered,
}

/// Why the model gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum BedrockError {
    /// The service or the model throttled the call.
    #[error("{error}")]
    Throttled {
        error: BackendError,
        /// The value of the header `Retry-After`.
        retry_after: Option<String>,
    },
    /// The service refused the caller, the model or the conversation: the same call would be refused again.
    #[error("{error}")]
    Refused { error: BackendError, status: u16 },
    /// The call took longer than its timeout.
    #[error(transparent)]
    TimedOut(BackendError),
    /// The service did not answer, or failed.
    #[error(transparent)]
    Unavailable(BackendError),
}

impl BedrockError {
    #[must_use]
    pub fn error(&self) -> &BackendError {
        match self {
            Self::Throttled { error, .. } | Self::Refused { error, .. } => error,
            Self::TimedOut(error) | Self::Unavailable(error) => error,
        }
    }
}

impl Bedrock {
    /// The model or inference profile with this id or ARN. A call that is not answered within `timeout` fails. The SDK does not
    /// retry it, since the task's own retries wait for as long as the service asks.
    #[must_use]
    pub fn new(config: &SdkConfig, model: String, timeout: Duration) -> Self {
        let shared = config.timeout_config();
        let timeouts = shared.map_or_else(TimeoutConfig::builder, |shared| shared.to_builder());
        let timeouts = timeouts
            .operation_attempt_timeout(timeout)
            .operation_timeout(timeout)
            .build();
        let config = aws_sdk_bedrockruntime::config::Builder::from(config)
            .timeout_config(timeouts)
            .retry_config(RetryConfig::disabled())
            // A model that reasons sends no data for a while.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        Self {
            client: Client::from_conf(config.build()),
            model,
            lacks_tool_support: AtomicBool::new(false),
        }
    }

    #[must_use]
    pub fn model(&self) -> &str {
        &self.model
    }

    /// Requests the model's next message.
    ///
    /// # Errors
    /// [`BedrockError`]; all but [`BedrockError::Refused`] may pass.
    pub async fn converse(&self, conversation: &Conversation<'_>) -> Result<Conversed, BedrockError> {
        let form = conversation
            .form
            .filter(|_| !self.lacks_tool_support.load(Ordering::Relaxed));
        match self.try_to_converse(conversation, form).await {
            Err(BedrockError::Refused { error, status: 400 }) if form.is_some() && is_of_tools(&error) => {
                // Without the service's message, which may quote the prompt.
                tracing::info!(
                    event = "answer_tool_refused",
                    error = error.brief(),
                    model = self.model,
                    "a model refused the answer tool; it answers in plain text"
                );
                // The schema alone may be the cause, so only a model without support for tools is remembered.
                if !error.to_string().contains("chema") {
                    self.lacks_tool_support.store(true, Ordering::Relaxed);
                }
                self.try_to_converse(conversation, None).await
            }
            outcome => outcome,
        }
    }

    async fn try_to_converse(
        &self,
        conversation: &Conversation<'_>,
        form: Option<Form<'_>>,
    ) -> Result<Conversed, BedrockError> {
        let limits = InferenceConfiguration::builder()
            .max_tokens(conversation.max_tokens.try_into().unwrap_or(i32::MAX))
            .temperature(0.0);
        let mut converse = self
            .client
            .converse()
            .model_id(&self.model)
            .system(SystemContentBlock::Text(conversation.system.to_owned()))
            .inference_config(limits.build())
            .set_tool_config(form.map(tool));
        for (turn, text) in conversation.turns.iter().enumerate() {
            let role = if turn % 2 == 0 {
                ConversationRole::User
            } else {
                ConversationRole::Assistant
            };
            let message = Message::builder()
                .role(role)
                .content(ContentBlock::Text((*text).to_owned()))
                .build()
                .expect("a message with its role and content is whole");
            converse = converse.messages(message);
        }
        let answer = converse.send().await.map_err(failure)?;
        let tokens = |count: i32| u64::try_from(count).unwrap_or_default();
        let (input_tokens, output_tokens) = answer.usage().map_or((0, 0), |usage| {
            (tokens(usage.input_tokens()), tokens(usage.output_tokens()))
        });
        let latency = answer.metrics().and_then(|metrics| {
            let milliseconds = u64::try_from(metrics.latency_ms()).ok()?;
            Some(Duration::from_millis(milliseconds)).filter(|latency| !latency.is_zero())
        });
        let end = match answer.stop_reason() {
            StopReason::MaxTokens | StopReason::ModelContextWindowExceeded => ConversationEnd::CutOff,
            StopReason::ContentFiltered | StopReason::GuardrailIntervened => ConversationEnd::Filtered,
            _ => ConversationEnd::Finished,
        };
        let message = answer.output.and_then(|output| output.as_message().ok().cloned());
        let content = message.map(|message| message.content).unwrap_or_default();
        let used = content.iter().find_map(|block| block.as_tool_use().ok());
        let text = match used {
            Some(used) => document::to_json(used.input()).to_string(),
            // Reasoning is in blocks of another kind.
            None => {
                let texts = content.iter().filter_map(|block| block.as_text().ok());
                texts.map(String::as_str).collect()
            }
        };
        Ok(Conversed {
            text,
            input_tokens,
            output_tokens,
            latency,
            end,
        })
    }
}

/// A tool whose input is the answer. To force the use of a tool is the one way to a structured answer that most of Bedrock's
/// models support; nobody runs the tool.
fn tool(form: Form<'_>) -> ToolConfiguration {
    let whole = "all that is required is set";
    let tool = ToolSpecification::builder()
        .name(form.name)
        .description("Takes the answer.")
        .input_schema(ToolInputSchema::Json(document::from_json(form.schema)))
        .build()
        .expect(whole);
    let must = SpecificToolChoice::builder()
        .name(form.name)
        .build()
        .expect(whole);
    ToolConfiguration::builder()
        .tools(Tool::ToolSpec(tool))
        .tool_choice(ToolChoice::Tool(must))
        .build()
        .expect(whole)
}

/// Whether a refusal is about the tool, in the wording of Bedrock or of the model's provider.
fn is_of_tools(error: &BackendError) -> bool {
    let words = error.to_string().to_lowercase();
    ["tool", "schema"].iter().any(|word| words.contains(word))
}

fn failure(error: SdkError<ConverseError>) -> BedrockError {
    let response = error.raw_response();
    let status = response.map_or(0, |response| response.status().as_u16());
    let retry_after = response
        .and_then(|response| response.headers().get("retry-after"))
        .map(str::to_owned);
    let timed_out = matches!(&error, SdkError::TimeoutError(_));
    let error = from_sdk("Converse")(error);
    match (error.code.as_deref(), status) {
        _ if timed_out => BedrockError::TimedOut(error),
        (Some("ModelTimeoutException"), _) => BedrockError::TimedOut(error),
        // 429 is also the answer while a model is not loaded yet, and 424 after a failure of the model: neither is the
        // caller's fault.
        (Some("ModelNotReadyException" | "ModelErrorException"), _) => BedrockError::Unavailable(error),
        (Some("ThrottlingException" | "ServiceQuotaExceededException"), _) | (_, 429) => {
            BedrockError::Throttled { error, retry_after }
        }
        (_, 400..=499) => BedrockError::Refused { error, status },
        _ => BedrockError::Unavailable(error),
    }
}
