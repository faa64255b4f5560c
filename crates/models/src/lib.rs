//! The models that AI Mesh runs itself: bytes or text in, a typed answer out. This crate depends on neither AWS nor tasks.
//!
//! A model is loaded from a folder of assets, which `cargo xtask models` builds. Each function has it next to its
//! `bootstrap`:
//!
//! ```text
//! lib/libonnxruntime.so
//! models/sentiment/model.ort
//! models/minilm/model.ort  models/minilm/tokenizer.json   (the tokenizer of both text models)
//! models/centerface/model.onnx
//! models/whisper/{base,tiny.en}/{encoder.ort,decoder.ort,vocabulary.json}
//! models/ocr/det.onnx  models/ocr/cls.onnx  models/ocr/rec.onnx  models/ocr/characters.txt
//! ```
//!
//! A call blocks one thread until the model is done. An [`Interrupt`] ends it from another thread. A model stays usable
//! after a panic, which this crate does not catch.
#![deny(missing_docs)]

mod contain;
mod encoder;
mod error;
mod excerpt;
mod faces;
mod geometry;
mod id;
pub mod image;
mod normalize;
mod ocr;
mod runtime;
mod sentiment;
mod source;
pub mod speech;
mod steps;
#[cfg(test)]
mod testing;
mod text;
mod tokenizer;
mod unicode;

pub use error::{InputError, LoadError, ModelError};
pub use faces::{Face, FaceDetector};
pub use geometry::{Point, Rect};
pub use id::ModelId;
pub use image::ImageError;
pub use normalize::normalize;
pub use ocr::{Line, OcrModel, Page};
pub use runtime::{Interrupt, init};
pub use sentiment::{Sentiment, SentimentLabel, SentimentModel};
pub use speech::{AudioError, Segment, SpeechModel, SpeechVariant, Transcript, UnknownSpeechVariant};
pub use steps::Steps;
pub use text::{
    DEFAULT_LABELS, DEFAULT_SENTENCES, EMBEDDING_WIDTH, Embedding, TextAnswer, TextModel, TextRequest,
    sentences,
};
