//! Embeds English texts, and classifies and summarizes them by their embeddings. All three use one model, all-MiniLM-L6-v2
//! (Reimers and Gurevych, 2019, <https://arxiv.org/abs/1908.10084>). Its output `embedding` is float32 `[batch, 384]`, of
//! length 1.
//!
//! The tokenizer normalizes what the model reads. Sentences and labels in an answer are those of the request.

mod classify;
mod sentence_break;
mod sentences;
mod summarize;

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Mutex;

use crate::encoder::{Encoder, MAX_TOKENS};
use crate::runtime::lock;
use crate::tokenizer::spread;
use crate::{Interrupt, LoadError, ModelError, ModelId, Steps};
pub use classify::DEFAULT_LABELS;
pub use sentences::sentences;
pub use summarize::DEFAULT_SENTENCES;

const MODEL: &str = "models/minilm/model.ort";

/// The number of values in an embedding.
pub const EMBEDDING_WIDTH: usize = 384;
/// The embedding of a text: a vector of length 1, so that the dot product of two is their cosine.
pub type Embedding = [f32; EMBEDDING_WIDTH];

/// The maximum number of windows of 256 tokens of a text, about 1,500 words. A window takes about 30 ms, so 64 long texts take
/// about 15 seconds.
const MAX_WINDOWS: usize = 8;
/// The maximum number of sentences to rank for a summary. A book of 1 MB takes 2 seconds, one without punctuation 7.
const MAX_SENTENCES: usize = 1000;
/// The maximum number of tokens of a sentence; most sentences have 15 to 40.
const MAX_SENTENCE_TOKENS: usize = 64;
/// The maximum number of labels in the cache, at 1.5 kB each. Clients mostly send the same labels.
const MAX_CACHED_LABELS: usize = 1000;
/// The maximum length of a label in the cache, in bytes. Longer ones are embedded each time.
const MAX_CACHED_LABEL_BYTES: usize = 200;

/// A request to the embedder.
#[derive(Clone, Debug, PartialEq)]
pub enum TextRequest<'a> {
    /// Embeds each text. A text of over 256 tokens (about 200 words) gets the mean embedding of its windows of 256 tokens.
    /// If it has over 8 windows (about 1,500 words), 8 are used, spread evenly over it.
    Embed {
        /// Any number of texts, also empty ones.
        texts: Vec<&'a str>,
    },
    /// Scores how well each label fits the text, whose embedding is computed as for `Embed`.
    Classify {
        /// A text of any length.
        text: &'a str,
        /// The labels, which should be words that describe their meaning, such as [`DEFAULT_LABELS`].
        labels: Vec<&'a str>,
        /// Whether any number of labels may fit. Otherwise the scores add up to 1.
        multi_label: bool,
    },
    /// Chooses the sentences that summarize the text, without duplicates. Sentences are ranked by their first 64 tokens. Of a
    /// text with over 1,000 sentences, 1,000 are ranked, spread evenly over it.
    Summarize {
        /// A text of any length.
        text: &'a str,
        /// The maximum number of sentences. Without it and `ratio`, [`DEFAULT_SENTENCES`].
        max_sentences: Option<usize>,
        /// The maximum as a ratio of the text's sentences, over 0 and up to 1, rounded up. With both, the smaller number
        /// counts.
        ratio: Option<f32>,
    },
}

/// The answer to the [`TextRequest`] variant of the same name.
#[derive(Clone, Debug, PartialEq)]
pub enum TextAnswer {
    /// One embedding for each text, in their order. That of a text without words is meaningless.
    Embed(Vec<Embedding>),
    /// One score for each label, in their order, from 0 to 1. For a single label, the softmax of 20 times the cosines. For
    /// several, each label's own probability: the logistic function of its cosine.
    Classify(Vec<f32>),
    /// Sentences of the text in its order, each on one line. At least one unless the text is blank.
    Summarize(Vec<String>),
}

/// The embedder, with the operations on its embeddings. Use one per process: concurrent calls run one after another.
#[derive(Debug)]
pub struct TextModel {
    encoder: Encoder,
    /// The cached embeddings of labels.
    labels: Mutex<HashMap<String, Embedding>>,
}

impl TextModel {
    /// The version has to match `models/manifest.toml`; a test compares them.
    pub const ID: ModelId = ModelId {
        name: "all-MiniLM-L6-v2",
        version: "5e8f1812ee71",
    };

