//! `cargo xtask`: the commands for people who work on AI Mesh. A command builds what it needs and caches it for the
//! next one. An error says what failed and what to do.

mod bench;
mod browser;
mod cache;
mod check;
mod clients;
mod demo;
mod dynalite;
mod evaluate;
mod fetch;
mod functions;
mod git;
mod hash;
mod http;
mod llm;
mod lock;
mod logs;
mod manifest;
mod models;
mod openapi;
mod parallel;
mod paths;
mod process;
mod program;
mod progress;
mod release;
mod smoke;
mod soak;
mod stack;
mod test;
mod tools;
mod venv;
mod vocabulary;
mod web;

use std::fs;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Parser, Subcommand};
use mesh_supervisor::{guard, signals};

use llm::Provider;
use stack::{DEFAULT_NAME, Kind, Options};

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
    /// Starts a server, submits a task of each type, prints the results, and stops the server
    Demo {
        /// Deploy the functions to a local cloud, in place of the server
        #[arg(long)]
        cloud: bool,
        /// Enforce signatures and IAM policies, as AWS does
        #[arg(long, requires = "cloud")]
        auth: bool,
        /// Add a small language model on this machine, like `up --llm`
        #[arg(long, value_name = "PROVIDER", num_args = 0..=1, require_equals = true, default_missing_value = "openai")]
        llm: Option<Provider>,
        /// Leave the stack up
        #[arg(long)]
        keep: bool,
    },
    /// Starts a server that stays up, and writes its settings to .local/stack.env
    Up {
        /// Deploy the functions to a local cloud, in place of the server
        #[arg(long)]
        cloud: bool,
        /// The stack's name: start another stack beside the first, in .local/NAME
        #[arg(long, default_value = DEFAULT_NAME)]
        name: String,
        /// Enforce signatures and IAM policies, as AWS does
        #[arg(long, requires = "cloud")]
        auth: bool,
        /// Build the server, or the functions, in the dev profile with fault injection
        #[arg(long)]
        faults: bool,
        /// Add a small language model on this machine, as an OpenAI-compatible server or through the local cloud's
        /// Bedrock. The first time builds the model's server, which takes minutes
        #[arg(long, value_name = "PROVIDER", num_args = 0..=1, require_equals = true, default_missing_value = "openai")]
        llm: Option<Provider>,
        /// A value for a parameter of infra/template.yaml; may be repeated
        #[arg(long, value_name = "NAME=VALUE", value_parser = parse_parameter, requires = "cloud")]
        parameter: Vec<(String, String)>,
    },
    /// Stops what `up` started, and removes its tasks
    Down {
        #[arg(long, default_value = DEFAULT_NAME)]
        name: String,
    },
    /// Prints the log of the server, or those of the functions of a local cloud
    Logs {
        /// On a local cloud: api, text-worker, image-worker, audio-worker, language-worker, sweeper, reactor or
        /// event-stream; without it, all functions
        function: Option<String>,
        #[arg(long, default_value = DEFAULT_NAME)]
        name: String,
        /// Print new events until Ctrl-C
        #[arg(long)]
        follow: bool,
    },
    /// Builds and verifies the libraries and models that the functions run
    Models {
        /// Evaluate the models too, and write models/QUALITY.md
        #[arg(long)]
        evaluate: bool,
        /// Evaluate one section only; the others keep their figures
        #[arg(long, value_name = "SECTION", requires = "evaluate")]
        only: Option<evaluate::Section>,
    },
    /// Builds the dashboard into .local/web
    Web {
        /// Update the screenshots of docs/DASHBOARD.md, on a stack with fault injection
        #[arg(long)]
        screenshots: bool,
    },
    /// Runs all tests, on local stacks that it starts and stops
    Test {
        /// Only the tests that need no stack
        #[arg(long)]
        unit: bool,
        /// Also the tests that need a small language model on this machine, as an OpenAI-compatible server and through
        /// the local cloud's Bedrock
        #[arg(long, conflicts_with = "unit")]
        llm: bool,
        /// Run the tests of the HTTP API, of the command line and of the dashboard on the local cloud, in place of the
        /// server
        #[arg(long, conflicts_with = "unit")]
        cloud: bool,
        /// Arguments for cargo nextest, such as a filter; then only its tests run
        #[arg(last = true)]
        nextest: Vec<String>,
    },
    /// Runs tasks under random faults, and verifies the guarantees of docs/SEMANTICS.md
    Soak(soak::Args),
    /// Measures cold starts and throughput, beside Python's onnxruntime; or what the subcommand says
    #[command(args_conflicts_with_subcommands = true)]
    Bench {
        #[command(subcommand)]
        what: Option<bench::What>,
        /// One short round, which shows that all of it works, and not how fast
        #[arg(long)]
        quick: bool,
    },
    /// Writes docs/openapi.json from the API's code
    Openapi,
    /// Generates a Python and a TypeScript client from docs/openapi.json, and makes a call with each
    Clients,
    /// Checks formatting, lints, licences, the templates and the vocabulary: everything but the tests
    Check,
    /// Runs the documented commands that take too long for `test`, each at its smallest size
    Smoke,
    /// Makes the release artifacts in .local/release/VERSION: zips, template, bills of materials, checksums
    Release,
}

