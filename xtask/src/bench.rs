//! `cargo xtask bench`: what a cold start costs, and how many texts a second one thread classifies, beside Python.

use anyhow::Result;

use crate::functions::{self, Build};
use crate::paths;
use crate::process;
use crate::venv::Venv;

/// Measures the functions as they go to AWS. The peer's Python environment is made the first time.
pub(crate) fn run() -> Result<()> {
    let artifacts = functions::build(Build::Release)?;
    let bench = paths::root().join("bench");
    let venv = Venv::ensure("bench", &bench.join("requirements.txt"))?;
    let mut build = process::command("cargo");
    build.args(["build", "--release", "--package", "mesh-bench"]);
    process::run(&mut build, "building the benchmark", "bench-build")?;
    let mut measure = process::command("cargo");
    measure.args([
        "run",
        "--quiet",
        "--release",
        "--package",
        "mesh-bench",
        "--",
        "speed",
    ]);
    measure.arg("--artifacts").arg(artifacts);
    measure.arg("--assets").arg(paths::assets());
    measure.arg("--python").arg(venv.bin("python"));
    measure.arg("--bench").arg(bench);
    print!(
        "{}",
        process::run(&mut measure, "measuring (about 2 minutes)", "bench")?
    );
    Ok(())
}
