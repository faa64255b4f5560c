//! dynalite, a second emulator of DynamoDB for the contract suite: npm packages in the versions of a lock file, installed once per
//! user.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::hash::{self, Key};
use crate::{cache, paths, process};

/// What is in tests/dynalite. The program runs in the folder of the packages, where Node.js finds them.
const PROGRAM: &str = "serve.js";
const FILES: [&str; 3] = [PROGRAM, "package.json", "package-lock.json"];

/// The program that serves it, for `node`.
pub(crate) fn ensure() -> Result<PathBuf> {
    let folder = paths::root().join("tests/dynalite");
    let mut key = Key::default();
    for file in FILES {
        key.add(file, &hash::file(&folder.join(file))?);
    }
    let dir = cache::entry("dynalite", &key.finish(), |dir| {
        for file in FILES {
            fs::copy(folder.join(file), dir.join(file)).with_context(|| format!("can't copy {file}"))?;
        }
        let mut install = process::command("npm");
        // Its packages are complete without their scripts.
        install
            .args([
                "ci",
                "--ignore-scripts",
                "--no-audit",
                "--no-fund",
                "--prefer-offline",
                "--cache",
            ])
            .arg(cache::root()?.join("npm"))
            .current_dir(dir);
        process::run(&mut install, "installing dynalite", "dynalite-npm")
            .context("npm failed: is Node.js 20 or newer installed, and is the network up?")?;
        Ok(())
    })?;
    Ok(dir.join(PROGRAM))
}
