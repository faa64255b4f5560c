//! Settings from environment variables.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use mesh_task::{RetryPolicies, RetryPolicy, SweepPolicy};

/// An environment variable is missing or can't be parsed.
#[derive(Debug, thiserror::Error)]
#[error("environment variable {name}: {why}; set it as infra/template.yaml does")]
pub struct SettingError {
    name: String,
    why: String,
}

/// Reads a setting, which infra/template.yaml gives to the function.
///
/// # Errors
/// When the variable is missing or can't be parsed as `T`.
pub fn setting<T: FromStr<Err: Display>>(name: &str) -> Result<T, SettingError> {
    let value = std::env::var(name).map_err(|error| SettingError {
        name: name.to_owned(),
        why: error.to_string(),
    })?;
    value.parse().map_err(|error: T::Err| SettingError {
        name: name.to_owned(),
        why: format!("{value:?}: {error}"),
    })
}

/// Reads the retry policies.
///
/// # Errors
/// When a variable is missing or can't be parsed.
pub fn retry_policies() -> Result<RetryPolicies, SettingError> {
    let general = RetryPolicy {
        max_attempts: setting("MAX_ATTEMPTS")?,
        base: Duration::from_secs(setting("RETRY_BASE_SECONDS")?),
        cap: Duration::from_secs(setting("RETRY_CAP_SECONDS")?),
    };
    Ok(RetryPolicies {
        general,
        own: setting("RETRY_POLICIES")?,
    })
}

/// Reads the sweeper's policy.
///
/// # Errors
/// When `DUE_AFTER_SECONDS` is missing or not a number.
pub fn sweep_policy() -> Result<SweepPolicy, SettingError> {
    Ok(SweepPolicy {
        due_after: Duration::from_secs(setting("DUE_AFTER_SECONDS")?),
    })
}