    /// Loads `models/minilm/` under `assets`, and the tokenizer unless another text model has loaded it.
    ///
    /// # Errors
    /// [`LoadError`] when a file is absent or damaged. A retry gives the same error.
    pub fn load(assets: &Path) -> Result<Self, LoadError> {
        Ok(Self {
            encoder: Encoder::load(assets, MODEL, "embedding", EMBEDDING_WIDTH)?,
            labels: Mutex::default(),
        })
    }

    /// Answers requests of all kinds: one answer for each, in their order. Blocks: do not call it on an async thread.
    ///
    /// All texts run through the model together, and equal texts only once. The other requests do not change an answer.
    ///
    /// # Errors
    /// [`ModelError::Interrupted`] once `interrupt` is triggered, before or during the run; no request
    /// has an answer then. [`ModelError::Inference`] if ONNX Runtime fails. Never [`ModelError::Input`]: any text is valid.
    pub fn run(
        &self,
        requests: &[TextRequest<'_>],
        interrupt: &Interrupt,
    ) -> Result<Vec<TextAnswer>, ModelError> {
        interrupt.check()?;
        let steps = Steps::new(interrupt);
        let mut texts = Texts::default();
        let mut plans = Vec::with_capacity(requests.len());
        for request in requests {
            plans.push(self.plan(request, &mut texts, &steps)?);
        }
        let embeddings = self.embed(&texts.tokens, interrupt)?;
        plans
            .into_iter()
            .map(|plan| self.answer(plan, &texts, &embeddings, interrupt))
            .collect()
    }

    /// Adds the texts that a request needs to `texts`, and returns their indices.
    fn plan(
        &self,
        request: &TextRequest<'_>,
        texts: &mut Texts,
        steps: &Steps<'_>,
    ) -> Result<Plan, ModelError> {
        let windows = |text: &str, texts: &mut Texts| {
            let windows = self.encoder.tokenizer.windows(text, MAX_WINDOWS, steps)?;
            Ok::<_, ModelError>(windows.into_iter().map(|ids| texts.add(ids)).collect::<Vec<_>>())
        };
        Ok(match request {
            TextRequest::Embed { texts: all } => {
                let each = all.iter().map(|text| windows(text, texts));
                Plan::Embed(each.collect::<Result<_, _>>()?)
            }
            TextRequest::Classify {
                text,
                labels,
                multi_label,
            } => Plan::Classify {
                text: windows(text, texts)?,
                labels: self.plan_labels(labels, texts, steps)?,
                multi_label: *multi_label,
            },
            TextRequest::Summarize {
                text,
                max_sentences,
                ratio,
            } => {
                let mut seen = HashSet::new();
                let mut sentences = Vec::new();
                for sentence in sentences::sentences(text, steps)? {
                    steps.take(sentence.len())?;
                    if seen.insert(sentence.clone()) {
                        sentences.push(sentence);
                    }
                }
                let count = summarize::count(sentences.len(), *max_sentences, *ratio);
                if sentences.len() > MAX_SENTENCES {
                    sentences = spread(sentences.len() - 1, MAX_SENTENCES)
                        .map(|index| std::mem::take(&mut sentences[index]))
                        .collect();
                }
                let mut indices = Vec::new();
                // A summary as long as the text needs no ranking.
                if count < sentences.len() {
                    for sentence in &sentences {
                        indices.push(texts.add(self.truncated(sentence, steps)?));
                    }
                }
                Plan::Summarize {
                    sentences,
                    indices,
                    count,
                }
            }
        })
    }

    /// The cached embeddings of labels, or the indices of the texts that they need.
    fn plan_labels(
        &self,
        labels: &[&str],
        texts: &mut Texts,
        steps: &Steps<'_>,
    ) -> Result<Vec<Label>, ModelError> {
        let cached = lock(&self.labels);
        labels
            .iter()
            .map(|label| {
                if let Some(embedding) = cached.get(*label) {
                    return Ok(Label::Cached(Box::new(*embedding)));
                }
                let mut indices = Vec::new();
                for hypothesis in classify::hypotheses(label) {
                    indices.push(texts.add(self.encoder.tokenizer.ids(&hypothesis, steps)?));
                }
                Ok(Label::New {
                    name: (*label).to_owned(),
                    indices,
                })
            })
            .collect()
    }

    /// The first tokens of a sentence, with [SEP] at the end as in the model's training.
    fn truncated(&self, sentence: &str, steps: &Steps<'_>) -> Result<Vec<i64>, ModelError> {
        let mut ids = self.encoder.tokenizer.ids(sentence, steps)?;
        if ids.len() > MAX_SENTENCE_TOKENS {
            ids.drain(MAX_SENTENCE_TOKENS - 1..ids.len() - 1);
        }
        Ok(ids)
    }

    fn embed(&self, tokens: &[Vec<i64>], interrupt: &Interrupt) -> Result<Vec<Embedding>, ModelError> {
        let values = self.encoder.run(tokens, interrupt)?;
        let (embeddings, _) = values.as_chunks();
        Ok(embeddings.to_vec())
    }

    fn answer(
        &self,
        plan: Plan,
        texts: &Texts,
        embeddings: &[Embedding],
        interrupt: &Interrupt,
    ) -> Result<TextAnswer, ModelError> {
        // Windows are weighted by their tokens, since the last one may be short.
        let mean = |windows: &[usize]| match windows {
            [window] => embeddings[*window],
            _ => mean(windows.iter().map(|&window| {
                let weight = texts.tokens[window].len() as f32;
                (&embeddings[window], weight)
            })),
        };
        Ok(match plan {
            Plan::Embed(each) => TextAnswer::Embed(each.iter().map(|windows| mean(windows)).collect()),
            Plan::Classify {
                text,
                labels,
                multi_label,
            } => {
                let text = mean(&text);
                let labels = labels
                    .into_iter()
                    .map(|label| self.label_embedding(label, embeddings));
                let cosines = labels.map(|label| cosine(&text, &label)).collect();
                TextAnswer::Classify(classify::scores(cosines, multi_label))
            }
            Plan::Summarize {
                mut sentences,
                indices,
                count,
            } => {
                if !indices.is_empty() {
                    let ranked: Vec<&Embedding> = indices.iter().map(|&index| &embeddings[index]).collect();
                    let chosen = summarize::choose(&ranked, count, interrupt)?;
                    sentences = chosen
                        .into_iter()
                        .map(|index| std::mem::take(&mut sentences[index]))
                        .collect();
                }
                TextAnswer::Summarize(sentences)
            }
        })
    }

    /// The embedding of a label. A new one is added to the cache.
    fn label_embedding(&self, label: Label, embeddings: &[Embedding]) -> Embedding {
        let (name, indices) = match label {
            Label::Cached(embedding) => return *embedding,
            Label::New { name, indices } => (name, indices),
        };
        let embedding = mean(indices.iter().map(|&index| (&embeddings[index], 1.0)));
        if name.len() <= MAX_CACHED_LABEL_BYTES {
            let mut cached = lock(&self.labels);
            // Clearing is cheap, and rare since most clients use few labels.
            if cached.len() >= MAX_CACHED_LABELS {
                cached.clear();
            }
            cached.insert(name, embedding);
        }
        embedding
    }
}

/// The texts to run, without duplicates.
#[derive(Default)]
struct Texts {
    tokens: Vec<Vec<i64>>,
    indices: HashMap<Vec<i64>, usize>,
}

impl Texts {
    /// Adds a text, and returns the index of its tokens and of its embedding.
    fn add(&mut self, ids: Vec<i64>) -> usize {
        debug_assert!((2..=MAX_TOKENS).contains(&ids.len()));
        let Self { tokens, indices } = self;
        *indices.entry(ids).or_insert_with_key(|ids| {
            tokens.push(ids.clone());
            tokens.len() - 1
        })
    }
}

enum Label {
    Cached(Box<Embedding>),
    New { name: String, indices: Vec<usize> },
}

/// A request with the indices of the texts that it needs.
enum Plan {
    Embed(Vec<Vec<usize>>),
    Classify {
        text: Vec<usize>,
        labels: Vec<Label>,
        multi_label: bool,
    },
    Summarize {
        sentences: Vec<String>,
        indices: Vec<usize>,
        count: usize,
    },
}

/// The cosine of two embeddings of length 1.
fn cosine(a: &Embedding, b: &Embedding) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The weighted mean, scaled to length 1.
fn mean<'a>(embeddings: impl Iterator<Item = (&'a Embedding, f32)>) -> Embedding {
    let mut sum = [0.0; EMBEDDING_WIDTH];
    for (embedding, weight) in embeddings {
        for (sum, value) in sum.iter_mut().zip(embedding) {
            *sum += weight * value;
        }
    }
    // The sum is 0 if the embeddings cancel each other out.
    let length = cosine(&sum, &sum).sqrt().max(f32::MIN_POSITIVE);
    sum.map(|value| value / length)
}

#[cfg(test)]
mod step_tests;
#[cfg(test)]
mod tests;
