//! Converts between the types of tasks and those of the text models.

use mesh_models::{TextAnswer, TextRequest};
use mesh_task::{
    Classification, Content, DEFAULT_SUMMARY_SENTENCES, Embeddings, Engine, LabelScore, Parameters,
    Sentiment, SentimentLabel, Summary, TaskResult,
};
use mesh_worker::Job;

/// The job as a request to the embedder; `None` if another model runs it.
pub(crate) fn request(job: &Job) -> Option<TextRequest<'_>> {
    match (&job.input.parameters, &job.input.content) {
        (Parameters::Embed, Content::Texts(texts)) => Some(TextRequest::Embed {
            texts: texts.iter().map(String::as_str).collect(),
        }),
        (Parameters::Classify(classify), Content::Text(text)) if classify.engine == Engine::Onnx => {
            Some(TextRequest::Classify {
                text,
                labels: classify.labels_or_default(),
                multi_label: classify.multi_label,
            })
        }
        (Parameters::Summarize(summarize), Content::Text(text)) if summarize.engine == Engine::Onnx => {
            let to_usize = |count: u32| usize::try_from(count).unwrap_or(usize::MAX);
            let count = match summarize.ratio {
                None => Some(summarize.max_sentences.unwrap_or(DEFAULT_SUMMARY_SENTENCES)),
                Some(_) => None,
            };
            #[expect(clippy::cast_possible_truncation, reason = "a ratio between 0 and 1")]
            let ratio = summarize.ratio.map(|ratio| ratio as f32);
            Some(TextRequest::Summarize {
                text,
                max_sentences: count.map(to_usize),
                ratio,
            })
        }
        _ => None,
    }
}

/// The embedder's answer to `request` as a task's result.
pub(crate) fn result(request: &TextRequest<'_>, answer: TextAnswer) -> TaskResult {
    match answer {
        TextAnswer::Embed(embeddings) => TaskResult::Embeddings(Embeddings {
            embeddings: embeddings
                .into_iter()
                .map(|embedding| embedding.to_vec())
                .collect(),
        }),
        TextAnswer::Summarize(sentences) => TaskResult::Summary(Summary {
            summary: sentences.join(" "),
            sentences,
        }),
        TextAnswer::Classify(scores) => {
            let labels = match request {
                TextRequest::Classify { labels, .. } => &labels[..],
                TextRequest::Embed { .. } | TextRequest::Summarize { .. } => &[],
            };
            classification(labels, &scores)
        }
    }
}

fn classification(labels: &[&str], scores: &[f32]) -> TaskResult {
    let mut scores: Vec<_> = labels
        .iter()
        .zip(scores)
        .map(|(&label, &score)| LabelScore {
            label: label.to_owned(),
            score,
        })
        .collect();
    scores.sort_by(|a, b| b.score.total_cmp(&a.score));
    let (label, score) = scores
        .first()
        .map(|best| (best.label.clone(), best.score))
        .unwrap_or_default();
    TaskResult::Classification(Classification { label, score, scores })
}

/// The sentiment model's answer as a task's result.
pub(crate) fn sentiment(sentiment: mesh_models::Sentiment) -> TaskResult {
    let label = match sentiment.label {
        mesh_models::SentimentLabel::Positive => SentimentLabel::Positive,
        mesh_models::SentimentLabel::Negative => SentimentLabel::Negative,
        mesh_models::SentimentLabel::Neutral => SentimentLabel::Neutral,
    };
    TaskResult::Sentiment(Sentiment {
        label,
        score: sentiment.score,
        positive: sentiment.positive,
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn default_labels_are_those_that_the_model_was_measured_with() {
        assert_eq!(mesh_task::DEFAULT_LABELS, mesh_models::DEFAULT_LABELS);
    }
}
