//! Amazon Bedrock, by the client in mesh-cloud.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use mesh_aws::{Bedrock, BedrockError, Conversation, ConversationEnd, Form};

use super::{Completion, End, ProviderError, Usage, retry_after};
use crate::{LanguageError, Prompt};

pub(super) async fn complete(
    bedrock: &Bedrock,
    timeout: Duration,
    prompt: &Prompt,
) -> Result<Completion, LanguageError> {
    let begun = Instant::now();
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
    let said = bedrock
        .converse(&conversation)
        .await
        .map_err(|error| failure(&error, timeout))?;
    let end = match said.end {
        ConversationEnd::Finished => End::Finished,
        ConversationEnd::CutOff => End::CutOff,
        ConversationEnd::Filtered => return Err(ProviderError::Filtered.into()),
    };
    Ok(Completion {
        text: said.text,
        model: bedrock.model().to_owned(),
        usage: Usage {
            input_tokens: said.input_tokens,
            output_tokens: said.output_tokens,
        },
        latency: said.latency.unwrap_or_else(|| begun.elapsed()),
        end,
    })
}

fn failure(error: &BedrockError, timeout: Duration) -> LanguageError {
    tracing::warn!(error = error.error().brief(), "Bedrock gave no answer");
    let error = match error {
        // Its words alone tell this one from other requests that are not valid.
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
            why: "Bedrock did not answer, or its model failed".to_owned(),
            retry_after: None,
        },
    };
    error.into()
}
