//! A secret out of Secrets Manager.

use std::fmt;

use aws_config::SdkConfig;
use aws_sdk_secretsmanager::Client;

use crate::AwsError;

/// A secret text. It is printed nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text, for the one place that sends it.
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

/// Reads the current value of the secret of that ARN or name.
///
/// # Errors
/// When it can't be read, or holds bytes instead of text.
pub async fn secret(config: &SdkConfig, arn: &str) -> Result<Secret, AwsError> {
    let value = Client::new(config)
        .get_secret_value()
        .secret_id(arn)
        .send()
        .await
        .map_err(AwsError::of("GetSecretValue"))?;
    let text = value.secret_string.ok_or(NoText);
    // A key pasted into a console often ends in a line break.
    text.map(|text| Secret(text.trim().to_owned()))
        .map_err(|error| AwsError::setup("GetSecretValue", error))
}

#[derive(Debug, thiserror::Error)]
#[error("the secret holds bytes: store the key as text")]
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
