//! Throughput of the sentiment model on one thread in texts a second, beside Python's onnxruntime with the same file.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use mesh_models::{Interrupt, SentimentModel};

use crate::{Args, median};

const BATCHES: [usize; 3] = [1, 8, 32];
/// The two sides take turns, so that changes of the machine's load affect both.
const ROUNDS: usize = 5;
/// The duration of one measurement.
const TIME: Duration = Duration::from_secs(2);

/// Texts a second, by batch size.
type Rates = BTreeMap<usize, Vec<f64>>;

/// With `quick`, one round of short measurements.
pub(crate) fn report(args: &Args, python: &Path, quick: bool) -> Result<()> {
    let (rounds, time) = if quick { (1, TIME / 20) } else { (ROUNDS, TIME) };
    let model = SentimentModel::load(&args.assets)?;
    let texts = std::fs::read_to_string(args.bench.join("texts.txt"))?;
    let texts: Vec<_> = texts.lines().collect();
    let (mut ours, mut theirs) = (Rates::new(), Rates::new());
    for _ in 0..rounds {
        for batch in BATCHES {
            ours.entry(batch)
                .or_default()
                .push(rate(&model, &texts, batch, time)?);
        }
        for (batch, rate) in peer(args, python, time)? {
            theirs.entry(batch).or_default().push(rate);
        }
    }
    println!("sentiment, texts/s on one thread (median of {rounds})   batch 1   batch 8  batch 32");
    let medians = |rates: Rates| rates.into_values().map(median).collect::<Vec<_>>();
    let (ours, theirs) = (medians(ours), medians(theirs));
    let ratio: Vec<_> = ours
        .iter()
        .zip(&theirs)
        .map(|(ours, theirs)| ours / theirs)
        .collect();
    line("mesh-models", &ours, 0);
    line("Python onnxruntime and tokenizers", &theirs, 0);
    line("ratio", &ratio, 2);
    Ok(())
}

fn line(what: &str, values: &[f64], digits: usize) {
    let values: String = values
        .iter()
        .map(|value| format!("{value:>10.digits$}"))
        .collect();
    println!("{what:<49}{values}");
}

fn rate(model: &SentimentModel, texts: &[&str], batch: usize, time: Duration) -> Result<f64> {
    let work: Vec<_> = texts.iter().copied().cycle().take(batch).collect();
    let interrupt = Interrupt::new();
    model.classify(&work, &interrupt)?;
    let (mut runs, start) = (0, Instant::now());
    while start.elapsed() < time {
        ensure!(
            model.classify(&work, &interrupt)?.len() == batch,
            "the model returned too few results"
        );
        runs += 1;
    }
    Ok((runs * batch) as f64 / start.elapsed().as_secs_f64())
}

fn peer(args: &Args, python: &Path, time: Duration) -> Result<BTreeMap<usize, f64>> {
    let output = Command::new(python)
        .arg(args.bench.join("peer.py"))
        .args([
            "throughput".as_ref(),
            args.assets.as_os_str(),
            args.bench.join("texts.txt").as_os_str(),
        ])
        .arg(time.as_secs_f64().to_string())
        .output()
        .context("can't start Python")?;
    ensure!(
        output.status.success(),
        "Python failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(serde_json::from_slice(&output.stdout)?)
}
