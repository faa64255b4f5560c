//! `mesh watch`: follows the change log. On a terminal as a live table, else a line for each change.

mod rows;
mod terminal;

use std::time::Duration;

use anyhow::Result;
use jiff::Timestamp;
use mesh_client::{Change, Changes, Client, Error, Filter};
use mesh_task::Status;
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::args::WatchArgs;
use crate::ends::Ends;
use crate::exit::Exit;
use crate::screen::{Screen, Style};
use crate::words;
use rows::Rows;
use terminal::Terminal;

/// What one request is held for.
const WAIT: Duration = Duration::from_secs(20);
/// So long changes gather before they are asked for: a busy stack is asked a few times a second, and not as fast as it
/// answers.
const PAUSE: Duration = Duration::from_millis(250);
/// An answer with as many changes has more behind it.
pub(crate) const FULL: usize = 500;
/// Ages are told anew so often, and a stack that does not answer is asked again.
const TICK: Duration = Duration::from_secs(1);

pub(crate) async fn run(client: &Client, args: &WatchArgs, screen: &Screen) -> Result<Exit> {
    if screen.has_cursor && !screen.json {
        table(client, args).await
    } else {
        lines(client, args, screen).await
    }
}

/// Goes on until the reader goes, or is interrupted.
async fn lines(client: &Client, args: &WatchArgs, screen: &Screen) -> Result<Exit> {
    let mut after = client.changes(None, Duration::ZERO).await?.next;
    screen.note("watching from now on; Ctrl-C ends it");
    loop {
        let seen = match client.changes(Some(&after), WAIT).await {
            Ok(seen) => seen,
            Err(error) if are_gone(&error) => {
                screen.complain("some changes were missed: they are kept for ten minutes");
                client.changes(None, Duration::ZERO).await?
            }
            Err(error) => return Err(error.into()),
        };
        let wanted = |change: &&Change| args.task_type.is_none_or(|wanted| wanted == change.task_type);
        for change in seen.changes.iter().filter(wanted) {
            if screen.json {
                screen.value(change)?;
            } else {
                line(change, screen)?;
            }
        }
        sleep(pause_after(&seen)).await;
        after = seen.next;
    }
}

fn line(change: &Change, screen: &Screen) -> Result<()> {
    let style = Status::named(&change.status).map_or(Style::Faint, words::style);
    let status = screen.paint(style, &format!("{:<10}", change.status));
    let again = if change.attempt > 1 || change.generation > 1 {
        format!(" (generation {}, attempt {})", change.generation, change.attempt)
    } else {
        String::new()
    };
    let time = words::clock(change.updated_at);
    screen.line(format_args!(
        "{time}  {}  {status}  {}{again}",
        change.id, change.task_type
    ))?;
    Ok(())
}

/// How long the changes after these may gather. An answer without any was waited for.
fn pause_after(seen: &Changes) -> Duration {
    if seen.changes.is_empty() || seen.changes.len() >= FULL {
        Duration::ZERO
    } else {
        PAUSE
    }
}

/// What is heard next.
enum Heard {
    More(Changes),
    /// What was missed is made up for.
    Anew(Rows),
}

async fn table(client: &Client, args: &WatchArgs) -> Result<Exit> {
    let mut rows = fresh(client, args).await?;
    let mut ends = Ends::listen()?;
    let mut terminal = Terminal::open()?;
    let (keys, mut pressed) = mpsc::unbounded_channel();
    terminal::listen(keys);
    let mut tick = tokio::time::interval(TICK);
    let mut has_gap = false;
    let mut pause = Duration::ZERO;
    loop {
        terminal.draw(&rows)?;
        let after = (!has_gap).then(|| rows.next.clone());
        let heard = hear(client, args, after.as_deref(), pause);
        tokio::pin!(heard);
        // Whatever is waited for, keys and signals are heeded and ages told.
        let heard = loop {
            tokio::select! {
                heard = &mut heard => break heard,
                key = pressed.recv() => match key {
                    Some(terminal::Key::Quit) | None => return Ok(Exit::Done),
                    Some(terminal::Key::Resized) => terminal.draw(&rows)?,
                },
                exit = ends.next() => return Ok(exit),
                _ = tick.tick() => terminal.draw(&rows)?,
            }
        };
        match heard {
            Ok(Heard::More(seen)) => {
                pause = pause_after(&seen);
                rows.follow(seen);
            }
            Ok(Heard::Anew(read)) => {
                rows = read;
                pause = Duration::ZERO;
                has_gap = false;
            }
            Err(error) if !has_gap && are_gone(&error) => {
                pause = Duration::ZERO;
                has_gap = true;
            }
            // A watch outlives what a stack may do meanwhile: it says so and asks again.
            Err(error) => {
                rows.trouble = Some(crate::exit::in_words(&error));
                pause = TICK;
            }
        }
    }
}

async fn hear(
    client: &Client,
    args: &WatchArgs,
    after: Option<&str>,
    pause: Duration,
) -> Result<Heard, Error> {
    sleep(pause).await;
    match after {
        Some(after) => client.changes(Some(after), WAIT).await.map(Heard::More),
        None => fresh(client, args).await.map(Heard::Anew),
    }
}

/// The newest tasks, and from where to follow on.
async fn fresh(client: &Client, args: &WatchArgs) -> Result<Rows, Error> {
    // The cursor first: what happens while the list is read is told again, and lost otherwise.
    let next = client.changes(None, Duration::ZERO).await?.next;
    let filter = Filter {
        task_type: args.task_type,
        limit: Some(100),
        ..Filter::default()
    };
    let newest = client.list(&filter, None).await?;
    Ok(Rows::new(newest.tasks, next, args.task_type, Timestamp::now()))
}

/// Whether the log does not reach back so far any more.
pub(crate) fn are_gone(error: &Error) -> bool {
    matches!(error, Error::Problem(problem) if problem.slug() == "changes-gone")
}
