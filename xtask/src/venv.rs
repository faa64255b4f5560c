//! Python environments for the tools that come as Python packages, pinned by version and hash.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::cache;
use crate::hash::{self, Key};
use crate::process;

const OLDEST: (u32, u32) = (3, 10);

/// Prints the version, then fails if an environment can't be made. `ensurepip` is what Debian leaves out.
const PROBE: &str = "import sys; print(*sys.version_info[:3], sys.base_prefix); import venv, ensurepip";

#[derive(Clone, Debug)]
pub(crate) struct Venv {
    dir: PathBuf,
}

/// A package that has no binary and is built here.
#[derive(Debug)]
pub(crate) struct FromSource {
    pub(crate) package: &'static str,
    /// The requirements of what builds it.
    pub(crate) tools: PathBuf,
    /// Options for CMake.
    pub(crate) cmake: &'static str,
}

impl Venv {
    /// The environment with exactly the packages of a requirements file, every one of them with its hash.
    pub(crate) fn ensure(name: &str, requirements: &Path) -> Result<Self> {
        let key = [("requirements", digest(requirements)?)];
        Self::make(name, &key, |dir| install(dir, name, requirements, |_| ()))
    }

    /// The same where one of the packages is built from its source.
    pub(crate) fn from_source(name: &str, requirements: &Path, source: &FromSource) -> Result<Self> {
        let key = [
            ("requirements", digest(requirements)?),
            ("build", digest(&source.tools)?),
            ("cmake", source.cmake.to_owned()),
        ];
        Self::make(name, &key, |dir| {
            install(dir, &format!("{name}-build"), &source.tools, |_| ())?;
            // With the tools that are there, or pip would fetch others that nobody has pinned.
            install(dir, name, requirements, |command| {
                command
                    .arg(format!("--no-binary={}", source.package))
                    .arg("--no-build-isolation")
                    .env("CMAKE_ARGS", source.cmake);
            })
            .with_context(|| format!("{} may not have compiled", source.package))
        })
    }

    /// An environment with pip alone.
    pub(crate) fn bare() -> Result<Self> {
        Self::make("pip", &[("requirements", String::new())], |_| Ok(()))
    }

    /// The path of a program in it.
    pub(crate) fn bin(&self, tool: &str) -> PathBuf {
        self.dir.join("bin").join(tool)
    }

    /// Its folder of programs, for a PATH.
    pub(crate) fn bin_dir(&self) -> PathBuf {
        self.dir.join("bin")
    }

    fn make(
        name: &str,
        made_from: &[(&str, String)],
        fill: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<Self> {
        let python = Python::find()?;
        let key = key(&python, made_from);
        let kind = format!("venv-{name}");
        // The interpreter that it was made from may have been upgraded away under the same version's name.
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

/// Installs what a requirements file lists. It lists everything, with what follows from what settled: nothing is left
/// for pip to resolve.
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
            "the packages of {} could not be installed; is the network up?",
            requirements.display()
        )
    })?;
    Ok(())
}

/// A pip command line that keeps its downloads in our cache and asks nothing.
pub(crate) fn pip(python: &Path) -> Result<Command> {
    let mut command = process::command(python);
    command.args(["-m", "pip", "--no-input", "--disable-pip-version-check"]);
    command.arg("--cache-dir").arg(cache::root()?.join("pip"));
    Ok(command)
}

fn key(python: &Python, made_from: &[(&str, String)]) -> String {
    let mut key = Key::default();
    key.add("python", &python.identity);
    for (name, part) in made_from {
        key.add(name, part);
    }
    key.finish()
}

#[derive(Debug)]
struct Python {
    program: PathBuf,
    /// The full version and where it is installed.
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
                OLDEST.0,
                OLDEST.1
            ),
        };
        let identity = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let Some(version) = parse_version(&identity) else {
            bail!(
                "python3 does not start: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            );
        };
        if version < OLDEST {
            bail!(
                "python3 is version {}.{}, but {}.{} or newer is needed: put a newer one first on the PATH",
                version.0,
                version.1,
                OLDEST.0,
                OLDEST.1
            );
        }
        if !output.status.success() {
            bail!(
                "python3 is there, but its venv module is not whole: install it (Debian, Ubuntu: apt-get install \
                 python3-venv)"
            );
        }
        Ok(Self { program, identity })
    }
}

/// `3 11 7 /usr` -> (3, 11)
fn parse_version(identity: &str) -> Option<(u32, u32)> {
    let mut words = identity.split(' ');
    Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers() {
        assert!(parse_version("3 9 18 /usr").unwrap() < OLDEST);
        assert!(parse_version("3 11 7 /usr").unwrap() >= OLDEST);
        assert_eq!(parse_version(""), None);
    }

    #[test]
    fn another_python_or_another_requirement_is_another_environment() {
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
