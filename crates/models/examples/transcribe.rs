//! Transcribes audio files. Prints a line of JSON for each: `{"path", "transcript" or "error", "seconds", "cpu_seconds"}`. On a
//! busy machine, `cpu_seconds` is the time that an idle one would take.
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
        other => return Err(format!("unknown variant {other}: expected base or tiny.en").into()),
    };
    let start = Instant::now();
    let model = SpeechModel::load(Path::new(assets), variant)?;
    eprintln!("{}: loaded in {:.3?}", model.id(), start.elapsed());
    for path in files {
        let file = std::fs::read(path)?;
        let (start, spent) = (Instant::now(), cpu_seconds()?);
        let result = model.transcribe(&file, &Interrupt::new());
        let mut line = json!({
            "path": path,
            "seconds": start.elapsed().as_secs_f64(),
            "cpu_seconds": cpu_seconds()? - spent,
        });
        match result {
            Ok(transcript) => line["transcript"] = json!(transcript),
            Err(error) => line["error"] = json!(error.to_string()),
        }
        println!("{line}");
    }
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    eprintln!("peak memory {}", peak.unwrap_or("unknown").trim());
    Ok(())
}

/// The processor time of this thread, which does all the work: proc(5), schedstat.
fn cpu_seconds() -> Result<f64, Box<dyn std::error::Error>> {
    let schedule = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanoseconds: f64 = schedule.split(' ').next().unwrap_or_default().parse()?;
    Ok(nanoseconds / 1e9)
}
