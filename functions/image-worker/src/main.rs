//! Runs the image tasks: face detection and OCR.

use lambda_runtime::Error;
use mesh_runners::ImageRunner;
use mesh_worker::onnx::assets;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    mesh_lambda_worker::run(env!("CARGO_CRATE_NAME"), || ImageRunner::load(assets())).await
}
