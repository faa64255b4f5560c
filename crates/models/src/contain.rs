//! Keeps a panic of another crate's decoder to the file at fault.
//!
//! A decoder that panics at a damaged file has refused it in its own way. So the file is refused, and the log has a warning
//! instead of the error that a panic of our own code would be.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::sync::Once;

/// Why a file is refused whose decoder panicked.
pub(crate) const DECODER_PANICKED: &str = "its decoder failed";

thread_local! {
    static IS_DECODING: Cell<bool> = const { Cell::new(false) };
}

/// Decodes an untrusted file. `None` if the decoder panicked: the file is damaged then. The panic's place is logged.
pub(crate) fn contain<T>(decode: impl FnOnce() -> T) -> Option<T> {
    static HOOK: Once = Once::new();
    HOOK.call_once(warn_of_contained_panics);
    IS_DECODING.set(true);
    // Whatever the decoder left half done is dropped with it.
    let decoded = catch_unwind(AssertUnwindSafe(decode)).ok();
    IS_DECODING.set(false);
    decoded
}

/// Puts a hook before the one that there is.
fn warn_of_contained_panics() {
    let others = panic::take_hook();
    panic::set_hook(Box::new(move |info: &PanicHookInfo<'_>| {
        if !IS_DECODING.get() {
            return others(info);
        }
        // Its message may quote the file.
        let place = info.location().map(ToString::to_string);
        tracing::warn!(
            event = "decoder_failed",
            place,
            "a decoder failed on a damaged file"
        );
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_contained() {
        assert_eq!(contain(|| 7), Some(7));
        assert_eq!(contain(|| -> u32 { panic!("as a decoder might") }), None);
    }

    /// The hook is that of the whole process, so other tests may panic too.
    #[test]
    fn only_other_panics_reach_the_hook_that_was_there() {
        use std::sync::atomic::{AtomicUsize, Ordering};

        static SEEN: AtomicUsize = AtomicUsize::new(0);
        contain(|| ());
        let before = panic::take_hook();
        drop(before);
        panic::set_hook(Box::new(|info| {
            if info.payload().downcast_ref::<&str>() == Some(&"by this test") {
                SEEN.fetch_add(1, Ordering::Relaxed);
            }
        }));
        warn_of_contained_panics();
        assert_eq!(contain(|| -> u32 { panic!("by this test") }), None);
        assert_eq!(SEEN.load(Ordering::Relaxed), 0);
        assert!(catch_unwind(|| panic!("by this test")).is_err());
        assert_eq!(SEEN.load(Ordering::Relaxed), 1);
    }
}
