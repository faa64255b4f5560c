//! Amazon Bedrock, through the client of mesh-aws.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use mesh_aws::{Bedrock, BedrockError, Conversation, ConversationEnd, Form};

use super::{Completion, FinishReason, ProviderError, Usage, retry_after};
use crate::{LanguageError, Prompt};

pub(super) async fn complete(
    bedrock: &Bedrock,
    timeout: Duration,
    prompt: &Prompt,
) -> Result<Completion, LanguageError> {
    let start = Instant::now();
    let turns: Vec<_> = prompt.turns.iter().map(String::as_str).collect();
    let conversation = Conversation {
        system: &prompt.system,
        turns: &turns,
        max_tokens: prompt.max_output_tokens,
        form: Some(Form {
            name: prompt.format.name,
            schema: &prompt.format.schema,
        }),
    };
    let response = bedrock
        .converse(&conversation)
        .await
        .map_err(|error| failure(&error, timeout))?;
    let finish_reason = match response.end {
        ConversationEnd::Finished => FinishReason::Stop,
        ConversationEnd::CutOff => FinishReason::Length,
        ConversationEnd::Filtered => return Err(ProviderError::Filtered.into()),
    };
    Ok(Completion {
        text: response.text,
        model: bedrock.model().to_owned(),
        usage: Usage {
            input_tokens: response.input_tokens,
            output_tokens: response.output_tokens,
        },
        latency: response.latency.unwrap_or_else(|| start.elapsed()),
        finish_reason,
    })
}

fn failure(error: &BedrockError, timeout: Duration) -> LanguageError {
    tracing::warn!(
        event = "language_request_failed",
        error = error.error().brief(),
        "Bedrock returned no completion"
    );
    let error = match error {
        // Only its message distinguishes this error from other invalid requests.
        BedrockError::Refused { status: 400, error } if error.to_string().contains("too long") => {
            return LanguageError::ContextTooLong;
        }
        BedrockError::Throttled {
            retry_after: wait, ..
        } => ProviderError::Throttled {
            retry_after: wait
                .as_deref()
                .and_then(|wait| retry_after::parse(wait, Timestamp::now())),
        },
        BedrockError::Refused { status, .. } => ProviderError::Refused {
            status: Some(*status),
        },
        BedrockError::TimedOut(_) => ProviderError::TimedOut { after: timeout },
        BedrockError::Unavailable(_) => ProviderError::Unavailable {
            reason: "Bedrock did not answer, or its model failed".to_owned(),
            retry_after: None,
        },
    };
    error.into()
}
