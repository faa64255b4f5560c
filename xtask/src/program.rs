//! Programs that only the system's package manager installs.

use std::process::Command;

use anyhow::{Result, bail};

pub(crate) struct Program {
    pub(crate) name: &'static str,
    /// Arguments with which the program describes itself.
    pub(crate) probe: &'static [&'static str],
    /// Text that the description of a complete installation contains.
    pub(crate) expected: &'static str,
    /// Debian's packages of it, separated by spaces.
    pub(crate) packages: &'static str,
    /// Why it is needed, as a clause for the error.
    pub(crate) purpose: &'static str,
}

impl Program {
    /// Fails if the program or a part of it is missing. The error says what to install.
    pub(crate) fn check(&self) -> Result<()> {
        let output = Command::new(self.name).args(self.probe).output();
        let text = output.map(|output| [output.stdout, output.stderr].concat());
        if text.is_ok_and(|text| String::from_utf8_lossy(&text).contains(self.expected)) {
            return Ok(());
        }
        bail!(
            "{} is missing or incomplete, and {}: run apt-get install {}",
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
    fn a_missing_or_incomplete_program_is_reported_with_its_packages() {
        let program = |name, expected| Program {
            name,
            probe: &["hello mp3"],
            expected,
            packages: "sox libsox-fmt-mp3",
            purpose: "the speech evaluation runs it",
        };
        program("echo", "mp3").check().unwrap();
        for incomplete in [program("echo", "flac"), program("no-such-program", "mp3")] {
            let error = incomplete.check().unwrap_err().to_string();
            assert!(error.contains("apt-get install sox libsox-fmt-mp3"), "{error}");
            assert!(error.contains("the speech evaluation runs it"), "{error}");
            assert!(error.contains(incomplete.name), "{error}");
        }
    }
}
