//! `Manifest::parse` accepts any text as a models/manifest.toml, or refuses it with a message.

#![no_main]

#[allow(dead_code, unreachable_pub)]
#[path = "../../xtask/src/manifest.rs"]
mod manifest;

use libfuzzer_sys::fuzz_target;
use manifest::Manifest;

fuzz_target!(|text: &str| {
    if let Err(refusal) = Manifest::parse(text) {
        assert!(!format!("{refusal:#}").is_empty());
    }
});
