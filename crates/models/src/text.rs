//! What the embedder tells of English texts: their embeddings, which labels fit them, and which of their sentences sum
//! them up. The model is all-MiniLM-L6-v2 (Reimers and Gurevych, 2019, <https://arxiv.org/abs/1908.10084>; its output
//! `embedding` is float32 `[batch, 384]`, of length 1), loaded once for all three.

mod classify;
mod sentences;
mod summarize;

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Mutex;

use crate::encoder::{Encoder, MAX_TOKENS};
use crate::runtime::lock;
use crate::tokenizer::spread;
use crate::{Interrupt, LoadError, ModelError, ModelId};
pub use classify::DEFAULT_LABELS;
pub use summarize::DEFAULT_SENTENCES;

const MODEL: &str = "models/minilm/model.ort";

/// Values in an embedding.
pub const EMBEDDING_WIDTH: usize = 384;
/// A text's place in the space of meanings: a vector of length 1, so that the product of two is their cosine.
pub type Embedding = [f32; EMBEDDING_WIDTH];

/// Most windows of 256 tokens that are read of one text, some 1,500 words. A window takes about 30 ms, so that 64 long
/// texts take some 15 seconds.
const MAX_WINDOWS: usize = 8;
/// Most sentences of a text that may enter its summary, and the tokens that are read of each: most sentences have 15 to
/// 40. A book of 1 MB takes 2 seconds, one without punctuation 7.
const MAX_SENTENCES: usize = 1000;
const MAX_SENTENCE_TOKENS: usize = 64;
/// Labels whose embeddings are kept from run to run, 1.5 kB each: clients mostly ask for the same ones.
const KEPT_LABELS: usize = 1000;
/// In bytes; longer labels are embedded anew each time.
const MAX_KEPT_LABEL: usize = 200;

/// What is asked of a text.
#[derive(Clone, Debug, PartialEq)]
pub enum TextRequest<'a> {
    /// The embedding of each text. Of one with over 256 tokens (some 200 words) it is the mean of its windows', each of
    /// 256 tokens; of one with over 8 windows (some 1,500 words), of 8 spread evenly over it.
    Embed {
        /// The texts.
        texts: Vec<&'a str>,
    },
    /// How well each label fits the text, which is read as for an embedding.
    Classify {
        /// The text.
        text: &'a str,
        /// The labels, in words that say what they mean; [`DEFAULT_LABELS`] when the client names none.
        labels: Vec<&'a str>,
        /// Whether several labels may fit, or none. Otherwise the scores are shares of 1.
        multi_label: bool,
    },
    /// The sentences that sum up the text, none of them twice. Of a text with over 1,000 sentences, 1,000 spread evenly
    /// over it are weighed, by their first 64 tokens each; the summary has no more.
    Summarize {
        /// The text.
        text: &'a str,
        /// Most sentences of the summary. With neither this nor a ratio, [`DEFAULT_SENTENCES`].
        max_sentences: Option<usize>,
        /// Most sentences as a share of the text's, over 0 and up to 1, rounded up. With both, the lesser number counts.
        ratio: Option<f32>,
    },
}

/// The answer to the [`TextRequest`] of the same name.
#[derive(Clone, Debug, PartialEq)]
pub enum TextAnswer {
    /// One embedding for each text, in their order. That of a text without a word means nothing.
    Embed(Vec<Embedding>),
    /// One score for each label, in their order, from 0 to 1. Single label: softmax of 20 times the cosines. Several:
    /// each label's probability for itself, the logistic of its cosine.
    Classify(Vec<f32>),
    /// Sentences of the text in its order, each on one line. At least one, unless the text is blank.
    Summarize(Vec<String>),
}

/// The embedder and what is made of it. Share one per process; calls from several threads take turns.
#[derive(Debug)]
pub struct TextModel {
    encoder: Encoder,
    /// The embeddings of labels that were asked for before.
    labels: Mutex<HashMap<String, Embedding>>,
}

impl TextModel {
    /// Changes with `models/manifest.toml`.
    pub const ID: ModelId = ModelId {
        name: "all-MiniLM-L6-v2",
        version: "5e8f1812ee71",
    };

    /// Loads `models/minilm/` under `assets`; the tokenizer is not read again if another text model holds it already.
    ///
    /// # Errors
    /// [`LoadError`] when a file is absent or damaged; never because of load or of anything that passes.
    pub fn load(assets: &Path) -> Result<Self, LoadError> {
        Ok(Self {
            encoder: Encoder::load(assets, MODEL, "embedding", EMBEDDING_WIDTH)?,
            labels: Mutex::default(),
        })
    }

