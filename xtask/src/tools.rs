//! Tools that cargo installs: pinned versions, built once per user.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::cache;
use crate::process;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Tool {
    name: &'static str,
    version: &'static str,
}

pub(crate) const CYCLONEDX: Tool = Tool {
    name: "cargo-cyclonedx",
    version: "0.5.9",
};
pub(crate) const DENY: Tool = Tool {
    name: "cargo-deny",
    version: "0.20.2",
};
pub(crate) const NEXTEST: Tool = Tool {
    name: "cargo-nextest",
    version: "0.9.143",
};
pub(crate) const OHA: Tool = Tool {
    name: "oha",
    version: "1.16.0",
};

impl Tool {
    /// Installs the tool unless it is cached, and returns the path of its program.
    pub(crate) fn ensure(self) -> Result<PathBuf> {
        let Self { name, version } = self;
        let dir = cache::entry(
            "tools",
            &format!("{name}-{version}-{}", std::env::consts::ARCH),
            |dir| {
                let target = dir.join("target");
                let mut command = process::command(cargo());
                command
                    .args(["install", name, "--version", version, "--locked", "--root"])
                    .arg(dir);
                command.env("CARGO_TARGET_DIR", &target);
                // The tools run for seconds: a fast build matters more than fast code.
                for (setting, value) in [("OPT_LEVEL", "1"), ("LTO", "off"), ("CODEGEN_UNITS", "16")] {
                    command.env(format!("CARGO_PROFILE_RELEASE_{setting}"), value);
                }
                process::run(
                    &mut command,
                    &format!("building {name} {version}"),
                    &format!("install-{name}"),
                )
                .with_context(|| format!("can't install {name} {version}: is the network up?"))?;
                fs::remove_dir_all(&target).context("can't remove the build folder")
            },
        )?;
        Ok(dir.join("bin").join(name))
    }

    /// A command for the tool as a cargo subcommand.
    pub(crate) fn command(self) -> Result<Command> {
        let program = self.ensure()?;
        // Cargo passes the subcommand's name as the first argument, and the tool expects it.
        let subcommand = self.name.trim_start_matches("cargo-");
        let mut command = process::command(program);
        command.arg(subcommand);
        Ok(command)
    }
}

/// `cargo nextest`: the installed one if there is one, else ours. Any recent version understands our configuration.
pub(crate) fn nextest() -> Result<Command> {
    let installed = Command::new(cargo()).args(["nextest", "--version"]).output();
    if installed.is_ok_and(|output| output.status.success()) {
        let mut command = process::command(cargo());
        command.arg("nextest");
        return Ok(command);
    }
    NEXTEST.command()
}

/// The cargo that started xtask.
pub(crate) fn cargo() -> PathBuf {
    std::env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from)
}
