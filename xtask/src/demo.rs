//! `cargo xtask demo`: a task of each type through the whole path, from HTTP to answer.

mod examples;

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use self::examples::Example;
use crate::http::Client;
use crate::llm::Provider;
use crate::models;
use crate::stack::{self, DEFAULT_NAME, Options, Place};
use crate::{interrupt, paths};

/// The stack that the demo starts for itself.
const NAME: &str = "demo";

/// What a task that needs a language model fails with on a stack that has none.
const NOT_CONFIGURED: &str = "provider_not_configured";

/// Far above what any of them takes.
const PATIENCE: Duration = Duration::from_secs(120);

/// The widest that an input or an answer is shown.
const CELL: usize = 56;

pub(crate) fn run(auth: bool, llm: Option<Provider>, keep: bool) -> Result<()> {
    let options = Options {
        auth,
        llm,
        ..Options::default()
    };
    if keep {
        let place = stack::up(DEFAULT_NAME, &options)?;
        show(&place)?;
        println!("\nThe stack stays up: `{}` stops it.", place.down_command());
    } else if let Some(place) = stack::running(DEFAULT_NAME, &options)? {
        eprintln!("- using the stack that `cargo xtask up` started");
        show(&place)?;
        println!("\nThe stack stays up: `{}` stops it.", place.down_command());
    } else {
        let stack = stack::attached(NAME, &options)?;
        show(&stack.place)?;
        drop(stack);
        println!("\nThe stack is stopped again: `cargo xtask up` starts one that stays.");
    }
    Ok(())
}

fn show(place: &Place) -> Result<()> {
    let settings = stack::parse_env(&fs::read_to_string(place.env())?)?;
    let setting = |name: &str| {
        settings
            .get(name)
            .with_context(|| format!("stack.env has no {name}"))
    };
    let url = setting("AI_MESH_URL")?;
    let client = Client::new(url, setting("AI_MESH_TOKEN")?);
    println!("\n{}", Row::HEADER);
    let mut needs_model = false;
    for example in examples::all(&models::ensure()?)? {
        let row = Row::of(&client, &example)?;
        needs_model |= row.answer.contains(NOT_CONFIGURED);
        println!("{}", row.line());
    }
    println!("\nfirst: from submit to answer, starting what must start; again: sent once more.");
    if needs_model {
        println!("A language model is needed for some: `cargo xtask demo --llm` brings a small one.");
    }

    println!("\ndashboard {url}/ (sign in with AI_MESH_TOKEN)");
    println!("API       {url}/v1/tasks");
    println!("health    {url}/health");
    println!(
        "settings  {} (address, token, AWS variables)",
        paths::shown(&place.env())
    );
    Ok(())
}

/// A line of the table.
struct Row {
    task_type: &'static str,
    of: String,
    answer: String,
    first: Duration,
    again: Duration,
}

impl Row {
    const HEADER: &'static str = "| type | of | answer | first | again |\n| --- | --- | --- | ---: | ---: |";

    /// Runs the task twice: the first run may have to start its functions, the second finds them warm.
    fn of(client: &Client, example: &Example) -> Result<Self> {
        let (task, first) = submit(client, example)?;
        let (_, again) = submit(client, example)?;
        let answer = match word(&task, "status")? {
            "completed" => (example.answer)(&task["result"])
                .with_context(|| format!("{} answered {}", example.task_type, task["result"]))?,
            // No model is set up, or a small one is out of its depth.
            "failed" if example.asks_language_model => {
                format!("failed: {}", word(&task["error"], "code")?)
            }
            status => bail!("the {} task is {status}: {}", example.task_type, task["error"]),
        };
        Ok(Self {
            task_type: example.task_type,
            of: short(&example.of),
            answer: short(&answer),
            first,
            again,
        })
    }

    fn line(&self) -> String {
        let (first, again) = (self.first.as_millis(), self.again.as_millis());
        format!(
            "| {} | {} | {} | {first} ms | {again} ms |",
            self.task_type, self.of, self.answer
        )
    }
}

/// In one line of a table, cut where it is too long for it.
fn short(text: &str) -> String {
    let line = text
        .replace('|', "/")
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    if line.chars().count() <= CELL {
        return line;
    }
    let cut: String = line.chars().take(CELL - 3).collect();
    format!("{}...", cut.trim_end())
}

/// The task once it is final, and how long that took.
fn submit(client: &Client, example: &Example) -> Result<(Value, Duration)> {
    let started = Instant::now();
    let task = json!({"type": example.task_type, "input": example.input});
    let accepted = client.post("/v1/tasks", &task)?;
    let id = word(&accepted, "id")?.to_owned();
    loop {
        interrupt::check()?;
        let task = client.get(&format!("/v1/tasks/{id}?wait=20"))?;
        match word(&task, "status")? {
            "completed" | "failed" | "cancelled" => return Ok((task, started.elapsed())),
            status if started.elapsed() > PATIENCE => {
                bail!("the task {id} is still {status} after {PATIENCE:?}; `cargo xtask logs` may tell why")
            }
            _ => {}
        }
    }
}

fn word<'a>(value: &'a Value, name: &str) -> Result<&'a str> {
    value[name]
        .as_str()
        .with_context(|| format!("the answer has no {name}: {value}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_one_line_of_the_table_and_not_too_wide() {
        assert_eq!(short("a\n b|c"), "a b/c");
        let long = short(&"ä ".repeat(100));
        assert!(long.chars().count() <= CELL && long.ends_with("ä..."), "{long}");
    }
}
