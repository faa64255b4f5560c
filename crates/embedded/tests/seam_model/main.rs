//! Whatever fails, every task ends once, and nothing is lost or counted twice.
//!
//! The real API, workers, sweeper and reactor work on an embedded backend. Each works as a process of its own, and its calls
//! fail before or after they took effect, are repeated, end the process, or stop it while the others go on. Once no more faults
//! come, all tasks end, and the promises of docs/SEMANTICS.md are checked on every change that the store has recorded.
//!
//! `PROPTEST_CASES` changes how many cases there are.

mod case;
mod client;
mod faulty;
mod history;
mod process;
mod runner;
mod steps;
mod world;

use proptest::test_runner::{Config, TestCaseError, TestRunner};
use tokio::runtime::Builder;

use crate::case::Case;
use crate::steps::steps;
use crate::world::World;

/// How many attempts a task has.
const MAX_ATTEMPTS: u32 = 3;
/// How many cases there are unless the environment says otherwise.
const CASES: u32 = 100;
/// How many smaller cases are tried after a failure.
const MAX_SHRINKS: u32 = 100;

#[test]
fn after_any_faults_every_task_ends_once_and_counts_once() {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let world = World::open();
    let mut config = Config {
        failure_persistence: None,
        max_shrink_iters: MAX_SHRINKS,
        ..Config::default()
    };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = CASES;
    }
    let ended = TestRunner::new(config).run(&steps(), |steps| {
        world.clear();
        // The back-offs are the same in each run of a case.
        fastrand::seed(7);
        let ran = runtime.block_on(Case::run(&world, steps));
        ran.map_err(TestCaseError::fail)
    });
    ended.unwrap_or_else(|failure| panic!("{failure}"));
}
