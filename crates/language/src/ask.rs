//! Question, answer, and one repair.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::answer::object_in;
use crate::prompt::Question;
use crate::{Answered, Completion, End, Language, LanguageError, Prompt, Provider, Schema, Usage};

/// An answer and a repaired answer: a model that fails twice at temperature 0 fails always.
const ROUNDS: u32 = 2;

/// Why an answer won't do. It names no word of the text.
pub(crate) struct Unfit(pub(crate) String);

impl Language {
    /// Puts a question, and answers with a JSON object that is valid by the schema.
    pub(crate) async fn ask(
        &self,
        question: &Question<'_>,
        schema: &Schema,
    ) -> Result<Answered<Result<Map<String, Value>, Unfit>>, LanguageError> {
        if matches!(self.provider, Provider::None) {
            return Err(LanguageError::NotConfigured);
        }
        let limit = self.limits.max_text_chars;
        let chars = question.text.chars().count();
        if chars > limit {
            return Err(LanguageError::TextTooLong { chars, limit });
        }
        let mut prompt = Prompt::of(question, self.limits.max_output_tokens)?;
        let mut usage = Usage::default();
        let mut latency = Duration::ZERO;
        let mut rounds = 0;
        loop {
            let completion = self.provider.complete(&prompt).await?;
            rounds += 1;
            usage += completion.usage;
            latency += completion.latency;
            let value = self.read(&completion, schema);
            if let Err(Unfit(wrong)) = &value
                && rounds < ROUNDS
            {
                tracing::info!(model = completion.model, "a language model's answer is sent back");
                prompt = prompt.repair(completion.text, wrong);
                continue;
            }
            return Ok(Answered {
                value,
                model: completion.model,
                usage,
                latency,
                rounds,
            });
        }
    }

    fn read(&self, completion: &Completion, schema: &Schema) -> Result<Map<String, Value>, Unfit> {
        let object = object_in(&completion.text).ok_or_else(|| {
            Unfit(match completion.end {
                End::CutOff => format!(
                    "it was cut off after {} tokens, the most that an answer may have",
                    self.limits.max_output_tokens
                ),
                End::Finished => "it holds no JSON object".to_owned(),
            })
        })?;
        schema.fit(object).map_err(Unfit)
    }
}
