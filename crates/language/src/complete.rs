//! Runs one request against the provider, and repairs its response once.

use std::time::Duration;

use mesh_extraction_schema::Schema;
use serde_json::{Map, Value};

use crate::json_object::find_object;
use crate::prompt::Request;
use crate::{Completion, FinishReason, Language, LanguageError, Prompt, Response, Usage};

/// The first completion and one repair. A model that fails twice at temperature 0 would fail again.
const MAX_ROUNDS: u32 = 2;

/// Why a completion is not a valid response. The message does not quote the text.
pub(crate) struct InvalidCompletion(pub(crate) String);

impl Language {
    /// Refuses a request whose text, with the schema that the task sent, is too long. `schema_chars` is the length of that
    /// schema as the model reads it, and 0 for an operation that has its own.
    pub(crate) fn check_length(&self, text: &str, schema_chars: usize) -> Result<(), LanguageError> {
        let limit = self.limits.max_text_chars;
        let chars = text.chars().count();
        if chars + schema_chars <= limit {
            Ok(())
        } else if schema_chars == 0 {
            Err(LanguageError::TextTooLong { chars, limit })
        } else {
            Err(LanguageError::TextAndSchemaTooLong {
                chars,
                schema_chars,
                limit,
            })
        }
    }

    /// Sends a request, and returns a JSON object that matches the schema.
    pub(crate) async fn complete(
        &self,
        request: &Request<'_>,
        schema: &Schema,
    ) -> Result<Response<Result<Map<String, Value>, InvalidCompletion>>, LanguageError> {
        let mut prompt = Prompt::new(request, self.limits.max_output_tokens)?;
        let mut usage = Usage::default();
        let mut latency = Duration::ZERO;
        let mut rounds = 0;
        loop {
            let completion = self.provider.complete(&prompt).await?;
            rounds += 1;
            usage += completion.usage;
            latency += completion.latency;
            let value = self.parse(&completion, schema);
            if let Err(InvalidCompletion(reason)) = &value
                && rounds < MAX_ROUNDS
            {
                tracing::info!(
                    event = "completion_repair_requested",
                    model = completion.model,
                    "the language model is asked to correct its response"
                );
                prompt = prompt.repair(completion.text, reason);
                continue;
            }
            return Ok(Response {
                value,
                model: completion.model,
                usage,
                latency,
                rounds,
            });
        }
    }

    fn parse(
        &self,
        completion: &Completion,
        schema: &Schema,
    ) -> Result<Map<String, Value>, InvalidCompletion> {
        let object = find_object(&completion.text).ok_or_else(|| {
            InvalidCompletion(match completion.finish_reason {
                FinishReason::Length => format!(
                    "it was cut off after {} tokens, the limit for a response",
                    self.limits.max_output_tokens
                ),
                FinishReason::Stop => "it contains no JSON object".to_owned(),
            })
        })?;
        schema
            .conform(object)
            .map_err(|mismatch| InvalidCompletion(mismatch.to_string()))
    }
}
