//! `cargo xtask models --evaluate`: measures the models through the pipelines and writes `models/QUALITY.md`.

use anyhow::Result;
use clap::ValueEnum;

use crate::program::Program;
use crate::tools::cargo;
use crate::venv::{FromSource, Venv};
use crate::{models, paths, process};

/// A part of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Section {
    Sentiment,
    /// Zero-shot labels and summaries
    Text,
    Faces,
    Ocr,
    Speech,
}

impl Section {
    fn name(self) -> &'static str {
        match self {
            Self::Sentiment => "sentiment",
            Self::Text => "text",
            Self::Faces => "faces",
            Self::Ocr => "ocr",
            Self::Speech => "speech",
        }
    }
}

const SPEECH_USE: &str = "speech is measured with it";

const SPEECH: [Program; 2] = [
    Program {
        name: "espeak-ng",
        probe: &["--version"],
        answer: "eSpeak NG",
        packages: "espeak-ng",
        purpose: SPEECH_USE,
    },
    Program {
        name: "sox",
        probe: &["--help"],
        answer: " mp3 ",
        packages: "sox libsox-fmt-mp3",
        purpose: SPEECH_USE,
    },
];

/// Measures everything, or one section; the others then keep what they said if their models are the same.
pub(crate) fn run(only: Option<Section>) -> Result<()> {
    if only.is_none_or(|section| section == Section::Speech) {
        for program in &SPEECH {
            program.check()?;
        }
    }
    let assets = models::ensure()?;
    let folder = paths::root().join("models/evaluate");
    let source = FromSource {
        package: "font-caladea,font-roboto,font-source-sans-pro",
        tools: folder.join("build.txt"),
        cmake: "",
    };
    let venv = Venv::from_source("evaluate", &folder.join("requirements.txt"), &source)?;
    // The dev profile compiles the pipelines and their decoders optimized, and is there already on most days.
    process::run(
        process::command(cargo()).args(["build", "--locked", "-p", "mesh-models", "--examples"]),
        "building the pipelines",
        "evaluate-build",
    )?;
    let mut command = process::command(venv.bin("python"));
    command.arg(folder.join("report.py")).arg("--assets").arg(assets);
    command.arg("--work").arg(paths::local().join("evaluate"));
    if let Some(section) = only {
        command.args(["--only", section.name()]);
    }
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    let title = only.map_or_else(
        || "measuring the models, which takes tens of minutes".to_owned(),
        |section| format!("measuring {}", section.name()),
    );
    process::run(&mut command, &title, "evaluate")?;
    println!("models/QUALITY.md holds the figures.");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_knows_every_section() {
        let report = std::fs::read_to_string(paths::root().join("models/evaluate/report.py")).unwrap();
        for section in Section::value_variants() {
            assert!(
                report.contains(&format!("\n    \"{}\": Section(", section.name())),
                "{section:?}"
            );
        }
    }
}
