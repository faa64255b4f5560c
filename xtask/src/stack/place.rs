//! Where a stack keeps its files, and what is written down about it.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::llm::Address;
use crate::paths;

/// The name of the stack that `up` starts when none is given.
pub(crate) const DEFAULT_NAME: &str = "stack";

/// Folders of `.local/` that are no stack's.
const TAKEN: [&str; 10] = [
    "assets",
    "build",
    "clients",
    "evaluate",
    "load-bench",
    "locks",
    "logs",
    "matplotlib",
    "release",
    "web",
];

/// A stack's folder, `.local/<name>/`, and what lies in it.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    name: String,
}

/// What must be known to find a stack again and to end it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct State {
    /// Carried by every process of the stack in its environment: a process without it is not ours, whatever its id.
    pub(crate) nonce: String,
    /// The local cloud's process, which the others descend from.
    pub(crate) pid: u32,
    pub(crate) port: u16,
    pub(crate) auth: bool,
    pub(crate) faults: bool,
    /// The language model, where there is one.
    #[serde(default)]
    pub(crate) llm: Option<Address>,
    /// The API's address; set when the stack is deployed and checked.
    pub(crate) url: Option<String>,
}

impl State {
    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Place {
    pub(crate) fn named(name: &str) -> Result<Self> {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if name.is_empty() || name.len() > 32 || !name.chars().all(fits) || name.starts_with('-') {
            bail!("`{name}` can't name a stack: take up to 32 small letters, digits and hyphens");
        }
        if TAKEN.contains(&name) {
            bail!("`{name}` can't name a stack: .local/{name} has another use");
        }
        Ok(Self {
            name: name.to_owned(),
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn dir(&self) -> PathBuf {
        paths::local().join(&self.name)
    }

    /// The settings that a client needs. The default stack's lie where anyone would look first.
    pub(crate) fn env(&self) -> PathBuf {
        if self.name == DEFAULT_NAME {
            paths::local().join("stack.env")
        } else {
            self.dir().join("stack.env")
        }
    }

    /// Outside the folder, which comes and goes.
    pub(crate) fn lock(&self) -> PathBuf {
        paths::local().join("locks").join(format!("stack-{}", self.name))
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.dir().join("cloud.log")
    }

    pub(crate) fn llm_log(&self) -> PathBuf {
        self.dir().join("llm.log")
    }

    pub(crate) fn token(&self) -> PathBuf {
        self.dir().join("token")
    }

    /// The local cloud's own folder.
    pub(crate) fn cloud(&self) -> PathBuf {
        self.dir().join("cloud")
    }

    pub(crate) fn down_command(&self) -> String {
        if self.name == DEFAULT_NAME {
            "cargo xtask down".to_owned()
        } else {
            format!("cargo xtask down --name {}", self.name)
        }
    }

    /// What is written down, if anything is. A file that can't be read as such counts as nothing: its stack can't be
    /// found by it anyway.
    pub(crate) fn state(&self) -> Result<Option<State>> {
        let path = self.state_file();
        if !path.exists() {
            return Ok(None);
        }
        let text =
            fs::read_to_string(&path).with_context(|| format!("can't read {}", paths::shown(&path)))?;
        Ok(serde_json::from_str(&text).ok())
    }

    pub(crate) fn write_state(&self, state: &State) -> Result<()> {
        self.write_private(&self.state_file(), &serde_json::to_string_pretty(state)?)
    }

    /// Writes a file that only its owner may read, whole or not at all.
    pub(crate) fn write_private(&self, path: &Path, text: &str) -> Result<()> {
        fs::create_dir_all(self.dir())?;
        write_private(path, text).with_context(|| format!("can't write {}", paths::shown(path)))
    }

    fn state_file(&self) -> PathBuf {
        self.dir().join("state.json")
    }
}

fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let fresh = path.with_extension("new");
    // One left by a killed command may have another mode.
    if fresh.exists() {
        fs::remove_file(&fresh)?;
    }
    let mut file = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&fresh)?;
    file.write_all(text.as_bytes())?;
    fs::rename(&fresh, path)
}

/// 256 random bits in hex.
pub(crate) fn make_token() -> Result<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).context("the system has no randomness")?;
    Ok(hex::encode(bytes))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_stack_s_name_is_a_plain_folder_of_its_own() {
        for good in ["stack", "test", "test-auth", "a1"] {
            Place::named(good).unwrap();
        }
        for bad in [
            "",
            "../x",
            "a/b",
            "Stack",
            "-x",
            "assets",
            "logs",
            "a b",
            &"a".repeat(33),
        ] {
            assert!(Place::named(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn private_files_are_for_their_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        write_private(&path, "one").unwrap();
        write_private(&path, "two").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn tokens_differ() {
        assert_ne!(make_token().unwrap(), make_token().unwrap());
        assert_eq!(make_token().unwrap().len(), 64);
    }
}
