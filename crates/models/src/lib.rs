//! The models that AI Mesh runs itself: bytes or text in, a typed answer out. No AWS and no task in here.
//!
//! A model is loaded from a folder of assets, which `cargo xtask models` makes and each function carries beside its
//! `bootstrap`:
//!
//! ```text
//! lib/libonnxruntime.so
//! models/sentiment/model.ort  models/sentiment/tokenizer.json
//! models/centerface/model.onnx
//! ```
//!
//! Calls block for as long as the model computes, on one thread; an [`Interrupt`] ends them from outside. A panic is
//! not caught here, and leaves a model usable.
#![deny(missing_docs)]

mod error;
mod faces;
mod id;
pub mod image;
mod runtime;
mod sentiment;
#[cfg(test)]
mod testing;
mod tokenizer;

pub use error::{LoadError, ModelError};
pub use faces::{Face, FaceDetector, Point, Rect};
pub use id::ModelId;
pub use image::ImageError;
pub use runtime::{Interrupt, init};
pub use sentiment::{Sentiment, SentimentLabel, SentimentModel};
