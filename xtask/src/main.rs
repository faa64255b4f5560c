//! `cargo xtask`: the one way in for people. Each command makes what it needs, keeps it for the next time, and says
//! what failed in words that help.

mod bench;
mod cache;
mod check;
mod clients;
mod demo;
mod evaluate;
mod fetch;
mod functions;
mod guard;
mod hash;
mod http;
mod interrupt;
mod llm;
mod lock;
mod logs;
mod manifest;
mod models;
mod openapi;
mod paths;
mod process;
mod program;
mod progress;
mod release;
mod soak;
mod stack;
mod test;
mod tools;
mod venv;
mod web;

use std::fs;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use llm::Provider;
use stack::{DEFAULT_NAME, Options};

#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    about = "Builds, runs, tests and checks AI Mesh"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Starts a local stack, submits a task of each type, prints what the models found, and stops the stack
    Demo {
        /// Enforce signatures and IAM policies, as AWS does
        #[arg(long)]
        auth: bool,
        /// With a small language model on this machine, as `up` has it
        #[arg(long, value_name = "PROVIDER", num_args = 0..=1, require_equals = true, default_missing_value = "openai")]
        llm: Option<Provider>,
        /// Leave the stack up
        #[arg(long)]
        keep: bool,
    },
    /// Starts a local stack that stays up, and writes its settings into .local/stack.env
    Up {
        /// Another stack beside the first, in .local/NAME
        #[arg(long, default_value = DEFAULT_NAME)]
        name: String,
        /// Enforce signatures and IAM policies, as AWS does
        #[arg(long)]
        auth: bool,
        /// Build the functions with the test faults, in the dev profile
        #[arg(long)]
        faults: bool,
        /// With a small language model on this machine, reached as an OpenAI-compatible server or by the local cloud's
        /// Bedrock. The first time builds its server, which takes minutes
        #[arg(long, value_name = "PROVIDER", num_args = 0..=1, require_equals = true, default_missing_value = "openai")]
        llm: Option<Provider>,
        /// A value for a parameter of infra/template.yaml; may be given several times
        #[arg(long, value_name = "NAME=VALUE", value_parser = parameter)]
        parameter: Vec<(String, String)>,
    },
    /// Stops a local stack and removes its state
    Down {
        #[arg(long, default_value = DEFAULT_NAME)]
        name: String,
    },
    /// Prints the functions' logs
    Logs {
        /// api, text-worker, image-worker, audio-worker, language-worker, sweeper, reactor or event-stream; all of them if none is given
        function: Option<String>,
        #[arg(long, default_value = DEFAULT_NAME)]
        name: String,
        /// Go on with what comes, until Ctrl-C
        #[arg(long)]
        follow: bool,
    },
    /// Makes and checks the libraries and models that the functions run
    Models {
        /// Measure them too, and write models/QUALITY.md
        #[arg(long)]
        evaluate: bool,
        /// Measure one section again; the others keep their figures
        #[arg(long, value_name = "SECTION", requires = "evaluate")]
        only: Option<evaluate::Section>,
    },
    /// Builds the dashboard into .local/web
    Web {
        /// Draw the pictures of docs/DASHBOARD.md anew, on a stack with the test faults
        #[arg(long)]
        screenshots: bool,
    },
    /// Runs all tests, with local stacks of their own
    Test {
        /// Only what needs no stack
        #[arg(long)]
        unit: bool,
        /// Those too that ask a small language model on this machine, as an OpenAI-compatible server and by the local
        /// cloud's Bedrock
        #[arg(long, conflicts_with = "unit")]
        llm: bool,
        /// Passed on to cargo nextest: a filter, say; then only its tests run
        #[arg(last = true)]
        nextest: Vec<String>,
    },
    /// Runs tasks of two types under random faults, and checks what is promised of them
    Soak(soak::Args),
    /// Measures cold starts and throughput, beside Python's onnxruntime; or what the subcommand says
    Bench {
        #[command(subcommand)]
        what: Option<bench::What>,
    },
    /// Writes docs/openapi.json anew, as the API tells it of itself
    Openapi,
    /// Makes a Python and a TypeScript client of docs/openapi.json, and has each make a call
    Clients,
    /// Formats, lints, licences, the template: everything but the tests
    Check,
    /// Makes what a version is deployed from, in .local/release/VERSION: zips, template, bills of materials, checksums
    Release,
    #[command(name = "__guard", hide = true)]
    Guard(guard::Args),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Command::Guard(args) = &cli.command {
        // Before anything else is set up: this process is about to be another.
        let error = guard::exec(args);
        eprintln!("error: {error:?}");
        return ExitCode::from(127);
    }
    match interrupt::install().and_then(|()| run(cli.command)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) if interrupt::is_interrupted() => ExitCode::from(interrupt::EXIT_CODE),
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::Demo { auth, llm, keep } => demo::run(auth, llm, keep),
        Command::Up {
            name,
            auth,
            faults,
            llm,
            parameter,
        } => up(
            &name,
            &Options {
                auth,
                faults,
                llm,
                parameters: parameter.into_iter().collect(),
                ..Options::default()
            },
        ),
        Command::Down { name } => {
            let stopped = stack::down(&name)?;
            println!(
                "{}",
                if stopped {
                    "The stack is down."
                } else {
                    "There was no stack to stop."
                }
            );
            Ok(())
        }
        Command::Logs {
            function,
            name,
            follow,
        } => logs::run(&name, function.as_deref(), follow),
        Command::Models { evaluate: true, only } => evaluate::run(only),
        Command::Models { .. } => {
            let assets = models::ensure()?;
            println!(
                "{} -> {}",
                paths::shown(&assets),
                fs::read_link(&assets)?.display()
            );
            Ok(())
        }
        Command::Web { screenshots: true } => web::screenshots(),
        Command::Web { .. } => {
            let page = web::build()?;
            println!("{} -> {}", paths::shown(&page), fs::read_link(&page)?.display());
            Ok(())
        }
        Command::Test { unit, llm, nextest } => test::run(unit, llm, &nextest),
        Command::Soak(args) => soak::run(&args),
        Command::Bench { what } => bench::run(what.as_ref()),
        Command::Openapi => openapi::run(),
        Command::Clients => clients::run(),
        Command::Check => check::run(),
        Command::Release => release::run(),
        Command::Guard(_) => Ok(()),
    }
}

fn parameter(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').ok_or("write NAME=VALUE")?;
    Ok((pair.0.to_owned(), pair.1.to_owned()))
}

fn up(name: &str, options: &Options) -> Result<()> {
    let place = stack::up(name, options)?;
    let settings = stack::parse_env(&fs::read_to_string(place.env())?)?;
    let url = settings.get("AI_MESH_URL").map_or("", String::as_str);
    println!("The stack is up: {url}");
    println!("Its dashboard, for AI_MESH_TOKEN: {url}/");
    println!(
        "Its address and token for a shell: set -a; . {}; set +a",
        paths::shown(&place.env())
    );
    println!("`{}` stops it.", place.down_command());
    Ok(())
}
