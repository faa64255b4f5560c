//! `mesh watch`: follows the change log, in a live table on a terminal, else with one line per change.

mod rows;
mod terminal;

use std::time::Duration;

use anyhow::Result;
use jiff::Timestamp;
use mesh_client::{ChangeList, ChangeView, Client, Error, Filter, MAX_WAIT};
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::args::WatchArgs;
use crate::exit::{self, Exit};
use crate::format;
use crate::screen::{Screen, Style};
use crate::shutdown_signals::ShutdownSignals;
use rows::Rows;
use terminal::Terminal;

/// The pause between two requests for changes. Without it, a busy stack would get as many requests as it can answer.
const CHANGES_PAUSE: Duration = Duration::from_millis(250);
/// With this many changes a response is full, and the log has more.
pub(crate) const FULL_PAGE: usize = 500;
/// How often the table's ages are updated, and the pause after an error.
const TICK: Duration = Duration::from_secs(1);

pub(crate) async fn run(client: &Client, args: &WatchArgs, screen: &Screen) -> Result<Exit> {
    if screen.has_cursor && !screen.json {
        table(client, args).await
    } else {
        lines(client, args, screen).await
    }
}

/// Prints changes until standard output is closed, or a signal ends the program.
async fn lines(client: &Client, args: &WatchArgs, screen: &Screen) -> Result<Exit> {
    let mut after = client.changes(None, Duration::ZERO).await?.next;
    screen.note("watching from now on; press Ctrl-C to end");
    loop {
        let response = match client.changes(Some(&after), MAX_WAIT).await {
            Ok(changes) => changes,
            Err(error) if are_changes_gone(&error) => {
                screen.error("some changes are missing: the log only reaches back ten minutes");
                client.changes(None, Duration::ZERO).await?
            }
            Err(error) => return Err(error.into()),
        };
        let is_wanted = |change: &&ChangeView| args.task_type.is_none_or(|wanted| wanted == change.task_type);
        for change in response.changes.iter().filter(is_wanted) {
            if screen.json {
                screen.value(change)?;
            } else {
                line(change, screen)?;
            }
        }
        sleep(pause_after(&response)).await;
        after = response.next;
    }
}

fn line(change: &ChangeView, screen: &Screen) -> Result<()> {
    let style = change.status.status().map_or(Style::Faint, format::status_style);
    let status = screen.paint(style, &format!("{:<10}", change.status));
    let attempt = if change.attempt > 1 || change.generation > 1 {
        format!(" (generation {}, attempt {})", change.generation, change.attempt)
    } else {
        String::new()
    };
    let time = format::time_of_day(change.updated_at);
    screen.line(format_args!(
        "{time}  {}  {status}  {}{attempt}",
        change.id, change.task_type
    ))?;
    Ok(())
}

/// An empty response came after a long poll, and a full one has more behind it: neither needs a pause.
fn pause_after(response: &ChangeList) -> Duration {
    if response.changes.is_empty() || response.changes.len() >= FULL_PAGE {
        Duration::ZERO
    } else {
        CHANGES_PAUSE
    }
}

enum Update {
    Changes(ChangeList),
    /// The table as read again, after changes were missed.
    Reloaded(Rows),
}

async fn table(client: &Client, args: &WatchArgs) -> Result<Exit> {
    let mut rows = load(client, args).await?;
    let mut signals = ShutdownSignals::listen()?;
    let mut terminal = Terminal::open()?;
    let (sender, mut keys) = mpsc::unbounded_channel();
    terminal::listen(sender);
    let mut tick = tokio::time::interval(TICK);
    let mut has_gap = false;
    let mut pause = Duration::ZERO;
    loop {
        terminal.draw(&rows)?;
        let after = (!has_gap).then(|| rows.next.clone());
        let update = next_update(client, args, after.as_deref(), pause);
        tokio::pin!(update);
        // While the request runs, react to keys and signals, and update the ages.
        let update = loop {
            tokio::select! {
                update = &mut update => break update,
                key = keys.recv() => match key {
                    Some(terminal::Key::Quit) | None => return Ok(Exit::Done),
                    Some(terminal::Key::Resized) => terminal.draw(&rows)?,
                },
                exit = signals.next() => return Ok(exit),
                _ = tick.tick() => terminal.draw(&rows)?,
            }
        };
        match update {
            Ok(Update::Changes(changes)) => {
                pause = pause_after(&changes);
                rows.apply(changes);
            }
            Ok(Update::Reloaded(reloaded)) => {
                rows = reloaded;
                pause = Duration::ZERO;
                has_gap = false;
            }
            Err(error) if !has_gap && are_changes_gone(&error) => {
                pause = Duration::ZERO;
                has_gap = true;
            }
            // An error does not end the watch: show it and try again.
            Err(error) => {
                rows.error = Some(exit::message(&error));
                pause = TICK;
            }
        }
    }
}

async fn next_update(
    client: &Client,
    args: &WatchArgs,
    after: Option<&str>,
    pause: Duration,
) -> Result<Update, Error> {
    sleep(pause).await;
    match after {
        Some(after) => client.changes(Some(after), MAX_WAIT).await.map(Update::Changes),
        None => load(client, args).await.map(Update::Reloaded),
    }
}

/// Reads the newest tasks, and the cursor from which to follow the log.
async fn load(client: &Client, args: &WatchArgs) -> Result<Rows, Error> {
    // The cursor comes first: a change during the list request is then reported twice instead of never.
    let next = client.changes(None, Duration::ZERO).await?.next;
    let filter = Filter {
        task_type: args.task_type,
        limit: Some(100),
        ..Filter::default()
    };
    let newest = client.list(&filter, None).await?;
    Ok(Rows::new(newest.tasks, next, args.task_type, Timestamp::now()))
}

/// Whether the change log no longer reaches back to the cursor.
pub(crate) fn are_changes_gone(error: &Error) -> bool {
    matches!(error, Error::Problem(problem) if problem.slug() == "changes-gone")
}
