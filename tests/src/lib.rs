//! What the black-box tests share: a client of the API, the stack's queues and table as an operator sees them, and
//! pictures and recordings.
//!
//! `cargo xtask test` starts the stack and runs the tests; without it each of them fails with a sentence that says so.
//! They run side by side on one stack, so a test looks at its own tasks alone. Two rules keep them apart:
//! what cuts off or kills a worker runs on the image lane, what counts a task's attempts runs on the text lane; and what
//! holds up a lane or kills its workers is in a module called `serial`, whose tests run one at a time.

mod api;
mod cloud;
mod lane;
mod log;
pub mod pictures;
pub mod sounds;
mod stack;
pub mod stream;
mod streaming;
mod uploads;
mod watch;

use std::thread::sleep;
use std::time::{Duration, Instant};

pub use api::{Api, Reply, sentiment};
pub use cloud::{Cloud, Trouble, message};
pub use lane::Lane;
pub use log::{is_in_log, logged};
pub use stack::setting;
pub use streaming::{Streamed, Streaming};
pub use uploads::put;

/// How long a test waits for what must come: several times what it takes on two busy cores. Only a failing test waits
/// that long.
pub const PATIENCE: Duration = Duration::from_secs(150);

/// Asks again and again until there is an answer.
///
/// # Panics
/// When there is none within [`PATIENCE`].
pub fn eventually<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = probe() {
            return answer;
        }
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        sleep(Duration::from_millis(200));
    }
}
