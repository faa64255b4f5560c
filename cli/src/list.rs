//! `mesh list`.

use anyhow::Result;
use jiff::Timestamp;
use mesh_client::{Client, Filter, TaskSummary};
use mesh_task::Priority;

use crate::args::ListArgs;
use crate::exit::Exit;
use crate::screen::Screen;
use crate::table::{Cell, Table};
use crate::words;

/// The most that the API gives at a time.
const PAGE: usize = 200;

pub(crate) async fn run(client: &Client, args: &ListArgs, screen: &Screen) -> Result<Exit> {
    let most = if args.all { usize::MAX } else { args.limit.get() };
    let filter = Filter {
        status: args.status,
        task_type: args.task_type,
        priority: args.priority,
        created_after: args.since,
        created_before: args.until,
        metadata: args.metadata.iter().cloned().collect(),
        limit: u32::try_from(most.min(PAGE)).ok(),
    };
    if !screen.json {
        table(&client.list_all(&filter, most).await?, screen)?;
        return Ok(Exit::Done);
    }
    // Page by page, so that the first lines of a long list come at once.
    let (mut left, mut cursor) = (most, None);
    while left > 0 {
        let page = client.list(&filter, cursor.as_deref()).await?;
        for task in page.tasks.iter().take(left) {
            screen.value(task)?;
        }
        left = left.saturating_sub(page.tasks.len());
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    Ok(Exit::Done)
}

fn table(tasks: &[TaskSummary], screen: &Screen) -> Result<()> {
    if tasks.is_empty() {
        screen.note("no tasks");
        return Ok(());
    }
    let now = Timestamp::now();
    let mut table = Table::new(["ID", "TYPE", "STATUS", "TRY", "AGE", "NOTE"]);
    for task in tasks {
        let mut note = match &task.error {
            Some(error) => words::failure(error),
            None => words::metadata(&task.metadata),
        };
        if task.priority != Priority::Normal {
            let gap = if note.is_empty() { "" } else { ", " };
            note = format!("{} priority{gap}{note}", task.priority.as_str());
        }
        table.row([
            task.id.to_string().into(),
            task.task_type.as_str().into(),
            Cell::styled(words::style(task.status), task.status.as_str()),
            format!("{}/{}", task.attempt, task.max_attempts).into(),
            words::ago(task.created_at, now).into(),
            note.into(),
        ]);
    }
    table.print(screen)?;
    Ok(())
}
