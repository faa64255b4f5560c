//! A stack's folder: its files, and the state that is written to it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::{Kind, env};
use crate::llm::Address;
use crate::paths;

/// The stack that `up` starts without `--name`.
pub(crate) const DEFAULT_NAME: &str = "stack";

/// Folders of `.local/` that have another use.
const RESERVED: [&str; 10] = [
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

/// A stack's folder, `.local/<name>/`.
#[derive(Clone, Debug)]
pub(crate) struct StackDir {
    name: String,
}

/// What a later command needs to find the stack and to stop it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct State {
    /// An environment variable of every process of the stack. A process without it belongs to somebody else, even if
    /// its id matches.
    pub(crate) nonce: String,
    /// The process of the local cloud or of the server, the parent of the others.
    pub(crate) pid: u32,
    pub(crate) port: u16,
    #[serde(default)]
    pub(crate) kind: Kind,
    pub(crate) auth: bool,
    pub(crate) faults: bool,
    #[serde(default)]
    pub(crate) llm: Option<Address>,
    /// The API's address. Absent until the stack is deployed and healthy.
    pub(crate) url: Option<String>,
}

impl State {
    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl StackDir {
    pub(crate) fn new(name: &str) -> Result<Self> {
        let is_allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if name.is_empty() || name.len() > 32 || !name.chars().all(is_allowed) || name.starts_with('-') {
            bail!("invalid stack name `{name}`: use up to 32 lower-case letters, digits and hyphens");
        }
        if RESERVED.contains(&name) {
            bail!("invalid stack name `{name}`: .local/{name} has another use, so choose another name");
        }
        Ok(Self {
            name: name.to_owned(),
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn path(&self) -> PathBuf {
        paths::local().join(&self.name)
    }

    /// The settings that a client needs. The default stack has them directly in `.local/`, where people look first.
    pub(crate) fn env_file(&self) -> PathBuf {
        if self.name == DEFAULT_NAME {
            paths::local().join("stack.env")
        } else {
            self.path().join("stack.env")
        }
    }

    /// The settings in [`Self::env_file`].
    pub(crate) fn settings(&self) -> Result<BTreeMap<String, String>> {
        let path = self.env_file();
        let text =
            fs::read_to_string(&path).with_context(|| format!("can't read {}", paths::display(&path)))?;
        env::parse(&text)
    }

    /// Outside of the folder, which is removed with the stack.
    pub(crate) fn lock_file(&self) -> PathBuf {
        paths::local().join("locks").join(format!("stack-{}", self.name))
    }

    /// The log of the local cloud.
    pub(crate) fn log_file(&self) -> PathBuf {
        self.path().join("cloud.log")
    }

    pub(crate) fn server_log_file(&self) -> PathBuf {
        self.path().join("server.log")
    }

    /// The data folder of the server.
    pub(crate) fn data_dir(&self) -> PathBuf {
        self.path().join("data")
    }

    /// The server's program. A copy, since a later build replaces the original while the server runs.
    pub(crate) fn program_file(&self) -> PathBuf {
        self.path().join("mesh-server")
    }

    pub(crate) fn llm_log_file(&self) -> PathBuf {
        self.path().join("llm.log")
    }

    pub(crate) fn token_file(&self) -> PathBuf {
        self.path().join("token")
    }

    /// The folder for the local cloud's data.
    pub(crate) fn cloud_dir(&self) -> PathBuf {
        self.path().join("cloud")
    }

    pub(crate) fn down_command(&self) -> String {
        if self.name == DEFAULT_NAME {
            "cargo xtask down".to_owned()
        } else {
            format!("cargo xtask down --name {}", self.name)
        }
    }

    /// The state that was written, if any. An invalid file counts as no state, since no stack can be found with it.
    pub(crate) fn state(&self) -> Result<Option<State>> {
        let path = self.state_file();
        if !path.exists() {
            return Ok(None);
        }
        let text =
            fs::read_to_string(&path).with_context(|| format!("can't read {}", paths::display(&path)))?;
        Ok(serde_json::from_str(&text).ok())
    }

    pub(crate) fn write_state(&self, state: &State) -> Result<()> {
        self.write_private(&self.state_file(), &serde_json::to_string_pretty(state)?)
    }

    /// Atomically writes a file that only its owner may read.
    pub(crate) fn write_private(&self, path: &Path, text: &str) -> Result<()> {
        fs::create_dir_all(self.path())?;
        write_private(path, text).with_context(|| format!("can't write {}", paths::display(path)))
    }

    fn state_file(&self) -> PathBuf {
        self.path().join("state.json")
    }
}

fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let fresh = path.with_extension("new");
    // A killed command may have left one with another mode.
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
    getrandom::fill(&mut bytes).context("can't read random bytes from the system")?;
    Ok(hex::encode(bytes))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_stack_name_is_a_plain_folder_name_without_another_use() {
        for valid in ["stack", "test", "test-auth", "a1"] {
            StackDir::new(valid).unwrap();
        }
        for invalid in [
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
            assert!(StackDir::new(invalid).is_err(), "{invalid}");
        }
    }

    #[test]
    fn only_the_owner_can_read_private_files() {
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
