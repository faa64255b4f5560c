//! `cargo xtask demo`: runs a task of each type through the whole path, from the HTTP request to the result.

mod examples;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use mesh_supervisor::signals;
use serde_json::{Value, json};

use self::examples::Example;
use crate::http::Client;
use crate::paths;
use crate::stack::{self, DEFAULT_NAME, Kind, Options, StackDir};

/// The stack that the demo starts if the default stack is not up.
const NAME: &str = "demo";

/// The error code of a task that needs a language model, where there is none.
const NOT_CONFIGURED: &str = "provider_not_configured";

/// Far more than any of the tasks takes.
const TASK_TIMEOUT: Duration = Duration::from_secs(120);

/// The maximum width of an input or a result in the table, in characters.
const MAX_CELL_CHARS: usize = 56;

pub(crate) fn run(options: &Options, keep: bool) -> Result<()> {
    let (what, cloud) = match options.kind {
        Kind::Cloud => ("stack", " --cloud"),
        Kind::Server => ("server", ""),
    };
    if keep {
        let stack = stack::up(DEFAULT_NAME, options)?;
        run_examples(&stack, options.kind)?;
        println!("\nThe {what} stays up. To stop it: {}", stack.down_command());
    } else if let Some(stack) = stack::running(DEFAULT_NAME, options)? {
        eprintln!("- using the {what} that `cargo xtask up` started");
        run_examples(&stack, options.kind)?;
        println!("\nThe {what} stays up. To stop it: {}", stack.down_command());
    } else {
        let stack = stack::attached(NAME, options)?;
        run_examples(&stack.dir, options.kind)?;
        drop(stack);
        println!("\nThe {what} is stopped. To start one that stays up: cargo xtask up{cloud}");
    }
    Ok(())
}

fn run_examples(stack: &StackDir, kind: Kind) -> Result<()> {
    let settings = stack.settings()?;
    let setting = |name: &str| {
        settings
            .get(name)
            .with_context(|| format!("stack.env has no {name}"))
    };
    let url = setting("AI_MESH_URL")?;
    let client = Client::new(url, setting("AI_MESH_TOKEN")?);
    println!("\n{}", Row::HEADER);
    let mut without_provider = Vec::new();
    for example in examples::all(&paths::assets())? {
        match Row::measure(&client, &example)? {
            Some(row) => println!("{}", row.line()),
            None => without_provider.push(example.task_type),
        }
    }
    println!(
        "\nfirst: from submission to result, with the start of the model; again: the same task once more."
    );
    if !without_provider.is_empty() {
        println!(
            "Not shown, since they need a language model: {}. `cargo xtask demo --llm` adds a small one.",
            without_provider.join(", ")
        );
    }

    println!("\ndashboard {url}/ (sign in with AI_MESH_TOKEN)");
    println!("API       {url}/v1/tasks");
    println!("health    {url}/health");
    let contents = match kind {
        Kind::Cloud => "address, token, AWS variables",
        Kind::Server => "address, token",
    };
    println!("settings  {} ({contents})", paths::display(&stack.env_file()));
    Ok(())
}

/// A row of the table.
struct Row {
    task_type: &'static str,
    input: String,
    result: String,
    first: Duration,
    again: Duration,
}

impl Row {
    const HEADER: &'static str =
        "| type | input | result | first | again |\n| --- | --- | --- | ---: | ---: |";

    /// Runs the task twice: the first run includes the start of what runs it. Returns nothing if there is no provider for
    /// the type.
    fn measure(client: &Client, example: &Example) -> Result<Option<Self>> {
        let (task, first) = submit(client, example)?;
        if example.needs_language_model && task["error"]["code"] == NOT_CONFIGURED {
            return Ok(None);
        }
        let (_, again) = submit(client, example)?;
        let result = match text_field(&task, "status")? {
            "completed" => (example.summarize)(&task["result"]).with_context(|| {
                format!(
                    "unexpected result of the {} task: {}",
                    example.task_type, task["result"]
                )
            })?,
            // The small language model gave a poor answer.
            "failed" if example.needs_language_model => {
                format!("failed: {}", text_field(&task["error"], "code")?)
            }
            status => bail!("the {} task is {status}: {}", example.task_type, task["error"]),
        };
        Ok(Some(Self {
            task_type: example.task_type,
            input: truncate(&example.description),
            result: truncate(&result),
            first,
            again,
        }))
    }

    fn line(&self) -> String {
        let (first, again) = (self.first.as_millis(), self.again.as_millis());
        format!(
            "| {} | {} | {} | {first} ms | {again} ms |",
            self.task_type, self.input, self.result
        )
    }
}

/// Makes a table cell of a text: one line, truncated to [`MAX_CELL_CHARS`].
fn truncate(text: &str) -> String {
    let line = text
        .replace('|', "/")
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    if line.chars().count() <= MAX_CELL_CHARS {
        return line;
    }
    let cut: String = line.chars().take(MAX_CELL_CHARS - 3).collect();
    format!("{}...", cut.trim_end())
}

/// Submits a task and waits for its end. Returns the task and the time that it took.
fn submit(client: &Client, example: &Example) -> Result<(Value, Duration)> {
    let started = Instant::now();
    let task = json!({"type": example.task_type, "input": example.input});
    let accepted = client.post("/v1/tasks", &task)?;
    let id = text_field(&accepted, "id")?.to_owned();
    loop {
        signals::check()?;
        let task = client.get(&format!("/v1/tasks/{id}?wait=20"))?;
        match text_field(&task, "status")? {
            "completed" | "failed" | "cancelled" => return Ok((task, started.elapsed())),
            status if started.elapsed() > TASK_TIMEOUT => {
                bail!("the task {id} is still {status} after {TASK_TIMEOUT:?}: look at `cargo xtask logs`")
            }
            _ => {}
        }
    }
}

fn text_field<'a>(value: &'a Value, name: &str) -> Result<&'a str> {
    value[name]
        .as_str()
        .with_context(|| format!("the response has no {name}: {value}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_one_line_of_limited_width() {
        assert_eq!(truncate("a\n b|c"), "a b/c");
        let long = truncate(&"ä ".repeat(100));
        assert!(
            long.chars().count() <= MAX_CELL_CHARS && long.ends_with("ä..."),
            "{long}"
        );
    }
}
