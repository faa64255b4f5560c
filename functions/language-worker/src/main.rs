//! Runs the tasks of language models, through the provider that the stack configures.

mod model;

use lambda_runtime::Error;
use mesh_runners::LanguageRunner;

use crate::model::Settings;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    mesh_lambda_worker::run(env!("CARGO_CRATE_NAME"), || {
        Settings::read().map(LanguageRunner::load)
    })
    .await
}
