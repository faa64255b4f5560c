//! What the black-box tests share: a client of the API, AWS clients for the local cloud's queues and tables, a reader of its
//! functions' log, and test pictures and recordings.
//!
//! The tests are two programs:
//! - `tests/api` uses the HTTP API alone. It runs on `mesh-server`, or with `cargo xtask test --cloud` on the local cloud.
//! - `tests/cloud` also uses the AWS services of the local cloud, and always runs there.
//!
//! `cargo xtask test` starts both homes and runs the tests. Without them each test fails with a message that says so.
//! The tests of a home run concurrently on it, so a test looks at its own tasks only. Two rules keep them apart:
//! - A test that stops or kills workers uses the image lane. A test that counts attempts uses the text lane.
//! - A test that pauses a lane or kills its workers is in a module called `serial...`, whose tests run one at a time.

mod api;
pub mod batch;
mod cloud;
pub mod event_stream;
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

/// A key that is unique to this test and this run.
#[must_use]
pub fn fresh_key() -> String {
    let now = jiff::Timestamp::now().as_nanosecond();
    let test = std::thread::current().name().unwrap_or_default().to_owned();
    format!("{test}-{now}").replace([':', '_'], "-")
}

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
