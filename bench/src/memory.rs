//! Peak memory with the largest accepted inputs. It fails unless each function leaves a quarter of its memory free, since
//! Lambda ends a process that exceeds it, and with it a batch.

mod inputs;
mod pictures;
mod recordings;
mod requests;

use std::time::Duration;

use anyhow::{Result, bail, ensure};

use crate::Args;
use crate::cases::Case;
use crate::function::Functions;
use crate::host::{Event, Host};

/// The share of its memory that a function may use.
const MAX_SHARE: f64 = 0.75;
/// Half an hour of sound and 50 megapixels take minutes in a build without optimization.
const TIMEOUT: Duration = Duration::from_secs(600);

/// What one case used.
struct Peak {
    mebibytes: f64,
    memory_mb: u32,
}

impl Peak {
    fn share(&self) -> f64 {
        self.mebibytes / f64::from(self.memory_mb)
    }
}

/// Measures the cases with `only` in their name, or all of them.
pub(crate) async fn report(args: &Args, only: Option<&str>) -> Result<()> {
    let functions = Functions::read(&args.functions)?;
    let mut too_much = Vec::new();
    let mut measured = 0;
    println!("peak memory with the largest inputs                    MiB      of   share");
    for case in inputs::cases(args, only) {
        let case = case?;
        let peak = measure(args, &functions, &case).await?;
        println!(
            "{:<52} {:>5.0} {:>7} {:>6.0}%",
            case.name,
            peak.mebibytes,
            peak.memory_mb,
            100.0 * peak.share()
        );
        measured += 1;
        if peak.share() > MAX_SHARE {
            too_much.push(case.name);
        }
    }
    ensure!(measured > 0, "no case has {only:?} in its name");
    ensure!(
        too_much.is_empty(),
        "these cases leave less than a quarter of the function's memory free: {}. Use less, or raise MemorySize in \
         infra/template.yaml",
        too_much.join("; ")
    );
    println!("each function leaves a quarter of its memory free");
    Ok(())
}

/// Runs a case to its last response. A case that the function refuses would measure nothing, so each task must complete.
async fn measure(args: &Args, functions: &Functions, case: &Case) -> Result<Peak> {
    let function = functions.get(&case.function)?;
    let host = Host::start(case.scenario.clone()).await?;
    let mut running = function.start(args, case, host)?;
    let (mut completed, mut responses) = (0, 0);
    while responses < case.scenario.payloads.len() {
        match running.next_event(TIMEOUT).await? {
            Event::Next(_) => {}
            Event::Finish { is_completed } => completed += usize::from(is_completed),
            Event::Error(error) => bail!("{}: {error}", case.name),
            Event::Response { status, .. } => {
                let class = |status: Option<u64>| status.map(|status| status / 100);
                ensure!(
                    class(status) == class(case.status),
                    "{}: the status is {status:?}",
                    case.name
                );
                responses += 1;
            }
        }
    }
    let tasks = case.scenario.works.len();
    ensure!(
        completed == tasks,
        "{}: {completed} of {tasks} tasks completed",
        case.name
    );
    let mebibytes = running.end().await?;
    Ok(Peak {
        mebibytes,
        memory_mb: function.memory_mb,
    })
}