    /// Answers requests of all kinds, in their order, one answer for each. Blocks; call it off the async threads.
    ///
    /// All go through the model together, the same text only once, and the company a request comes in does not change
    /// its answer.
    ///
    /// # Errors
    /// [`ModelError::Interrupted`] once `interrupt` is triggered, before or during the run: then there are no answers
    /// at all. [`ModelError::Inference`] if ONNX Runtime fails. Never [`ModelError::Input`]: any text is valid.
    pub fn run(
        &self,
        requests: &[TextRequest<'_>],
        interrupt: &Interrupt,
    ) -> Result<Vec<TextAnswer>, ModelError> {
        interrupt.check()?;
        let mut texts = Texts::default();
        let mut plans = Vec::with_capacity(requests.len());
        for request in requests {
            plans.push(self.plan(request, &mut texts, interrupt)?);
        }
        let embeddings = self.embed(&texts.tokens, interrupt)?;
        plans
            .into_iter()
            .map(|plan| self.answer(plan, &texts, &embeddings, interrupt))
            .collect()
    }

    /// What is to be run for a request, added to `texts`.
    fn plan(
        &self,
        request: &TextRequest<'_>,
        texts: &mut Texts,
        interrupt: &Interrupt,
    ) -> Result<Plan, ModelError> {
        let windows = |text: &str, texts: &mut Texts| {
            interrupt.check()?;
            let windows = self.encoder.tokenizer.windows(text, MAX_WINDOWS)?;
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
                labels: self.plan_labels(labels, texts)?,
                multi_label: *multi_label,
            },
            TextRequest::Summarize {
                text,
                max_sentences,
                ratio,
            } => {
                let mut sentences = sentences::sentences(text);
                let mut seen = HashSet::new();
                sentences.retain(|sentence| seen.insert(sentence.clone()));
                let count = summarize::count(sentences.len(), *max_sentences, *ratio);
                if sentences.len() > MAX_SENTENCES {
                    sentences = spread(sentences.len() - 1, MAX_SENTENCES)
                        .map(|index| std::mem::take(&mut sentences[index]))
                        .collect();
                }
                let mut places = Vec::new();
                // A summary as long as the text needs no choice.
                if count < sentences.len() {
                    for sentence in &sentences {
                        interrupt.check()?;
                        places.push(texts.add(self.beginning(sentence)?));
                    }
                }
                Plan::Summarize {
                    sentences,
                    places,
                    count,
                }
            }
        })
    }

    /// The labels' embeddings, or where they will be.
    fn plan_labels(&self, labels: &[&str], texts: &mut Texts) -> Result<Vec<Label>, ModelError> {
        let kept = lock(&self.labels);
        labels
            .iter()
            .map(|label| {
                if let Some(embedding) = kept.get(*label) {
                    return Ok(Label::Known(Box::new(*embedding)));
                }
                let mut places = Vec::new();
                for hypothesis in classify::hypotheses(label) {
                    places.push(texts.add(self.encoder.tokenizer.ids(&hypothesis)?));
                }
                Ok(Label::New {
                    name: (*label).to_owned(),
                    places,
                })
            })
            .collect()
    }

    /// A sentence's first tokens, closed with [SEP] as the model knows it.
    fn beginning(&self, sentence: &str) -> Result<Vec<i64>, ModelError> {
        let mut ids = self.encoder.tokenizer.ids(sentence)?;
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
        // A window counts by its tokens: the last one may be short.
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
                let labels = labels.into_iter().map(|label| self.known(label, embeddings));
                let cosines = labels.map(|label| cosine(&text, &label)).collect();
                TextAnswer::Classify(classify::scores(cosines, multi_label))
            }
            Plan::Summarize {
                mut sentences,
                places,
                count,
            } => {
                if !places.is_empty() {
                    let weighed: Vec<&Embedding> = places.iter().map(|&place| &embeddings[place]).collect();
                    let chosen = summarize::choose(&weighed, count, interrupt)?;
                    sentences = chosen
                        .into_iter()
                        .map(|index| std::mem::take(&mut sentences[index]))
                        .collect();
                }
                TextAnswer::Summarize(sentences)
            }
        })
    }

    /// The embedding of a label, kept for later runs if it was new.
    fn known(&self, label: Label, embeddings: &[Embedding]) -> Embedding {
        let (name, places) = match label {
            Label::Known(embedding) => return *embedding,
            Label::New { name, places } => (name, places),
        };
        let embedding = mean(places.iter().map(|&place| (&embeddings[place], 1.0)));
        if name.len() <= MAX_KEPT_LABEL {
            let mut kept = lock(&self.labels);
            // Beginning anew is cheap, and seldom: most clients keep to a few labels.
            if kept.len() >= KEPT_LABELS {
                kept.clear();
            }
            kept.insert(name, embedding);
        }
        embedding
    }
}

/// What is to be run, each text once.
#[derive(Default)]
struct Texts {
    tokens: Vec<Vec<i64>>,
    places: HashMap<Vec<i64>, usize>,
}

impl Texts {
    /// The place of the text, and later of its embedding.
    fn add(&mut self, ids: Vec<i64>) -> usize {
        debug_assert!((2..=MAX_TOKENS).contains(&ids.len()));
        let Self { tokens, places } = self;
        *places.entry(ids).or_insert_with_key(|ids| {
            tokens.push(ids.clone());
            tokens.len() - 1
        })
    }
}

enum Label {
    Known(Box<Embedding>),
    New { name: String, places: Vec<usize> },
}

/// A request with the places of what it needs among the texts that are run.
enum Plan {
    Embed(Vec<Vec<usize>>),
    Classify {
        text: Vec<usize>,
        labels: Vec<Label>,
        multi_label: bool,
    },
    Summarize {
        sentences: Vec<String>,
        places: Vec<usize>,
        count: usize,
    },
}

/// Of embeddings of length 1.
fn cosine(one: &Embedding, other: &Embedding) -> f32 {
    one.iter().zip(other).map(|(a, b)| a * b).sum()
}

/// The weighted mean, brought to length 1.
fn mean<'a>(embeddings: impl Iterator<Item = (&'a Embedding, f32)>) -> Embedding {
    let mut sum = [0.0; EMBEDDING_WIDTH];
    for (embedding, weight) in embeddings {
        for (sum, value) in sum.iter_mut().zip(embedding) {
            *sum += weight * value;
        }
    }
    // Texts that cancel each other out leave nothing to scale.
    let length = cosine(&sum, &sum).sqrt().max(f32::MIN_POSITIVE);
    sum.map(|value| value / length)
}

#[cfg(test)]
mod tests;
