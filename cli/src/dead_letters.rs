//! `mesh dead-letters`: tasks that failed after all their attempts.

use anyhow::Result;
use jiff::Timestamp;
use mesh_client::{Client, RedriveTarget, TaskView};
use mesh_task::TaskType;

use crate::args::DeadLettersCommand;
use crate::exit::Exit;
use crate::screen::Screen;
use crate::table::Table;
use crate::{format, inspect};

/// The most ids that one request to redrive may contain.
const MAX_IDS: usize = 100;

pub(crate) async fn run(client: &Client, command: &DeadLettersCommand, screen: &Screen) -> Result<Exit> {
    match command {
        DeadLettersCommand::List {
            task_type,
            limit,
            all,
        } => {
            let max = if *all { usize::MAX } else { limit.get() };
            list(client, *task_type, max, screen).await?;
            Ok(Exit::Done)
        }
        DeadLettersCommand::Show { id } => inspect::run(client, *id, screen).await,
        DeadLettersCommand::Redrive { ids, task_type, .. } => {
            let mut counts = Counts::default();
            match (&ids[..], task_type) {
                ([], Some(task_type)) => {
                    counts
                        .redrive(client, &RedriveTarget::Type(*task_type), screen)
                        .await?;
                }
                ([], None) => counts.redrive(client, &RedriveTarget::All, screen).await?,
                (ids, _) => {
                    for ids in ids.chunks(MAX_IDS) {
                        counts
                            .redrive(client, &RedriveTarget::Ids(ids.to_vec()), screen)
                            .await?;
                    }
                }
            }
            screen.note(&format!(
                "{} redriven{}",
                format::count(counts.redriven, "dead letter"),
                if counts.skipped == 0 {
                    String::new()
                } else {
                    format!(", {} skipped", counts.skipped)
                }
            ));
            Ok(if counts.skipped == 0 {
                Exit::Done
            } else {
                Exit::Failed
            })
        }
    }
}

#[derive(Default)]
struct Counts {
    redriven: usize,
    skipped: usize,
}

impl Counts {
    /// Redrives page by page until there are no more dead letters.
    async fn redrive(&mut self, client: &Client, target: &RedriveTarget, screen: &Screen) -> Result<()> {
        let mut cursor = None;
        loop {
            let page = client.redrive(target, cursor).await?;
            if screen.json {
                screen.value(&page)?;
            } else {
                for id in &page.redriven {
                    screen.line(id)?;
                }
                for id in &page.skipped {
                    screen.error(&format!(
                        "{id} is not a dead letter: use mesh retry for other failed tasks"
                    ));
                }
            }
            self.redriven += page.redriven.len();
            self.skipped += page.skipped.len();
            cursor = page.next_cursor;
            if cursor.is_none() {
                return Ok(());
            }
        }
    }
}

async fn list(client: &Client, task_type: Option<TaskType>, max: usize, screen: &Screen) -> Result<()> {
    let mut letters: Vec<TaskView> = Vec::new();
    let mut cursor = None;
    while letters.len() < max {
        let page = client.dead_letters(task_type, cursor).await?;
        letters.extend(page.dead_letters);
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    letters.truncate(max);
    if screen.json {
        for letter in &letters {
            screen.value(letter)?;
        }
        return Ok(());
    }
    if letters.is_empty() {
        screen.note("no dead letters");
        return Ok(());
    }
    let now = Timestamp::now();
    let mut table = Table::new(["ID", "TYPE", "GENERATION", "TRIES", "DIED", "ERROR"]);
    for letter in &letters {
        table.row([
            letter.id.to_string().into(),
            letter.task_type.as_str().into(),
            letter.generation.to_string().into(),
            letter.attempt.to_string().into(),
            format!("{} ago", format::age(letter.updated_at, now)).into(),
            letter
                .error
                .as_ref()
                .map(format::failure)
                .unwrap_or_default()
                .into(),
        ]);
    }
    table.print(screen)?;
    Ok(())
}
