//! Secrets from Secrets Manager.

use std::fmt;

use aws_config::SdkConfig;
use aws_sdk_secretsmanager::Client;

use mesh_backend::BackendError;

use crate::error::{from_sdk, setup};

/// A secret text. `Debug` does not print it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text. Pass it on to the request that needs it, and store it nowhere.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Reads the current value of the secret with this ARN or name.
///
/// # Errors
/// When the secret can't be read, or is binary.
pub async fn secret(config: &SdkConfig, arn: &str) -> Result<Secret, BackendError> {
    let value = Client::new(config)
        .get_secret_value()
        .secret_id(arn)
        .send()
        .await
        .map_err(from_sdk("GetSecretValue"))?;
    let text = value.secret_string.ok_or(NoText);
    // A key that was pasted into a console often ends with a line break.
    text.map(|text| Secret(text.trim().to_owned()))
        .map_err(|error| setup("GetSecretValue", error))
}

#[derive(Debug, thiserror::Error)]
#[error("the secret is binary: store the key as text")]
struct NoText;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_printed() {
        let secret = Secret::from("sk-very-secret".to_owned());
        assert_eq!(format!("{secret:?}"), "Secret(..)");
        assert_eq!(secret.expose(), "sk-very-secret");
    }
}
