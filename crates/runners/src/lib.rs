//! What the workers do with their tasks.

#[cfg(feature = "onnx")]
mod audio;
#[cfg(feature = "onnx")]
mod image;
#[cfg(feature = "language")]
mod language;
#[cfg(feature = "onnx")]
mod text;

#[cfg(feature = "onnx")]
pub use audio::AudioRunner;
#[cfg(feature = "onnx")]
pub use image::ImageRunner;
#[cfg(feature = "language")]
pub use language::{LanguageRunner, ProviderSource, misconfigured};
#[cfg(feature = "onnx")]
pub use text::TextRunner;
