//! Amazon Bedrock's Converse: one call for all of its text models.

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

use crate::AwsError;

/// One model of Bedrock's.
#[derive(Debug)]
pub struct Bedrock {
    client: Client,
    model: String,
    /// It turned out to take no tools.
    takes_words_alone: AtomicBool,
}

/// A conversation to go on with.
#[derive(Debug, Clone, Copy)]
pub struct Conversation<'a> {
    /// What the model is told before all else.
    pub system: &'a str,
    /// The user's and the model's words by turns. The first and the last are the user's.
    pub turns: &'a [&'a str],
    /// How long the answer may be, in tokens.
    pub max_tokens: u32,
    /// The form that the answer is to have. A model that can't be held to one answers in words.
    pub form: Option<Form<'a>>,
}

/// The form of an answer.
#[derive(Debug, Clone, Copy)]
pub struct Form<'a> {
    /// A name for it: letters and underscores.
    pub name: &'a str,
    /// The JSON Schema of an object.
    pub schema: &'a Value,
}

/// What the model said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversed {
    /// Its words, or the JSON of the form.
    pub text: String,
    /// How long the conversation was, in tokens.
    pub input_tokens: u64,
    /// How long the answer is, in tokens.
    pub output_tokens: u64,
    /// How long the model took, by Bedrock's own clock.
    pub latency: Option<Duration>,
    /// How it came to its end.
    pub end: ConversationEnd,
}

/// Why a model stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConversationEnd {
    /// It was done.
    Finished,
    /// The answer reached the most tokens that it may have.
    CutOff,
    /// A filter or guardrail of the account's held the answer back.
    Filtered,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum BedrockError {
    /// The service or the model is asked too often.
    #[error("{error}")]
    Throttled {
        /// The call.
        error: AwsError,
        /// The header `Retry-After`, as it came.
        retry_after: Option<String>,
    },
    /// It refused this caller, this model or this conversation: the same call would be refused again.
    #[error("{error}")]
    Refused {
        /// The call.
        error: AwsError,
        /// The HTTP status.
        status: u16,
    },
    /// It took too long.
    #[error(transparent)]
    TimedOut(AwsError),
    /// It did not answer, or with a failure of its own.
    #[error(transparent)]
    Unavailable(AwsError),
}

impl BedrockError {
    /// The call that failed.
    #[must_use]
    pub fn error(&self) -> &AwsError {
        match self {
            Self::Throttled { error, .. } | Self::Refused { error, .. } => error,
            Self::TimedOut(error) | Self::Unavailable(error) => error,
        }
    }
}

impl Bedrock {
    /// The model or inference profile of that id or ARN. A call that is not answered within `timeout` fails; none is
    /// tried again here, since the task's own retries wait for as long as the service asks.
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
            // A model that thinks sends nothing for a while.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        Self {
            client: Client::from_conf(config.build()),
            model,
            takes_words_alone: AtomicBool::new(false),
        }
    }

    /// The model's id.
    #[must_use]
    pub fn model(&self) -> &str {
        &self.model
    }

    /// Has the model go on.
    ///
    /// # Errors
    /// [`BedrockError`]; all but [`BedrockError::Refused`] may pass.
    pub async fn converse(&self, conversation: &Conversation<'_>) -> Result<Conversed, BedrockError> {
        let form = conversation
            .form
            .filter(|_| !self.takes_words_alone.load(Ordering::Relaxed));
        match self.try_to_converse(conversation, form).await {
            Err(BedrockError::Refused { error, status: 400 }) if form.is_some() && is_of_tools(&error) => {
                // Without its words, which may be the model's own on what it was asked.
                tracing::info!(
                    error = error.brief(),
                    model = self.model,
                    "a model is not held to the form of its answer"
                );
                // Some schemas are no model's; a model that knows no tools knows none next time.
                if !error.to_string().contains("chema") {
                    self.takes_words_alone.store(true, Ordering::Relaxed);
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
            // What a model thinks aloud is a block of another kind.
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

/// The one way to hold a model to a form that most of Bedrock's know: a tool that it must use, and that nobody runs.
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

/// Whether a refusal is of the tool, in the words of Bedrock or of the model behind it.
fn is_of_tools(error: &AwsError) -> bool {
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
    let error = AwsError::of("Converse")(error);
    match (error.code.as_deref(), status) {
        _ if timed_out => BedrockError::TimedOut(error),
        (Some("ModelTimeoutException"), _) => BedrockError::TimedOut(error),
        // A model that is not loaded yet is answered with 429 too, and one that failed with 424: neither says anything of
        // this caller.
        (Some("ModelNotReadyException" | "ModelErrorException"), _) => BedrockError::Unavailable(error),
        (Some("ThrottlingException" | "ServiceQuotaExceededException"), _) | (_, 429) => {
            BedrockError::Throttled { error, retry_after }
        }
        (_, 400..=499) => BedrockError::Refused { error, status },
        _ => BedrockError::Unavailable(error),
    }
}
