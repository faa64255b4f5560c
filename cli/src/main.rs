//! `mesh`: the command line of AI Mesh. Each command is a module. Its output goes through [`screen::Screen`], and it
//! ends with an [`exit::Exit`] that scripts can branch on. All requests go through the typed client.

mod annotate;
mod args;
mod batch;
mod config;
mod dead_letters;
mod doctor;
#[cfg(test)]
mod documented;
mod exit;
mod format;
mod input;
mod inspect;
mod list;
mod screen;
mod shutdown_signals;
mod stack;
mod submit;
mod table;
mod task_waiter;
mod tasks;
mod watch;

use std::process::ExitCode;

use anyhow::Result;
use clap::{CommandFactory, Parser};

use args::{Cli, Command};
use exit::Exit;
use screen::Screen;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let screen = Screen::new(cli.global.json);
    let result = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Into::into)
        .and_then(|runtime| runtime.block_on(run(cli, &screen)));
    let exit = result.unwrap_or_else(|error| {
        let (exit, message) = exit::from_error(&error);
        if let Some(message) = message {
            screen.error(&message);
        }
        exit
    });
    ExitCode::from(exit as u8)
}

async fn run(cli: Cli, screen: &Screen) -> Result<Exit> {
    let global = &cli.global;
    match cli.command {
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "mesh", &mut script);
            screen.raw(&script)?;
            Ok(Exit::Done)
        }
        // It reads the settings itself, so that it can report what is wrong with them.
        Command::Doctor => doctor::run(global, screen).await,
        Command::Submit(args) => submit::run(&config::client(global)?, *args, screen).await,
        Command::Batch(args) => batch::run(&config::client(global)?, &args, screen).await,
        Command::Status { id } => tasks::status(&config::client(global)?, id, screen).await,
        Command::List(args) => list::run(&config::client(global)?, &args, screen).await,
        Command::Result(args) => tasks::result(&config::client(global)?, &args, screen).await,
        Command::Cancel { ids } => tasks::cancel(&config::client(global)?, &ids, screen).await,
        Command::Retry { ids } => tasks::retry(&config::client(global)?, &ids, screen).await,
        Command::Wait(args) => tasks::wait(&config::client(global)?, &args, screen).await,
        Command::Inspect { id } => inspect::run(&config::client(global)?, id, screen).await,
        Command::Watch(args) => watch::run(&config::client(global)?, &args, screen).await,
        Command::DeadLetters(command) => dead_letters::run(&config::client(global)?, &command, screen).await,
        Command::Stats => stack::stats(&config::client(global)?, screen).await,
        Command::Workers => stack::workers(&config::client(global)?, screen).await,
        Command::Models => stack::models(&config::client(global)?, screen).await,
    }
}
