//! What the black-box tests share: a client of the API, AWS clients for the stack's queues and tables, a reader of the
//! functions' log, and test pictures and recordings.
//!
//! `cargo xtask test` starts the stack and runs the tests. Without a stack each test fails with a message that says so.
//! The tests run concurrently on one stack, so a test looks at its own tasks only. Two rules keep them apart:
//! - A test that stops or kills workers uses the image lane. A test that counts attempts uses the text lane.
//! - A test that pauses a lane or kills its workers is in a module called `serial...`, whose tests run one at a time.

mod api;
mod cloud;
mod lane;
mod log;
pub mod pictures;
mod queue;
pub mod sounds;
mod stack;
pub mod stream;
mod streaming;
mod uploads;
mod watch;

use std::thread::sleep;
use std::time::{Duration, Instant};

pub use api::{Api, Reply, assert_completed, sentiment};
pub use cloud::{BoxError, Cloud};
pub use lane::Lane;
pub use log::{log_contains, log_events, log_events_where};
pub use queue::message_body;
pub use stack::{clients, setting};
pub use streaming::{StreamRequest, StreamResponse};
pub use uploads::put;

/// How long a test waits for something that must happen: several times what it takes on two busy cores. Only a failing
/// test waits that long.
pub const TIMEOUT: Duration = Duration::from_secs(150);

/// Calls `probe` until it returns a value, and returns that.
///
/// # Panics
/// When there is no value within [`TIMEOUT`].
#[track_caller]
pub fn eventually<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        if let Some(value) = probe() {
            return value;
        }
        assert!(Instant::now() < deadline, "not within {TIMEOUT:?}: {what}");
        sleep(Duration::from_millis(200));
    }
}
