//! Measures the cold start of a worker, from an empty process to its first answer. Run it in the release profile, several
//! times, since the first run also reads the files from disk.
//!
//!     cargo run --release -p mesh-models --example cold -- .local/assets "What a lovely day!"
//!     cargo run --release -p mesh-models --example cold -- .local/assets photo.jpg
//!     cargo run --release -p mesh-models --example cold -- .local/assets embed
//!
//! `embed` loads the embedder after the sentiment model, as the text worker does for the first task that needs it. Then it times
//! batches of texts of 17 tokens.

use std::path::Path;
use std::time::{Duration, Instant};

use mesh_models::{FaceDetector, Interrupt, SentimentModel, TextModel, TextRequest};

const BATCHES: [usize; 3] = [1, 8, 32];
const RUNS: usize = 30;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, assets, input] = arguments.as_slice() else {
        return Err("usage: cold ASSETS (TEXT | IMAGE FILE | embed)".into());
    };
    let (assets, interrupt) = (Path::new(assets), Interrupt::new());

    let start = Instant::now();
    mesh_models::init(assets)?;
    let library = start.elapsed();
    if input == "embed" {
        embed(assets, &interrupt)?;
    } else if Path::new(input).is_file() {
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
    println!("{:.1?} in total, peak memory {}", start.elapsed(), peak_memory()?);
    Ok(())
}

fn peak_memory() -> Result<String, std::io::Error> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    Ok(peak.unwrap_or("unknown").trim().to_owned())
}

fn embed(assets: &Path, interrupt: &Interrupt) -> Result<(), Box<dyn std::error::Error>> {
    let start = Instant::now();
    let sentiment = SentimentModel::load(assets)?;
    sentiment.classify(&["What a lovely day!"], interrupt)?;
    println!(
        "sentiment model loaded and used in {:.1?}, peak memory {}",
        start.elapsed(),
        peak_memory()?
    );
    let start = Instant::now();
    let model = TextModel::load(assets)?;
    println!(
        "embedder loaded in {:.1?}, peak memory {}",
        start.elapsed(),
        peak_memory()?
    );
    for batch in BATCHES {
        let texts: Vec<String> = (0..batch)
            .map(|n| {
                format!("The {n}th parcel was left in the rain by the courier, who did not ring at all.")
            })
            .collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let mut fastest = Duration::MAX;
        for _ in 0..RUNS {
            let start = Instant::now();
            model.run(&[TextRequest::Embed { texts: texts.clone() }], interrupt)?;
            fastest = fastest.min(start.elapsed());
        }
        println!("{batch:2} texts: {fastest:.1?}, fastest of {RUNS}");
    }
    Ok(())
}
