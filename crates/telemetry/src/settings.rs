//! What a function is told by its environment.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use mesh_task::{RetryPolicies, RetryPolicy, SweepPolicy};

/// The environment lacks a setting, or it can't be read.
#[derive(Debug, thiserror::Error)]
#[error("environment variable {name}: {why}; infra/template.yaml sets it")]
pub struct SettingError {
    name: String,
    why: String,
}

/// Reads a setting that the template gives every function of its kind.
///
/// # Errors
/// When it is missing or no `T`.
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

/// Reads the template's retry policies.
///
/// # Errors
/// When one is missing or can't be read.
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

/// How patient the template lets the janitor be.
///
/// # Errors
/// When it is missing or no number.
pub fn sweep_policy() -> Result<SweepPolicy, SettingError> {
    Ok(SweepPolicy {
        due_after: Duration::from_secs(setting("DUE_AFTER_SECONDS")?),
    })
}
