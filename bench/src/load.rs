//! Submissions and status requests at fixed rates, here and on a twin of the first earlier system, in turns: what they wait, and what
//! they cost the processes of each. The stack is the one of the environment, with nobody else on it.

mod oha;
mod ours;
mod processes;
mod twin;

use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::Args as Arguments;

use crate::{children, machine};
use oha::{Answers, Request};
use processes::{Account, Role};

const TEXT: &str = "My new headphones broke after two days and the shop refused to take them back.";
/// Connections are made, functions started and models loaded by so many requests a second, for two seconds.
const WARMING: u32 = 50;

/// Where things are; `cargo xtask bench load` knows.
#[derive(Debug, Arguments)]
pub(crate) struct Args {
    /// The load generator.
    #[arg(long)]
    oha: PathBuf,
    /// The Python of bench/peers/fastapi-redis/requirements.txt.
    #[arg(long)]
    python: PathBuf,
    /// The library and the models.
    #[arg(long)]
    assets: PathBuf,
    /// This folder.
    #[arg(long)]
    bench: PathBuf,
    /// A folder for what the processes write.
    #[arg(long)]
    work: PathBuf,
    /// Requests a second.
    #[arg(long, value_delimiter = ',', default_value = "10,50,100")]
    rates: Vec<u32>,
    /// How long each rate is kept, in seconds.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=600))]
    seconds: u32,
}

/// One of the two that are compared.
trait System {
    fn name(&self) -> &'static str;
    fn submission(&self) -> Request;
    /// Asks for a task that has its result.
    fn status(&self) -> Request;
    fn account(&self) -> Result<Account>;
    /// Waits until all that was submitted is done: so many since the last time.
    fn settle(&mut self, submitted: u32) -> Result<()>;
}

/// A line of the report.
struct Row {
    request: &'static str,
    rate: u32,
    system: &'static str,
    answers: Answers,
    /// Processor time per request in ms.
    cost: [(Role, f64); 4],
}

pub(crate) fn report(args: &Args) -> Result<()> {
    ensure!(
        !args.rates.is_empty() && args.rates.iter().all(|rate| (1..=1_000).contains(rate)),
        "--rates takes numbers from 1 to 1000"
    );
    children::end_with_signals()?;
    std::fs::create_dir_all(&args.work)?;
    let mut systems: [Box<dyn System>; 2] =
        [Box::new(ours::Ours::new()?), Box::new(twin::Twin::start(args)?)];
    for system in &mut systems {
        for request in [system.status(), system.submission()] {
            oha::run(&args.oha, &args.work, &request, 2 * WARMING, WARMING)?;
        }
        system.settle(2 * WARMING)?;
    }
    println!("machine: {}", machine());
    println!(
        "{} s at each rate, open loop; times from when a request was due\n",
        args.seconds
    );
    println!("{}", Row::HEADER);
    for rate in &args.rates {
        for is_submission in [true, false] {
            for system in &mut systems {
                let row = measure(args, system.as_mut(), is_submission, *rate)?;
                println!("{}", row.line());
            }
        }
    }
    println!("\nrest: the reactor and the janitor; Redis. cloud: what stands in for AWS, which is not ours.");
    Ok(())
}

fn measure(args: &Args, system: &mut dyn System, is_submission: bool, rate: u32) -> Result<Row> {
    let (name, request) = if is_submission {
        ("submit", system.submission())
    } else {
        ("status", system.status())
    };
    let count = rate * args.seconds;
    let before = system.account()?;
    let answers = oha::run(&args.oha, &args.work, &request, count, rate)?;
    let answered = system.account()?;
    if is_submission {
        system.settle(answers.right)?;
    }
    let done = system.account()?;
    // Waiting for the tasks' ends asks the API too, which is no part of the load.
    let cost = [Role::Api, Role::Worker, Role::Rest, Role::Cloud].map(|role| {
        let after = if role == Role::Api { &answered } else { &done };
        (role, after.seconds_since(&before, role) * 1e3 / f64::from(count))
    });
    Ok(Row {
        request: name,
        rate,
        system: system.name(),
        answers,
        cost,
    })
}

impl Row {
    const HEADER: &str = "                                      latency, ms                         CPU per request, ms\n\
                          request  a second  system            p50     p95     p99  errors  answers/s     api  worker    rest   cloud";

    fn line(&self) -> String {
        let Answers {
            p50,
            p95,
            p99,
            wrong,
            rate,
            ..
        } = self.answers;
        let cost: String = self.cost.iter().map(|(_, ms)| format!(" {ms:>7.2}")).collect();
        format!(
            "{:<8} {:>8}  {:<14} {p50:>6.1} {p95:>7.1} {p99:>7.1} {wrong:>7} {rate:>10.1}{cost}",
            self.request, self.rate, self.system
        )
    }
}
