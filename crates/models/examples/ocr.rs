//! Reads the text in image files. Prints a line of JSON for each, with its page and the seconds that it took.
//!
//!     cargo run --release -p mesh-models --example ocr -- .local/assets page.png scan.jpg

use std::path::Path;
use std::time::Instant;

use mesh_models::{Interrupt, OcrModel};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let assets = arguments.next().ok_or("usage: ocr ASSETS IMAGE...")?;
    let start = Instant::now();
    let model = OcrModel::load(Path::new(&assets))?;
    eprintln!("loaded in {:.0?}", start.elapsed());
    for path in arguments {
        let file = std::fs::read(&path)?;
        let start = Instant::now();
        let page = model.read(&file, &Interrupt::new())?;
        let seconds = start.elapsed().as_secs_f64();
        println!(
            "{}",
            serde_json::json!({ "file": path, "seconds": seconds, "page": page })
        );
    }
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    eprintln!("peak memory {}", peak.unwrap_or("unknown").trim());
    Ok(())
}
