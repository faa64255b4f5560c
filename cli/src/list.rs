//! `mesh list`.

use anyhow::Result;
use jiff::Timestamp;
use mesh_client::{Client, Filter, TaskSummaryView};
use mesh_task::Priority;

use crate::args::ListArgs;
use crate::exit::Exit;
use crate::format;
use crate::screen::Screen;
use crate::table::{Cell, Table};

/// The API's largest page.
const MAX_PAGE: usize = 200;

pub(crate) async fn run(client: &Client, args: &ListArgs, screen: &Screen) -> Result<Exit> {
    let max = if args.all { usize::MAX } else { args.limit.get() };
    let filter = Filter {
        status: args.status,
        task_type: args.task_type,
        priority: args.priority,
        created_after: args.since,
        created_before: args.until,
        metadata: args.metadata.iter().cloned().collect(),
        limit: u32::try_from(max.min(MAX_PAGE)).ok(),
    };
    if !screen.json {
        table(&client.list_all(&filter, max).await?, screen)?;
        return Ok(Exit::Done);
    }
    // Prints page by page, so that the first lines of a long list appear at once.
    let (mut left, mut cursor) = (max, None);
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

fn table(tasks: &[TaskSummaryView], screen: &Screen) -> Result<()> {
    if tasks.is_empty() {
        screen.note("no tasks");
        return Ok(());
    }
    let now = Timestamp::now();
    let mut table = Table::new(["ID", "TYPE", "STATUS", "TRY", "AGE", "NOTE"]);
    for task in tasks {
        let mut note = match &task.error {
            Some(error) => format::failure(error),
            None => format::metadata(&task.metadata),
        };
        if task.priority != Priority::Normal {
            let gap = if note.is_empty() { "" } else { ", " };
            note = format!("{} priority{gap}{note}", task.priority.as_str());
        }
        table.row([
            task.id.to_string().into(),
            task.task_type.as_str().into(),
            Cell::styled(format::status_style(task.status), task.status.as_str()),
            format!("{}/{}", task.attempt, task.max_attempts).into(),
            format::age(task.created_at, now).into(),
            note.into(),
        ]);
    }
    table.print(screen)?;
    Ok(())
}
