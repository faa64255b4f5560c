//! The stack that the tests run against, named by environment variables.

use crate::{Api, Cloud};

/// A setting of the stack.
///
/// # Panics
/// When it is not set.
#[must_use]
pub fn setting(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set: this test needs a stack; run it with `cargo xtask test`")
    })
}

/// Clients of the local cloud: of its API, and of its AWS services.
#[must_use]
pub fn clients() -> (Api, Cloud) {
    (Api::of_cloud(), Cloud::new())
}
