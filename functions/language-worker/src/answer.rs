//! One job: its operation, and the answer in the task's own words.

use std::time::Duration;

use mesh_language::{Answered, LanguageError, Schema};
use mesh_task::{
    Classification, Classify, Content, DEFAULT_SUMMARY_SENTENCES, ErrorCode, Extraction, LabelScore,
    MAX_SUMMARY_SENTENCES, ModelName, Parameters, RunError, RunOutput, Summarize, Summary, TaskResult,
    Translation, Usage,
};
use mesh_worker::Job;

use crate::setup::Model;

pub(crate) async fn answer(model: &Model, job: &Job) -> Result<RunOutput, RunError> {
    let Content::Text(text) = &job.input.content else {
        return Err(RunError::wrong_worker(job.task.task_type));
    };
    match &job.input.parameters {
        Parameters::Translate(it) => {
            let answered = model.language.translate(text, &it.target_language).await;
            output(model, answered, |text| {
                TaskResult::Translation(Translation { text })
            })
        }
        Parameters::DataExtraction(it) => {
            let schema = Schema::parse(it.schema.clone())
                .map_err(|why| RunError::permanent(ErrorCode::InvalidInput, format!("input.schema {why}")))?;
            let answered = model.language.extract(text, &schema).await;
            output(model, answered, |fields| {
                TaskResult::Extraction(Extraction { fields })
            })
        }
        Parameters::Summarize(it) => {
            let answered = model.language.summarize(text, sentences(it, text)).await;
            output(model, answered, |summary| {
                TaskResult::Summary(Summary {
                    summary: summary.summary,
                    sentences: summary.sentences,
                })
            })
        }
        Parameters::Classify(it) => {
            let answered = model.language.classify(text, &labels(it), it.multi_label).await;
            output(model, answered, classification)
        }
        _ => Err(RunError::wrong_worker(job.task.task_type)),
    }
}

fn output<T>(
    model: &Model,
    answered: Result<Answered<T>, LanguageError>,
    result: impl FnOnce(T) -> TaskResult,
) -> Result<RunOutput, RunError> {
    let answered = answered?;
    Ok(RunOutput {
        result: result(answered.value),
        model: ModelName {
            name: model.name.clone(),
            version: answered.model,
        },
        load: Duration::ZERO,
        inference: answered.latency,
        usage: Some(Usage {
            input_tokens: answered.usage.input_tokens,
            output_tokens: answered.usage.output_tokens,
            provider_ms: u64::try_from(answered.latency.as_millis()).unwrap_or(u64::MAX),
        }),
    })
}

fn labels(asked: &Classify) -> Vec<String> {
    let labels = asked.labels_or_default().into_iter();
    labels.map(str::to_owned).collect()
}

fn classification(said: mesh_language::Classification) -> TaskResult {
    let scores = said.scores.into_iter().map(|one| LabelScore {
        label: one.label,
        score: one.score,
    });
    TaskResult::Classification(Classification {
        label: said.label,
        score: said.score,
        scores: scores.collect(),
    })
}

/// How many sentences a summary may have. A share is one of the text's own sentences, counted by their ends.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a share, between 0 and 1, of a count of at most a million"
)]
fn sentences(asked: &Summarize, text: &str) -> usize {
    let most = MAX_SUMMARY_SENTENCES as usize;
    match (asked.max_sentences, asked.ratio) {
        (Some(count), _) => count as usize,
        (None, Some(ratio)) => {
            let share = (count_sentences(text) as f64 * ratio).ceil() as usize;
            share.clamp(1, most)
        }
        (None, None) => DEFAULT_SUMMARY_SENTENCES as usize,
    }
}

fn count_sentences(text: &str) -> usize {
    let ends = |c: char| ".!?\u{3002}\u{ff01}\u{ff1f}".contains(c);
    // "Well?!" ends once.
    text.split(ends)
        .filter(|part| part.chars().any(char::is_alphanumeric))
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_counted_by_the_text_s_own_sentences() {
        let text = "One. Two?! Three... Four";
        let asked = |max_sentences, ratio| Summarize {
            max_sentences,
            ratio,
            ..Summarize::default()
        };
        assert_eq!(sentences(&asked(None, Some(0.5)), text), 2);
        assert_eq!(sentences(&asked(None, Some(0.01)), text), 1);
        assert_eq!(sentences(&asked(None, Some(1.0)), &"A. ".repeat(500)), 100);
        assert_eq!(sentences(&asked(Some(7), None), text), 7);
        assert_eq!(sentences(&asked(None, None), text), 3);
    }
}
