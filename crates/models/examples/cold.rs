//! What a cold start of a worker costs, from an empty process to its first answer: run it in the release profile,
//! a few times, since the first run also reads the files from disk.
//!
//!     cargo run --release -p mesh-models --example cold -- .local/assets "What a lovely day!"
//!     cargo run --release -p mesh-models --example cold -- .local/assets photo.jpg

use std::path::Path;
use std::time::Instant;

use mesh_models::{FaceDetector, Interrupt, SentimentModel};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, assets, input] = arguments.as_slice() else {
        return Err("usage: cold ASSETS (TEXT | IMAGE FILE)".into());
    };
    let (assets, interrupt) = (Path::new(assets), Interrupt::new());

    let start = Instant::now();
    mesh_models::init(assets)?;
    let library = start.elapsed();
    if Path::new(input).is_file() {
        let detector = FaceDetector::load(assets)?;
        let loaded = start.elapsed();
        let faces = detector.detect(&std::fs::read(input)?, &interrupt)?;
        println!(
            "{} faces; library {library:.1?}, model {:.1?}, first answer {:.1?}",
            faces.len(),
            loaded - library,
            start.elapsed() - loaded
        );
        println!("{}", serde_json::to_string_pretty(&faces)?);
    } else {
        let model = SentimentModel::load(assets)?;
        let loaded = start.elapsed();
        let sentiment = model.classify(&[input], &interrupt)?;
        println!(
            "{sentiment:?}; library {library:.1?}, model and tokenizer {:.1?}, first answer {:.1?}",
            loaded - library,
            start.elapsed() - loaded
        );
    }
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap_or("unknown")
        .trim();
    println!("{:.1?} in all, peak memory {peak}", start.elapsed());
    Ok(())
}
