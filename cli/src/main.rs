//! `mesh`: the command line of AI Mesh. Each command is a module; what it prints goes through [`screen::Screen`], and
//! how it ends is an [`exit::Exit`] that scripts can branch on. Only the API is spoken to, by its typed client.

mod annotate;
mod args;
mod batch;
mod config;
mod dead;
mod doctor;
mod ends;
mod exit;
mod gather;
mod input;
mod inspect;
mod list;
mod screen;
mod stack;
mod submit;
mod table;
mod tasks;
mod watch;
mod words;

use std::process::ExitCode;

use anyhow::Result;
use clap::{CommandFactory, Parser};

use args::{Cli, Command};
use exit::Exit;
use screen::Screen;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let screen = Screen::new(cli.global.json);
    let ended = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Into::into)
        .and_then(|runtime| runtime.block_on(run(cli, &screen)));
    let exit = ended.unwrap_or_else(|error| {
        let (exit, told) = exit::of(&error);
        if let Some(told) = told {
            screen.complain(&told);
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
        // It says itself what is wrong with the settings.
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
        Command::Dead(command) => dead::run(&config::client(global)?, &command, screen).await,
        Command::Stats => stack::stats(&config::client(global)?, screen).await,
        Command::Workers => stack::workers(&config::client(global)?, screen).await,
        Command::Models => stack::models(&config::client(global)?, screen).await,
    }
}
