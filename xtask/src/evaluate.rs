//! `cargo xtask models --evaluate`: measures the models through the pipelines and writes `models/QUALITY.md`.

use std::process::Command;

use anyhow::{Result, bail};
use clap::ValueEnum;

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

/// A program that has no package in a language's registry.
struct Program {
    name: &'static str,
    /// Asks it for what is needed of it.
    probe: &'static [&'static str],
    /// What its answer holds if it is whole.
    answer: &'static str,
    packages: &'static str,
}

const SPEECH: [Program; 2] = [
    Program {
        name: "espeak-ng",
        probe: &["--version"],
        answer: "eSpeak NG",
        packages: "espeak-ng",
    },
    Program {
        name: "sox",
        probe: &["--help"],
        answer: " mp3 ",
        packages: "sox libsox-fmt-mp3",
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

impl Program {
    fn check(&self) -> Result<()> {
        let output = Command::new(self.name).args(self.probe).output();
        let text = output.map(|output| [output.stdout, output.stderr].concat());
        if text.is_ok_and(|text| String::from_utf8_lossy(&text).contains(self.answer)) {
            return Ok(());
        }
        bail!(
            "{} is not there or not whole, and speech is measured with it: apt-get install {}",
            self.name,
            self.packages
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_missing_or_lacks_a_format_is_named_with_its_packages() {
        let program = |name, answer| Program {
            name,
            probe: &["hello mp3"],
            answer,
            packages: "sox libsox-fmt-mp3",
        };
        program("echo", "mp3").check().unwrap();
        for damaged in [program("echo", "flac"), program("no-such-program", "mp3")] {
            let error = damaged.check().unwrap_err().to_string();
            assert!(error.contains("apt-get install sox libsox-fmt-mp3"), "{error}");
            assert!(error.contains(damaged.name), "{error}");
        }
    }

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
