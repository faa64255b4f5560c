//! Programs that have no package in a language's registry, so that the system's package manager must bring them.

use std::process::Command;

use anyhow::{Result, bail};

pub(crate) struct Program {
    pub(crate) name: &'static str,
    /// Asks it for what is needed of it.
    pub(crate) probe: &'static [&'static str],
    /// What its answer holds if it is whole.
    pub(crate) answer: &'static str,
    pub(crate) packages: &'static str,
    /// What it is for here.
    pub(crate) purpose: &'static str,
}

impl Program {
    /// Fails with what to install when it is missing or lacks something.
    pub(crate) fn check(&self) -> Result<()> {
        let output = Command::new(self.name).args(self.probe).output();
        let text = output.map(|output| [output.stdout, output.stderr].concat());
        if text.is_ok_and(|text| String::from_utf8_lossy(&text).contains(self.answer)) {
            return Ok(());
        }
        bail!(
            "{} is not there or not whole, and {}: apt-get install {}",
            self.name,
            self.purpose,
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
            purpose: "speech is measured with it",
        };
        program("echo", "mp3").check().unwrap();
        for damaged in [program("echo", "flac"), program("no-such-program", "mp3")] {
            let error = damaged.check().unwrap_err().to_string();
            assert!(error.contains("apt-get install sox libsox-fmt-mp3"), "{error}");
            assert!(error.contains("speech is measured"), "{error}");
            assert!(error.contains(damaged.name), "{error}");
        }
    }
}
