//! Runs one job: calls the operation of its task type, and converts the response to the task's result.

use std::time::Duration;

use mesh_extraction_schema::Schema;
use mesh_language::{LanguageError, Response};
use mesh_task::{
    Classification, Classify, Content, DEFAULT_SUMMARY_SENTENCES, ErrorCode, Extraction, LabelScore,
    MAX_SUMMARY_SENTENCES, ModelName, Parameters, RunError, RunOutput, Summarize, Summary, TaskResult,
    Translation, Usage,
};
use mesh_worker::Job;

use super::model::ConfiguredModel;

pub(super) async fn run_job(model: &ConfiguredModel, job: &Job) -> Result<RunOutput, RunError> {
    let Content::Text(text) = &job.input.content else {
        return Err(RunError::wrong_worker(job.task.task_type));
    };
    match &job.input.parameters {
        Parameters::Translate(translate) => {
            let response = model.language.translate(text, &translate.target_language).await;
            output(model, response, |text| {
                TaskResult::Translation(Translation { text })
            })
        }
        Parameters::DataExtraction(extraction) => {
            let schema = Schema::parse(extraction.schema.clone()).map_err(|error| {
                RunError::permanent(ErrorCode::InvalidInput, format!("input.schema {error}"))
            })?;
            let response = model.language.extract(text, &schema).await;
            output(model, response, |fields| {
                TaskResult::Extraction(Extraction { fields })
            })
        }
        Parameters::Summarize(summarize) => {
            let max_sentences = max_sentences(summarize, text);
            let response = model.language.summarize(text, max_sentences).await;
            output(model, response, |summary| {
                TaskResult::Summary(Summary {
                    summary: summary.summary,
                    sentences: summary.sentences,
                })
            })
        }
        Parameters::Classify(classify) => {
            let labels = labels(classify);
            let response = model.language.classify(text, &labels, classify.multi_label).await;
            output(model, response, classification)
        }
        _ => Err(RunError::wrong_worker(job.task.task_type)),
    }
}

fn output<T>(
    model: &ConfiguredModel,
    response: Result<Response<T>, LanguageError>,
    result: impl FnOnce(T) -> TaskResult,
) -> Result<RunOutput, RunError> {
    let response = response?;
    Ok(RunOutput {
        result: result(response.value),
        model: ModelName {
            name: model.name.clone(),
            version: response.model,
        },
        load: Duration::ZERO,
        inference: response.latency,
        usage: Some(Usage {
            input_tokens: response.usage.input_tokens,
            output_tokens: response.usage.output_tokens,
            provider_ms: u64::try_from(response.latency.as_millis()).unwrap_or(u64::MAX),
        }),
    })
}

fn labels(classify: &Classify) -> Vec<String> {
    let labels = classify.labels_or_default().into_iter();
    labels.map(str::to_owned).collect()
}

fn classification(classification: mesh_language::Classification) -> TaskResult {
    let scores = classification.scores.into_iter().map(|scored| LabelScore {
        label: scored.label,
        score: scored.score,
    });
    TaskResult::Classification(Classification {
        label: classification.label,
        score: classification.score,
        scores: scores.collect(),
    })
}

/// The maximum number of sentences of a summary. A ratio is relative to the number of sentences in the text.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a ratio between 0 and 1 of a count of at most a million"
)]
fn max_sentences(summarize: &Summarize, text: &str) -> usize {
    match (summarize.max_sentences, summarize.ratio) {
        (Some(count), _) => count as usize,
        (None, Some(ratio)) => {
            let count = (count_sentences(text) as f64 * ratio).ceil() as usize;
            count.clamp(1, MAX_SUMMARY_SENTENCES as usize)
        }
        (None, None) => DEFAULT_SUMMARY_SENTENCES as usize,
    }
}

fn count_sentences(text: &str) -> usize {
    let is_end = |c: char| ".!?\u{3002}\u{ff01}\u{ff1f}".contains(c);
    // The filter drops the empty part within "?!".
    text.split(is_end)
        .filter(|part| part.chars().any(char::is_alphanumeric))
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratio_is_relative_to_the_sentences_of_the_text() {
        let text = "One. Two?! Three... Four";
        let summarize = |max_sentences, ratio| Summarize {
            max_sentences,
            ratio,
            ..Summarize::default()
        };
        assert_eq!(max_sentences(&summarize(None, Some(0.5)), text), 2);
        assert_eq!(max_sentences(&summarize(None, Some(0.01)), text), 1);
        assert_eq!(
            max_sentences(&summarize(None, Some(1.0)), &"A. ".repeat(500)),
            100
        );
        assert_eq!(max_sentences(&summarize(Some(7), None), text), 7);
        assert_eq!(max_sentences(&summarize(None, None), text), 3);
    }
}