fn main() -> ExitCode {
    if let Some(code) = guard::run() {
        return code;
    }
    let cli = Cli::parse();
    match signals::install().and_then(|()| run(cli.command)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) if signals::is_interrupted() => ExitCode::from(signals::EXIT_CODE),
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::Demo {
            cloud,
            auth,
            llm,
            keep,
        } => demo::run(
            &Options {
                kind: kind(cloud, llm)?,
                auth,
                llm,
                ..Options::default()
            },
            keep,
        ),
        Command::Up {
            cloud,
            name,
            auth,
            faults,
            llm,
            parameter,
        } => up(
            &name,
            &Options {
                kind: kind(cloud, llm)?,
                auth,
                faults,
                llm,
                parameters: parameter.into_iter().collect(),
                ..Options::default()
            },
        ),
        Command::Down { name } => {
            let was_up = stack::down(&name)?;
            if was_up {
                println!("The stack `{name}` is down.");
            } else {
                println!("There was no stack `{name}` to stop.");
            }
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
                paths::display(&assets),
                fs::read_link(&assets)?.display()
            );
            Ok(())
        }
        Command::Web { screenshots: true } => browser::screenshots(),
        Command::Web { .. } => {
            let page = web::build()?;
            println!("{} -> {}", paths::display(&page), fs::read_link(&page)?.display());
            Ok(())
        }
        Command::Test {
            unit,
            llm,
            cloud,
            nextest,
        } => test::run(unit, llm, kind(cloud, None)?, &nextest),
        Command::Soak(args) => soak::run(&args, None),
        Command::Bench { what, quick } => bench::run(what.as_ref(), quick),
        Command::Openapi => openapi::run(),
        Command::Clients => clients::run(),
        Command::Check => check::run(),
        Command::Smoke => smoke::run(),
        Command::Release => release::run(),
    }
}

/// The kind of stack, if it has the provider.
fn kind(cloud: bool, llm: Option<Provider>) -> Result<Kind> {
    match (cloud, llm) {
        (true, _) => Ok(Kind::Cloud),
        (false, Some(Provider::Bedrock)) => bail!("--llm=bedrock needs the local cloud: add --cloud"),
        (false, _) => Ok(Kind::Server),
    }
}

fn parse_parameter(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((pair.0.to_owned(), pair.1.to_owned()))
}

fn up(name: &str, options: &Options) -> Result<()> {
    let stack = stack::up(name, options)?;
    let settings = stack.settings()?;
    let url = settings.get("AI_MESH_URL").map_or("", String::as_str);
    let what = match options.kind {
        Kind::Cloud => "stack",
        Kind::Server => "server",
    };
    println!("The {what} is up: {url}");
    println!("Its dashboard (sign in with AI_MESH_TOKEN): {url}/");
    println!(
        "To set its address and token in a shell: set -a; . {}; set +a",
        paths::display(&stack.env_file())
    );
    println!("To stop it: {}", stack.down_command());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_the_local_cloud_can_do_names_the_option_for_it() {
        for options in [
            ["demo", "--auth"].as_slice(),
            &["up", "--auth"],
            &["up", "--parameter", "MaxAttempts=2"],
            &["soak", "--broken", "fence"],
        ] {
            let alone = Cli::try_parse_from([&["xtask"], options].concat());
            assert!(alone.unwrap_err().to_string().contains("--cloud"), "{options:?}");
            Cli::try_parse_from([&["xtask"], options, &["--cloud"]].concat()).unwrap();
        }
        let bedrock = kind(false, Some(Provider::Bedrock)).unwrap_err();
        assert!(bedrock.to_string().contains("--cloud"), "{bedrock}");
        assert_eq!(kind(true, Some(Provider::Bedrock)).unwrap(), Kind::Cloud);
        assert_eq!(kind(false, Some(Provider::Openai)).unwrap(), Kind::Server);
    }
}
