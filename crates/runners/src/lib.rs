//! What the workers with bundled models do with their tasks.

mod audio;
mod image;
mod text;

pub use audio::AudioRunner;
pub use image::ImageRunner;
pub use text::TextRunner;
