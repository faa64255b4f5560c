//! Runs the audio tasks: transcribe.

use lambda_runtime::Error;
use mesh_models::SpeechVariant;
use mesh_runners::AudioRunner;
use mesh_telemetry::setting;
use mesh_worker::onnx::assets;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    // The model that the template's `SpeechModel` parameter selects.
    let variant: SpeechVariant = setting("SPEECH_MODEL")?;
    mesh_lambda_worker::run(env!("CARGO_CRATE_NAME"), move || {
        AudioRunner::load(&assets(), variant)
    })
    .await
}
