//! `mesh watch`: follows the change log. On a terminal as a live table, else a line for each change.

mod rows;
mod terminal;

use std::time::Duration;

use anyhow::Result;
use jiff::Timestamp;
use mesh_client::{Change, Client, Error, Filter};
use mesh_task::Status;
use tokio::sync::mpsc;

use crate::args::WatchArgs;
use crate::exit::Exit;
use crate::screen::{Screen, Style};
use crate::words;
use rows::Rows;
use terminal::Terminal;

/// What one request is held for.
const WAIT: Duration = Duration::from_secs(20);
/// Ages are told anew so often.
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
    screen.note("watching from now on; Ctrl-C ends it")?;
    loop {
        let seen = match client.changes(Some(&after), WAIT).await {
            Ok(seen) => seen,
            Err(error) if are_gone(&error) => {
                screen.complain("some changes were missed: they are kept for ten minutes")?;
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

async fn table(client: &Client, args: &WatchArgs) -> Result<Exit> {
    let mut rows = fresh(client, args).await?;
    let mut terminal = Terminal::open()?;
    let (keys, mut pressed) = mpsc::unbounded_channel();
    terminal::listen(keys);
    let mut tick = tokio::time::interval(TICK);
    loop {
        terminal.draw(&rows)?;
        let after = rows.next.clone();
        let follow = client.changes(Some(&after), WAIT);
        tokio::pin!(follow);
        // Keys and ticks redraw while the same request goes on.
        let seen = loop {
            tokio::select! {
                seen = &mut follow => break seen,
                key = pressed.recv() => match key {
                    Some(terminal::Key::Quit) | None => return Ok(Exit::Done),
                    Some(terminal::Key::Resized) => terminal.draw(&rows)?,
                },
                _ = tick.tick() => terminal.draw(&rows)?,
            }
        };
        match seen {
            Ok(seen) => rows.follow(seen),
            Err(error) if are_gone(&error) => rows = fresh(client, args).await?,
            // A watch outlives what a stack may do meanwhile: it says so and asks again.
            Err(error) => {
                rows.trouble = Some(crate::exit::in_words(&error));
                terminal.draw(&rows)?;
                tokio::time::sleep(TICK).await;
            }
        }
    }
}

/// The newest tasks, and from where to follow on.
async fn fresh(client: &Client, args: &WatchArgs) -> Result<Rows> {
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
