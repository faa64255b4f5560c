//! Writes down what is said in sound files, a line of JSON each: `{"path", "transcript" or "error", "seconds"}`. In the
//! release profile it also measures.
//!
//!     cargo run --release -p mesh-models --example transcribe -- .local/assets base talk.flac ...

use std::path::Path;
use std::time::Instant;

use mesh_models::{Interrupt, SpeechModel, SpeechVariant};
use serde_json::json;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [assets, variant, files @ ..] = arguments.as_slice() else {
        return Err("usage: transcribe ASSETS (base | tiny.en) FILE...".into());
    };
    let variant = match variant.as_str() {
        "base" => SpeechVariant::Base,
        "tiny.en" => SpeechVariant::TinyEn,
        other => return Err(format!("there is no variant {other}: say base or tiny.en").into()),
    };
    let start = Instant::now();
    let model = SpeechModel::load(Path::new(assets), variant)?;
    eprintln!("{}: loaded in {:.3?}", model.id(), start.elapsed());
    for path in files {
        let file = std::fs::read(path)?;
        let start = Instant::now();
        let result = model.transcribe(&file, &Interrupt::new());
        let seconds = start.elapsed().as_secs_f64();
        let line = match result {
            Ok(transcript) => json!({ "path": path, "seconds": seconds, "transcript": transcript }),
            Err(error) => json!({ "path": path, "seconds": seconds, "error": error.to_string() }),
        };
        println!("{line}");
    }
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    eprintln!("peak memory {}", peak.unwrap_or("unknown").trim());
    Ok(())
}
