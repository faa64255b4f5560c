//! Answers requests in JSON Lines on standard input with JSON Lines on standard output. The scripts in models/evaluate use it,
//! so that they measure the code that the workers run.
//!
//!     cargo run -p mesh-models --example answer -- .local/assets < requests.jsonl
//!
//! | request | answer |
//! |---|---|
//! | `{"kind": "sentiment", "text"}` | `{"label", "score"}` |
//! | `{"kind": "embed", "texts"}` | `{"embeddings"}` |
//! | `{"kind": "classify", "text", "labels"?, "multi_label"?}` | `{"labels", "scores"}` |
//! | `{"kind": "summarize", "text", "max_sentences"?, "ratio"?}` | `{"sentences"}` |
//! | `{"kind": "faces", "path"}` | `{"faces"}` |

use std::cell::OnceCell;
use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};

use mesh_models::{
    DEFAULT_LABELS, FaceDetector, Interrupt, LoadError, SentimentModel, TextAnswer, TextModel, TextRequest,
};
use serde::Deserialize;
use serde_json::{Value, json};

/// The number of requests to answer together, like a worker's batch of messages.
const BATCH: usize = 32;

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
enum Request {
    Sentiment {
        text: String,
    },
    Embed {
        texts: Vec<String>,
    },
    Classify {
        text: String,
        labels: Option<Vec<String>>,
        #[serde(default)]
        multi_label: bool,
    },
    Summarize {
        text: String,
        max_sentences: Option<usize>,
        ratio: Option<f32>,
    },
    Faces {
        path: PathBuf,
    },
}

/// Models that are loaded at their first use.
struct Models<'a> {
    assets: &'a Path,
    sentiment: OnceCell<SentimentModel>,
    text: OnceCell<TextModel>,
    faces: OnceCell<FaceDetector>,
}

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, assets] = arguments.as_slice() else {
        return Err("usage: answer ASSETS < requests.jsonl".into());
    };
    let models = Models {
        assets: Path::new(assets),
        sentiment: OnceCell::new(),
        text: OnceCell::new(),
        faces: OnceCell::new(),
    };
    let mut requests = Vec::new();
    for (number, line) in std::io::stdin().lock().lines().enumerate() {
        let request = serde_json::from_str(&line?).map_err(|error| format!("line {}: {error}", number + 1));
        requests.push(request?);
    }
    let mut output = std::io::stdout().lock();
    for batch in requests.chunks(BATCH) {
        for answer in models.answer(batch)? {
            writeln!(output, "{answer}")?;
        }
    }
    Ok(())
}

impl Models<'_> {
    fn answer(&self, batch: &[Request]) -> Result<Vec<Value>> {
        let texts: Vec<TextRequest<'_>> = batch.iter().filter_map(text_request).collect();
        let mut texts = if texts.is_empty() {
            Vec::new().into_iter()
        } else {
            get(&self.text, || TextModel::load(self.assets))?
                .run(&texts, &Interrupt::new())?
                .into_iter()
        };
        batch
            .iter()
            .map(|request| match request {
                Request::Sentiment { text } => {
                    let model = get(&self.sentiment, || SentimentModel::load(self.assets))?;
                    let sentiments = model.classify(&[text], &Interrupt::new())?;
                    Ok(serde_json::to_value(sentiments[0])?)
                }
                Request::Faces { path } => {
                    let detector = get(&self.faces, || FaceDetector::load(self.assets))?;
                    let faces = detector.detect(&std::fs::read(path)?, &Interrupt::new())?;
                    Ok(json!({"faces": faces}))
                }
                text => Ok(text_answer(text, texts.next().ok_or("an answer is missing")?)),
            })
            .collect()
    }
}

/// Replaces `OnceCell::get_or_try_init`, which is not stable yet.
fn get<T>(
    cell: &OnceCell<T>,
    load: impl FnOnce() -> std::result::Result<T, LoadError>,
) -> std::result::Result<&T, LoadError> {
    match cell.get() {
        Some(model) => Ok(model),
        None => load().map(|model| cell.get_or_init(|| model)),
    }
}

fn text_request(request: &Request) -> Option<TextRequest<'_>> {
    Some(match request {
        Request::Embed { texts } => TextRequest::Embed {
            texts: texts.iter().map(String::as_str).collect(),
        },
        Request::Classify {
            text,
            labels,
            multi_label,
        } => TextRequest::Classify {
            text,
            labels: names(labels.as_deref()),
            multi_label: *multi_label,
        },
        Request::Summarize {
            text,
            max_sentences,
            ratio,
        } => TextRequest::Summarize {
            text,
            max_sentences: *max_sentences,
            ratio: *ratio,
        },
        Request::Sentiment { .. } | Request::Faces { .. } => return None,
    })
}

fn names(labels: Option<&[String]>) -> Vec<&str> {
    match labels {
        Some(labels) => labels.iter().map(String::as_str).collect(),
        None => DEFAULT_LABELS.to_vec(),
    }
}

fn text_answer(request: &Request, answer: TextAnswer) -> Value {
    match answer {
        TextAnswer::Embed(embeddings) => {
            let embeddings: Vec<&[f32]> = embeddings.iter().map(|embedding| &embedding[..]).collect();
            json!({"embeddings": embeddings})
        }
        TextAnswer::Classify(scores) => {
            let labels = match request {
                Request::Classify { labels, .. } => names(labels.as_deref()),
                _ => Vec::new(),
            };
            json!({"labels": labels, "scores": scores})
        }
        TextAnswer::Summarize(sentences) => json!({"sentences": sentences}),
    }
}
