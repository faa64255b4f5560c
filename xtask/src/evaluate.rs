//! `cargo xtask models --evaluate`: evaluates the models in their pipelines and writes `models/QUALITY.md`.

use anyhow::Result;
use clap::ValueEnum;

use crate::program::Program;
use crate::tools::cargo;
use crate::venv::{FromSource, Venv};
use crate::{models, paths, process};

/// A section of the report.
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

const SPEECH_PURPOSE: &str = "the speech evaluation runs it";

const SPEECH_PROGRAMS: [Program; 2] = [
    Program {
        name: "espeak-ng",
        probe: &["--version"],
        expected: "eSpeak NG",
        packages: "espeak-ng",
        purpose: SPEECH_PURPOSE,
    },
    Program {
        name: "sox",
        probe: &["--help"],
        expected: " mp3 ",
        packages: "sox libsox-fmt-mp3",
        purpose: SPEECH_PURPOSE,
    },
];

/// Evaluates everything, or one section. The other sections keep their figures if their models are unchanged.
pub(crate) fn run(only: Option<Section>) -> Result<()> {
    if only.is_none_or(|section| section == Section::Speech) {
        for program in &SPEECH_PROGRAMS {
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
    // The dev profile optimizes the pipelines and their decoders, and is usually built already.
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
        || "evaluating the models, which takes tens of minutes".to_owned(),
        |section| format!("evaluating {}", section.name()),
    );
    process::run(&mut command, &title, "evaluate")?;
    println!("The figures are in models/QUALITY.md.");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_has_every_section() {
        let report = std::fs::read_to_string(paths::root().join("models/evaluate/report.py")).unwrap();
        for section in Section::value_variants() {
            assert!(
                report.contains(&format!("\n    \"{}\": Section(", section.name())),
                "{section:?}"
            );
        }
    }
}
