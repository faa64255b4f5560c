//! Python environments for tools that are Python packages, pinned by version and hash.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::cache;
use crate::hash::{self, Key};
use crate::process;

/// The oldest supported Python.
const MIN_VERSION: (u32, u32) = (3, 10);

/// Prints the version, then fails if Python can't make an environment. Debian packages `ensurepip` separately.
const PROBE: &str = "import sys; print(*sys.version_info[:3], sys.base_prefix); import venv, ensurepip";

#[derive(Clone, Debug)]
pub(crate) struct Venv {
    dir: PathBuf,
}

/// A package without a binary distribution, which is built on this machine.
#[derive(Debug)]
pub(crate) struct FromSource {
    pub(crate) package: &'static str,
    /// The requirements file of its build tools.
    pub(crate) tools: PathBuf,
    /// Options for CMake.
    pub(crate) cmake: &'static str,
}

impl Venv {
    /// The environment with exactly the packages of a requirements file, which lists a hash for each.
    pub(crate) fn ensure(name: &str, requirements: &Path) -> Result<Self> {
        let key = [("requirements", digest(requirements)?)];
        Self::make(name, &key, |dir| install(dir, name, requirements, |_| ()))
    }

    /// Like [`Self::ensure`], with one of the packages built from source.
    pub(crate) fn from_source(name: &str, requirements: &Path, source: &FromSource) -> Result<Self> {
        let key = [
            ("requirements", digest(requirements)?),
            ("build", digest(&source.tools)?),
            ("cmake", source.cmake.to_owned()),
        ];
        Self::make(name, &key, |dir| {
            install(dir, &format!("{name}-build"), &source.tools, |_| ())?;
            // Without build isolation pip uses the pinned build tools. Otherwise it would fetch others.
            install(dir, name, requirements, |command| {
                command
                    .arg(format!("--no-binary={}", source.package))
                    .arg("--no-build-isolation")
                    .env("CMAKE_ARGS", source.cmake);
            })
            .with_context(|| format!("can't build {} from source", source.package))
        })
    }

    /// The path of a program of the environment.
    pub(crate) fn bin(&self, tool: &str) -> PathBuf {
        self.dir.join("bin").join(tool)
    }

    /// The folder of the environment's programs, for a PATH.
    pub(crate) fn bin_dir(&self) -> PathBuf {
        self.dir.join("bin")
    }

    fn make(name: &str, inputs: &[(&str, String)], fill: impl FnOnce(&Path) -> Result<()>) -> Result<Self> {
        let python = Python::find()?;
        let key = key(&python, inputs);
        let kind = format!("venv-{name}");
        // An upgrade may have removed the interpreter that the environment links to.
        if let Some(dir) = cache::existing(&kind, &key)?
            && !dir.join("bin/python").exists()
        {
            cache::invalidate(&dir)?;
        }
        let dir = cache::entry(&kind, &key, |dir| {
            let title = format!("making the Python environment `{name}`");
            process::run(
                process::command(&python.program).args(["-m", "venv"]).arg(dir),
                &title,
                &format!("venv-{name}"),
            )?;
            fill(dir)
        })?;
        Ok(Self { dir })
    }
}

fn digest(requirements: &Path) -> Result<String> {
    let text = fs::read(requirements).with_context(|| format!("can't read {}", requirements.display()))?;
    Ok(hash::bytes(&text))
}

/// Installs a requirements file. It lists all indirect dependencies too, so pip has nothing to resolve.
fn install(dir: &Path, name: &str, requirements: &Path, options: impl FnOnce(&mut Command)) -> Result<()> {
    let mut command = pip(&dir.join("bin/python"))?;
    command.args(["install", "--no-deps", "--require-hashes", "--only-binary=:all:"]);
    options(&mut command);
    command.arg("--requirement").arg(requirements);
    process::run(
        &mut command,
        &format!("installing the packages of `{name}`"),
        &format!("venv-{name}-packages"),
    )
    .with_context(|| {
        format!(
            "can't install the packages of {}: is the network up?",
            requirements.display()
        )
    })?;
    Ok(())
}

/// A pip command that caches its downloads in our cache and never prompts.
pub(crate) fn pip(python: &Path) -> Result<Command> {
    let mut command = process::command(python);
    command.args(["-m", "pip", "--no-input", "--disable-pip-version-check"]);
    command.arg("--cache-dir").arg(cache::root()?.join("pip"));
    Ok(command)
}

fn key(python: &Python, inputs: &[(&str, String)]) -> String {
    let mut key = Key::default();
    key.add("python", &python.identity);
    for (name, part) in inputs {
        key.add(name, part);
    }
    key.finish()
}

#[derive(Debug)]
struct Python {
    program: PathBuf,
    /// The full version and the installation's path.
    identity: String,
}

impl Python {
    fn find() -> Result<Self> {
        let program = PathBuf::from("python3");
        let output = match Command::new(&program).args(["-c", PROBE]).output() {
            Ok(output) => output,
            Err(_) => bail!(
                "python3 is not on the PATH: install Python {}.{} or newer (Debian, Ubuntu: apt-get install python3 \
                 python3-venv)",
                MIN_VERSION.0,
                MIN_VERSION.1
            ),
        };
        let identity = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let Some(version) = parse_version(&identity) else {
            bail!(
                "can't run python3: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            );
        };
        if version < MIN_VERSION {
            bail!(
                "python3 is version {}.{}, but {}.{} or newer is required: put a newer one first on the PATH",
                version.0,
                version.1,
                MIN_VERSION.0,
                MIN_VERSION.1
            );
        }
        if !output.status.success() {
            bail!(
                "python3's venv module is incomplete: install it (Debian, Ubuntu: apt-get install python3-venv)"
            );
        }
        Ok(Self { program, identity })
    }
}

/// `3 11 7 /usr` -> (3, 11)
fn parse_version(identity: &str) -> Option<(u32, u32)> {
    let mut fields = identity.split(' ');
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers() {
        assert!(parse_version("3 9 18 /usr").unwrap() < MIN_VERSION);
        assert!(parse_version("3 11 7 /usr").unwrap() >= MIN_VERSION);
        assert_eq!(parse_version(""), None);
    }

    #[test]
    fn the_key_depends_on_the_interpreter_and_the_requirements() {
        let python = |identity: &str| Python {
            program: "python3".into(),
            identity: identity.into(),
        };
        let key =
            |identity: &str, sha256: &str| key(&python(identity), &[("requirements", sha256.to_owned())]);
        let one = key("3 11 7 /usr", "aa");
        assert_eq!(one, key("3 11 7 /usr", "aa"));
        assert_ne!(one, key("3 11 8 /usr", "aa"));
        assert_ne!(one, key("3 11 7 /usr", "ab"));
    }
}
