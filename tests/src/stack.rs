//! The stack that the tests run against, by its environment.

/// A setting of the stack.
///
/// # Panics
/// When no stack was named.
#[must_use]
pub fn setting(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set: this test needs a stack of its own kind; run it by `cargo xtask test`")
    })
}
