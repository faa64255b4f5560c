//! `cargo xtask web`: builds the dashboard into `.local/web`, which is packaged with the api function. An unchanged
//! dashboard comes from the cache, which all checkouts share. Only a build needs Node.js.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::hash::{self, Key};
use crate::{cache, lock, paths, process, progress};

/// The oldest version that Vite supports.
const MIN_NODE_VERSION: (u32, u32) = (20, 19);

/// Folders of web/ that don't influence the page.
const IGNORED_DIRS: [&str; 3] = ["node_modules", "tests", "test-results"];

/// The page's source files outside of web/.
const EXTRA_SOURCES: [&str; 1] = ["crates/models/src/speech/testdata/tried.mp3"];

/// Builds the dashboard if it is not cached, and returns its folder.
pub(crate) fn build() -> Result<PathBuf> {
    let key = source_key()?;
    let built = match cache::existing("web", &key)? {
        Some(dir) => dir,
        None => {
            install_packages()?;
            cache::entry("web", &key, |dir| {
                process::run(&mut typecheck()?, "checking the dashboard's types", "web-tsc")?;
                let mut bundle = tool("vite");
                bundle.arg("build").env("AI_MESH_WEB_OUT", dir.join("page"));
                process::run(&mut bundle, "building the dashboard", "web-build")?;
                Ok(())
            })?
        }
    };
    let link = paths::local().join("web");
    cache::link(&link, &built.join("page"))?;
    Ok(link)
}

/// Builds the dashboard if it is cached or Node.js is there, and returns its folder. A stack works without it.
pub(crate) fn build_if_possible() -> Result<Option<PathBuf>> {
    if cache::existing("web", &source_key()?)?.is_none()
        && let Err(error) = check_node()
    {
        progress::line(&format!("! the stack will not have a dashboard: {error:#}"));
        return Ok(None);
    }
    build().map(Some)
}

/// A command that checks the types of the page and its tests.
pub(crate) fn typecheck() -> Result<Command> {
    install_packages()?;
    let mut command = tool("tsc");
    command.arg("--noEmit");
    Ok(command)
}

/// Fails if the dashboard's types are not those of docs/openapi.json.
pub(crate) fn check_types() -> Result<Command> {
    install_packages()?;
    let mut command = process::command("npm");
    command
        .args(["run", "--silent", "types:check"])
        .current_dir(folder());
    Ok(command)
}

/// Installs the npm packages unless those of the lock file are installed already.
pub(crate) fn install_packages() -> Result<()> {
    let _lock = lock::acquire(&paths::local().join("locks/node_modules"))?;
    let mut key = Key::default();
    for name in ["package.json", "package-lock.json"] {
        key.add(name, &hash::file(&folder().join(name))?);
    }
    let key = key.finish();
    let marker = folder().join("node_modules/.ai-mesh");
    if fs::read_to_string(&marker).is_ok_and(|installed| installed == key) {
        return Ok(());
    }
    check_node()?;
    let mut install = process::command("npm");
    install
        .args(["ci", "--no-audit", "--no-fund", "--prefer-offline", "--cache"])
        .arg(cache::root()?.join("npm"))
        .current_dir(folder());
    process::run(&mut install, "installing the dashboard's packages", "web-npm")
        .context("npm failed: is the network up?")?;
    fs::write(&marker, key).with_context(|| format!("can't write {}", paths::display(&marker)))
}

fn check_node() -> Result<()> {
    let output = Command::new("node").arg("--version").output();
    let reported = output
        .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
        .unwrap_or_default();
    let (major, minor) = MIN_NODE_VERSION;
    if parse_version(&reported).is_none_or(|version| version < MIN_NODE_VERSION) {
        let found = if reported.is_empty() {
            "missing".to_owned()
        } else {
            format!("too old ({reported})")
        };
        bail!("Node.js is {found}: the dashboard's build needs {major}.{minor} or newer, with npm");
    }
    if Command::new("npm").arg("--version").output().is_err() {
        bail!("npm is missing: install it with Node.js, the dashboard's build needs it");
    }
    Ok(())
}

/// The major and the minor version of `v20.19.1`.
fn parse_version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.strip_prefix('v')?.split('.').map(str::parse);
    Some((parts.next()?.ok()?, parts.next()?.ok()?))
}

/// A command for a program of the npm packages.
pub(crate) fn tool(name: &str) -> Command {
    let mut command = process::command(folder().join("node_modules/.bin").join(name));
    command.current_dir(folder());
    command
}

fn folder() -> PathBuf {
    paths::root().join("web")
}

/// The cache key over the page's source files.
fn source_key() -> Result<String> {
    let mut files = Vec::new();
    collect(&folder(), &mut files)?;
    files.extend(EXTRA_SOURCES.map(|name| paths::root().join(name)));
    files.sort();
    let mut key = Key::default();
    for file in &files {
        key.add(&paths::display(file), &hash::file(file)?);
    }
    Ok(key.finish())
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(dir).with_context(|| format!("can't read {}", paths::display(dir)))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() {
            if !IGNORED_DIRS.contains(&&*name) {
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

    #[test]
    fn versions_are_compared_as_numbers() {
        assert_eq!(parse_version("v20.19.1"), Some((20, 19)));
        assert!(parse_version("v20.9.0").is_some_and(|version| version < MIN_NODE_VERSION));
        assert!(parse_version("v22.0.0").is_some_and(|version| version > MIN_NODE_VERSION));
        assert_eq!(parse_version(""), None);
        assert_eq!(parse_version("20.19"), None);
    }

    #[test]
    fn the_tests_are_not_source_files_of_the_page() {
        let mut files = Vec::new();
        collect(&folder(), &mut files).unwrap();
        let names: Vec<_> = files.iter().map(|file| paths::display(file)).collect();
        assert!(names.contains(&"web/src/main.tsx".to_owned()), "{names:?}");
        assert!(names.contains(&"web/package-lock.json".to_owned()), "{names:?}");
        assert!(
            !names.iter().any(|name| name.starts_with("web/tests")),
            "{names:?}"
        );
    }
}
