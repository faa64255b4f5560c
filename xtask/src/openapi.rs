//! `cargo xtask openapi`: writes docs/openapi.json anew. The test that holds it against the API does so when it is told to.

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
    process::run(&mut command, "asking the API what it is", "openapi")?;
    println!("docs/openapi.json is what the API says of itself.");
    Ok(())
}
