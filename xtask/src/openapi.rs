//! `cargo xtask openapi`: writes docs/openapi.json. The test that compares the file with the API writes it if a
//! variable is set.

use anyhow::Result;

use crate::{process, tools};

pub(crate) fn run() -> Result<()> {
    let mut command = tools::nextest()?;
    command.args([
        "run",
        "--locked",
        "--package",
        "mesh-api",
        "the_document_is_the_one_in_docs",
    ]);
    command.env("AI_MESH_WRITE_OPENAPI", "1");
    process::run(&mut command, "generating docs/openapi.json", "openapi")?;
    println!("docs/openapi.json is up to date.");
    Ok(())
}
