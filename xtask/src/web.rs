//! `cargo xtask web`: builds the dashboard into `.local/web`, which the api function is packed with. What is unchanged is
//! not built again, in whichever checkout it was built; then not even Node.js is asked for.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::hash::{self, Key};
use crate::models::point;
use crate::{cache, lock, paths, process, stack};

/// The least version that Vite runs on.
const NODE: (u32, u32) = (20, 19);

/// Folders of web/ that the page is not made of.
const ASIDE: [&str; 3] = ["node_modules", "tests", "test-results"];

/// What the page is made of outside of web/.
const BESIDE: [&str; 1] = ["crates/models/src/speech/testdata/tried.mp3"];

/// Names that Chromium goes by.
const BROWSERS: [&str; 3] = ["chromium", "google-chrome", "chromium-browser"];

/// Builds the dashboard if need be, and returns its folder.
pub(crate) fn build() -> Result<PathBuf> {
    let key = source_key()?;
    let built = match cache::existing("web", &key)? {
        Some(dir) => dir,
        None => {
            packages()?;
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
    point(&link, &built.join("page"))?;
    Ok(link)
}

/// The same where it can be built; without Node.js a stack is as good, but for its dashboard.
pub(crate) fn build_if_possible() -> Result<bool> {
    if cache::existing("web", &source_key()?)?.is_none()
        && let Err(error) = check_node()
    {
        eprintln!("! the stack will have no dashboard: {error:#}");
        return Ok(false);
    }
    build().map(|_| true)
}

/// The compiler's opinion of the page and its tests.
pub(crate) fn typecheck() -> Result<Command> {
    packages()?;
    let mut command = tool("tsc");
    command.arg("--noEmit");
    Ok(command)
}

/// The tests in a browser, against the stack that the variables name.
pub(crate) fn tests(variables: &[(String, String)], project: &str) -> Result<Command> {
    packages()?;
    let browser = browser()?;
    let mut command = tool("playwright");
    command.args(["test", "--project", project]);
    command
        .envs(variables.iter().cloned())
        .env("AI_MESH_CHROMIUM", browser)
        .env("AI_MESH_WEB_TRACES", paths::local().join("logs/web"));
    Ok(command)
}

/// Draws the pictures of docs/DASHBOARD.md anew, on a stack of its own.
pub(crate) fn screenshots() -> Result<()> {
    let options = stack::Options {
        faults: true,
        auth: true,
        ..stack::Options::default()
    };
    let stack = stack::attached("screenshots", &options)?;
    let variables = stack::parse_env(&fs::read_to_string(stack.place.env())?)?;
    let variables: Vec<_> = variables.into_iter().collect();
    let mut command = tests(&variables, "screenshots")?;
    process::run(&mut command, "taking pictures of the dashboard", "screenshots")?;
    println!("The pictures are in docs/images.");
    Ok(())
}

/// Installs what the page is built and tested with, if it is not there as the lock file has it.
fn packages() -> Result<()> {
    let _lock = lock::acquire(&paths::local().join("locks/node_modules"))?;
    let mut key = Key::default();
    for name in ["package.json", "package-lock.json"] {
        key.add(name, &hash::file(&folder().join(name))?);
    }
    let key = key.finish();
    let mark = folder().join("node_modules/.ai-mesh");
    if fs::read_to_string(&mark).is_ok_and(|installed| installed == key) {
        return Ok(());
    }
    check_node()?;
    let mut install = process::command("npm");
    install
        .args(["ci", "--no-audit", "--no-fund", "--prefer-offline", "--cache"])
        .arg(cache::root()?.join("npm"))
        .current_dir(folder());
    process::run(&mut install, "installing the dashboard's packages", "web-npm")
        .context("npm did not install them: is the network up?")?;
    fs::write(&mark, key).with_context(|| format!("can't write {}", paths::shown(&mark)))
}

fn check_node() -> Result<()> {
    let output = Command::new("node").arg("--version").output();
    let told = output
        .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
        .unwrap_or_default();
    let (major, minor) = NODE;
    if version(&told).is_none_or(|found| found < NODE) {
        let found = if told.is_empty() {
            "is not there".to_owned()
        } else {
            format!("is {told}")
        };
        bail!(
            "Node.js {found}, and the dashboard is built with {major}.{minor} or newer: install that, and its npm"
        );
    }
    if Command::new("npm").arg("--version").output().is_err() {
        bail!("npm is not there, and the dashboard's packages come by it: install it, it belongs to Node.js");
    }
    Ok(())
}

/// Major and minor of `v20.19.1`.
fn version(told: &str) -> Option<(u32, u32)> {
    let mut parts = told.strip_prefix('v')?.split('.').map(str::parse);
    Some((parts.next()?.ok()?, parts.next()?.ok()?))
}

/// `$AI_MESH_CHROMIUM`, else the first that is on the PATH.
fn browser() -> Result<PathBuf> {
    if let Some(named) = std::env::var_os("AI_MESH_CHROMIUM") {
        return Ok(named.into());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = BROWSERS.iter().find_map(|name| {
        let mut places = std::env::split_paths(&path).map(|folder| folder.join(name));
        places.find(|place| place.is_file())
    });
    found.context(
        "there is no Chromium, and the dashboard is tested in it: apt-get install chromium, or set AI_MESH_CHROMIUM",
    )
}

fn tool(name: &str) -> Command {
    let mut command = process::command(folder().join("node_modules/.bin").join(name));
    command.current_dir(folder());
    command
}

fn folder() -> PathBuf {
    paths::root().join("web")
}

/// A key over all that the page is made from.
fn source_key() -> Result<String> {
    let mut files = Vec::new();
    collect(&folder(), &mut files)?;
    files.extend(BESIDE.map(|name| paths::root().join(name)));
    files.sort();
    let mut key = Key::default();
    for file in &files {
        key.add(&paths::shown(file), &hash::file(file)?);
    }
    Ok(key.finish())
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(dir).with_context(|| format!("can't read {}", paths::shown(dir)))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() {
            if !ASIDE.contains(&&*name) {
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
        assert_eq!(version("v20.19.1"), Some((20, 19)));
        assert!(version("v20.9.0").is_some_and(|found| found < NODE));
        assert!(version("v22.0.0").is_some_and(|found| found > NODE));
        assert_eq!(version(""), None);
        assert_eq!(version("20.19"), None);
    }

    #[test]
    fn the_page_is_not_made_of_its_tests() {
        let mut files = Vec::new();
        collect(&folder(), &mut files).unwrap();
        let names: Vec<_> = files.iter().map(|file| paths::shown(file)).collect();
        assert!(names.contains(&"web/src/main.tsx".to_owned()), "{names:?}");
        assert!(names.contains(&"web/package-lock.json".to_owned()), "{names:?}");
        assert!(
            !names.iter().any(|name| name.starts_with("web/tests")),
            "{names:?}"
        );
    }
}
