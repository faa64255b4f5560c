//! Keeps a panic of another crate's decoder to the file at fault.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Why a file is refused whose decoder panicked.
pub(crate) const DECODER_PANICKED: &str = "its decoder failed";

/// Decodes an untrusted file. `None` if the decoder panicked: the file is damaged then. The panic's place is logged.
pub(crate) fn contain<T>(decode: impl FnOnce() -> T) -> Option<T> {
    // Whatever the decoder left half done is dropped with it.
    catch_unwind(AssertUnwindSafe(decode)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_contained() {
        assert_eq!(contain(|| 7), Some(7));
        assert_eq!(contain(|| -> u32 { panic!("as a decoder might") }), None);
    }
}
