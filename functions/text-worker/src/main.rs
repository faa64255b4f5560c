//! Runs the text tasks whose models are part of the stack: sentiment, embed, classify and summarize.

use lambda_runtime::Error;
use mesh_runners::TextRunner;
use mesh_worker::onnx::assets;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    mesh_lambda_worker::run(env!("CARGO_CRATE_NAME"), || TextRunner::load(assets())).await
}
