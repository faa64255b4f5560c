//! `cargo xtask demo`: one sentence and one photograph through the whole path, from HTTP to answer.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::http::Client;
use crate::models;
use crate::stack::{self, DEFAULT_NAME, Options, Place};
use crate::{interrupt, paths};

/// The stack that the demo starts for itself.
const NAME: &str = "demo";

const SENTENCE: &str = "I loved every minute of it: warm, funny and beautifully played.";

/// From the assets' test data: Eileen Collins, photographed by NASA.
const PHOTOGRAPH: &str = "testdata/astronaut.png";

/// Far above what either task takes.
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) fn run(auth: bool, keep: bool) -> Result<()> {
    let options = Options {
        auth,
        ..Options::default()
    };
    if keep {
        let place = stack::up(DEFAULT_NAME, &options)?;
        show(&place)?;
        println!("\nThe stack stays up: `{}` stops it.", place.down_command());
    } else if let Some(place) = stack::running(DEFAULT_NAME, auth)? {
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
    let photograph = models::ensure()?.join(PHOTOGRAPH);
    let image = fs::read(&photograph).with_context(|| format!("can't read {}", paths::shown(&photograph)))?;

    println!("\nsentiment of \"{SENTENCE}\"");
    let text = json!({"type": "sentiment", "input": {"text": SENTENCE}});
    let answer = timed(&client, &text)?;
    println!(
        "  {} with score {:.3}",
        word(&answer.result, "label")?,
        number(&answer.result, "score")?
    );
    answer.print_times();

    println!(
        "\nface_detection in {} ({} kB)",
        paths::shown(&photograph),
        image.len() / 1000
    );
    let picture = json!({"type": "face_detection", "input": {"image": STANDARD.encode(&image)}});
    let answer = timed(&client, &picture)?;
    println!("  count {}", number(&answer.result, "count")?);
    for face in answer.result["faces"]
        .as_array()
        .context("the result has no faces")?
    {
        let bounds = &face["box"];
        println!(
            "  box x {:.0} y {:.0} width {:.0} height {:.0} pixels, score {:.3}",
            number(bounds, "x")?,
            number(bounds, "y")?,
            number(bounds, "width")?,
            number(bounds, "height")?,
            number(face, "score")?
        );
    }
    answer.print_times();

    println!("\nAPI       {url}/v1/tasks");
    println!("health    {url}/health");
    println!(
        "settings  {} (address, token, AWS variables)",
        paths::shown(&place.env())
    );
    Ok(())
}

struct Answer {
    result: Value,
    first: Duration,
    second: Duration,
}

impl Answer {
    fn print_times(&self) {
        let (first, second) = (self.first.as_millis(), self.second.as_millis());
        println!("  from submit to answer: {first} ms; sent once more: {second} ms");
    }
}

/// Runs the task twice: the first run may have to start its functions, the second finds them warm.
fn timed(client: &Client, task: &Value) -> Result<Answer> {
    let (result, first) = submit(client, task)?;
    let (_, second) = submit(client, task)?;
    Ok(Answer {
        result,
        first,
        second,
    })
}

fn submit(client: &Client, task: &Value) -> Result<(Value, Duration)> {
    let started = Instant::now();
    let accepted = client.post("/v1/tasks", task)?;
    let id = word(&accepted, "id")?.to_owned();
    loop {
        interrupt::check()?;
        let mut task = client.get(&format!("/v1/tasks/{id}?wait=20"))?;
        match word(&task, "status")? {
            "completed" => return Ok((task["result"].take(), started.elapsed())),
            "failed" => bail!("the task {id} failed: {}", task["error"]),
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

fn number(value: &Value, name: &str) -> Result<f64> {
    value[name]
        .as_f64()
        .with_context(|| format!("the answer has no {name}: {value}"))
}
