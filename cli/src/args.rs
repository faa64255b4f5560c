//! The command line's arguments.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use jiff::{SignedDuration, Timestamp};
use mesh_task::{Priority, Status, TaskId, TaskType};

#[derive(Debug, Parser)]
#[command(
    name = "mesh",
    version,
    about = "Submit AI tasks, follow them, and manage a stack",
    after_help = "AI_MESH_URL and AI_MESH_TOKEN select the stack, or a profile in ~/.config/ai-mesh/config.toml.\n\
                  Exit codes: 0 done, 1 a task failed or was cancelled, 2 usage error, 3 API unavailable,\n\
                  4 request refused, 124 task not final yet, 130 interrupted."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Args)]
pub(crate) struct Global {
    /// Use this profile of the configuration file instead of the environment
    #[arg(long, global = true, value_name = "NAME", help_heading = "Global options")]
    pub(crate) profile: Option<String>,
    /// Use this API address instead of AI_MESH_URL
    #[arg(long, global = true, value_name = "URL", help_heading = "Global options")]
    pub(crate) url: Option<String>,
    /// Read the token from a file instead of AI_MESH_TOKEN; - is standard input
    #[arg(long, global = true, value_name = "FILE", help_heading = "Global options")]
    pub(crate) token_file: Option<PathBuf>,
    /// Print JSON, one value per line
    #[arg(long, global = true, help_heading = "Global options")]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Submit a task and print its id, or with --wait its result
    Submit(Box<SubmitArgs>),
    /// Submit each line of a JSONL or CSV file and collect the results; the same command resumes an
    /// interrupted batch
    Batch(BatchArgs),
    /// Show a task
    Status {
        #[arg(value_name = "ID")]
        id: TaskId,
    },
    /// List tasks, newest first
    List(ListArgs),
    /// Print a task's result as JSON
    Result(ResultArgs),
    /// Cancel tasks that are not final
    Cancel {
        #[arg(value_name = "ID", required = true)]
        ids: Vec<TaskId>,
    },
    /// Run failed or cancelled tasks again
    Retry {
        #[arg(value_name = "ID", required = true)]
        ids: Vec<TaskId>,
    },
    /// Wait until tasks are final
    Wait(WaitArgs),
    /// Show a task's history: attempts, errors, times
    Inspect {
        #[arg(value_name = "ID")]
        id: TaskId,
    },
    /// Follow changes of tasks in a live table, or line by line in a pipe
    Watch(WatchArgs),
    /// List, show and redrive dead letters: tasks that failed after all their attempts
    #[command(subcommand, visible_alias = "dead")]
    DeadLetters(DeadLettersCommand),
    /// Show task counts, rates, times and queues
    Stats,
    /// Show the worker functions and their recent activity
    Workers,
    /// List the models
    Models,
    /// Check address, clock, API, token and stack, and suggest how to fix what is wrong
    Doctor,
    /// Print a completion script for a shell
    Completions { shell: Shell },
}

#[derive(Debug, Args)]
pub(crate) struct SubmitArgs {
    /// The task type
    #[arg(value_name = "TYPE", value_parser = task_types())]
    pub(crate) task_type: TaskType,
    /// Read the content from standard input
    #[arg(value_parser = ["-"], hide_possible_values = true, value_name = "-")]
    pub(crate) stdin: Option<String>,
    /// The text; repeat it for embed
    #[arg(long, conflicts_with_all = ["stdin", "file"])]
    pub(crate) text: Vec<String>,
    /// A file with the text, the image or the audio; a large image or audio file is uploaded
    #[arg(long, value_name = "FILE", conflicts_with = "stdin")]
    pub(crate) file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) fields: FieldArgs,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
    /// A repeat with the same key returns the same task for 24 hours
    #[arg(long, value_name = "KEY")]
    pub(crate) idempotency_key: Option<String>,
    /// Wait until the task is final, then show it
    #[arg(long)]
    pub(crate) wait: bool,
    /// How long to wait, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    pub(crate) timeout: u64,
    /// Wait, then draw the boxes of the result onto a copy of the image (.png, .jpg)
    #[arg(long, value_name = "IMAGE", requires = "file")]
    pub(crate) annotate: Option<PathBuf>,
}

/// Fields of the task's input. The API refuses a field that the task type does not have.
#[derive(Debug, Args)]
#[command(next_help_heading = "Input options")]
pub(crate) struct FieldArgs {
    /// classify: the labels, separated by commas
    #[arg(long, value_delimiter = ',', value_name = "LABELS")]
    pub(crate) labels: Vec<String>,
    /// classify: score each label independently
    #[arg(long)]
    pub(crate) multi_label: bool,
    /// summarize: the number of sentences
    #[arg(long, value_name = "NUMBER")]
    pub(crate) max_sentences: Option<u32>,
    /// summarize: the share of the sentences to keep, above 0 and up to 1
    #[arg(long, value_name = "SHARE")]
    pub(crate) ratio: Option<f64>,
    /// translate: the language to translate into
    #[arg(long, value_name = "LANGUAGE")]
    pub(crate) target_language: Option<String>,
    /// data_extraction: a JSON Schema, or a file that contains one
    #[arg(long, value_name = "JSON|FILE")]
    pub(crate) schema: Option<String>,
    /// classify, summarize: onnx for a bundled model, or llm for the language model
    #[arg(long, value_name = "ENGINE")]
    pub(crate) engine: Option<String>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Execution options")]
pub(crate) struct LimitArgs {
    /// The task's priority
    #[arg(long, value_parser = priorities())]
    pub(crate) priority: Option<Priority>,
    /// A pair of metadata that the API returns with the task; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    pub(crate) metadata: Vec<(String, String)>,
    /// The maximum number of attempts
    #[arg(long, value_name = "NUMBER")]
    pub(crate) max_attempts: Option<u32>,
    /// The time limit of one attempt
    #[arg(long, value_name = "SECONDS")]
    pub(crate) timeout_seconds: Option<u32>,
}

#[derive(Debug, Args)]
pub(crate) struct BatchArgs {
    /// A .jsonl file with one task per line as the API takes it, or a .csv file with the fields as columns
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// The task type of lines without one
    #[arg(long = "type", value_name = "TYPE", value_parser = task_types())]
    pub(crate) task_type: Option<TaskType>,
    /// Where to write the results, one per line; - is standard output [default: FILE.results.jsonl]
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Write results in the order of the lines instead of as they arrive
    #[arg(long)]
    pub(crate) in_order: bool,
    /// Do not wait for results; write the tasks' ids
    #[arg(long)]
    pub(crate) no_wait: bool,
    /// The number of tasks per request
    #[arg(long, value_name = "NUMBER", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) size: u32,
    /// Create new tasks even if the same file was submitted in the last 24 hours
    #[arg(long)]
    pub(crate) again: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Only tasks with this status
    #[arg(long, value_parser = statuses())]
    pub(crate) status: Option<Status>,
    /// Only tasks of this type
    #[arg(long = "type", value_name = "TYPE", value_parser = task_types())]
    pub(crate) task_type: Option<TaskType>,
    /// Only tasks with this priority
    #[arg(long, value_parser = priorities())]
    pub(crate) priority: Option<Priority>,
    /// Only tasks accepted at this time or later: 2026-01-31T12:00:00Z, or 2h for two hours ago
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) since: Option<Timestamp>,
    /// Only tasks accepted before this time
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) until: Option<Timestamp>,
    /// Only tasks with this pair of metadata; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    pub(crate) metadata: Vec<(String, String)>,
    /// The maximum number of tasks
    #[arg(long, value_name = "NUMBER", default_value = "20")]
    pub(crate) limit: NonZeroUsize,
    /// List all tasks
    #[arg(long, conflicts_with = "limit")]
    pub(crate) all: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ResultArgs {
    #[arg(value_name = "ID")]
    pub(crate) id: TaskId,
    /// Draw the boxes of the result onto a copy of the image (.png, .jpg)
    #[arg(long, value_name = "IMAGE", requires = "file")]
    pub(crate) annotate: Option<PathBuf>,
    /// The image that was submitted
    #[arg(long, value_name = "FILE", requires = "annotate")]
    pub(crate) file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct WaitArgs {
    /// Task ids; - reads them from standard input
    #[arg(value_name = "ID", required = true)]
    pub(crate) ids: Vec<String>,
    /// How long to wait for all tasks together, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    pub(crate) timeout: u64,
}

#[derive(Debug, Args)]
pub(crate) struct WatchArgs {
    /// Only tasks of this type
    #[arg(long = "type", value_name = "TYPE", value_parser = task_types())]
    pub(crate) task_type: Option<TaskType>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DeadLettersCommand {
    /// List dead letters, newest first
    List {
        /// Only tasks of this type
        #[arg(long = "type", value_name = "TYPE", value_parser = task_types())]
        task_type: Option<TaskType>,
        /// The maximum number of tasks
        #[arg(long, value_name = "NUMBER", default_value = "20")]
        limit: NonZeroUsize,
        /// List all of them
        #[arg(long, conflicts_with = "limit")]
        all: bool,
    },
    /// Show a dead letter and its history
    Show {
        #[arg(value_name = "ID")]
        id: TaskId,
    },
    /// Run dead letters again, with a new generation of attempts
    Redrive {
        #[arg(value_name = "ID", required_unless_present_any = ["task_type", "all"])]
        #[arg(conflicts_with_all = ["task_type", "all"])]
        ids: Vec<TaskId>,
        /// Redrive all of this type
        #[arg(long = "type", value_name = "TYPE", value_parser = task_types(), conflicts_with = "all")]
        task_type: Option<TaskType>,
        /// Redrive all of them
        #[arg(long)]
        all: bool,
    },
}

fn task_types() -> impl TypedValueParser<Value = TaskType> {
    PossibleValuesParser::new(TaskType::ALL.map(TaskType::as_str)).try_map(|name| name.parse::<TaskType>())
}

fn priorities() -> impl TypedValueParser<Value = Priority> {
    PossibleValuesParser::new(Priority::ALL.map(Priority::as_str))
        .try_map(|name| priority(&name).ok_or("not a priority"))
}

fn statuses() -> impl TypedValueParser<Value = Status> {
    PossibleValuesParser::new(Status::ALL.map(Status::as_str))
        .try_map(|name| Status::named(&name).ok_or("not a status"))
}

pub(crate) fn priority(name: &str) -> Option<Priority> {
    Priority::ALL
        .into_iter()
        .find(|priority| priority.as_str() == name)
}

fn key_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text
        .split_once('=')
        .filter(|(key, _)| !key.is_empty())
        .ok_or("write it as key=value")?;
    Ok((key.to_owned(), value.to_owned()))
}

/// Parses a time, or a duration before now.
fn time(text: &str) -> Result<Timestamp, String> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    let ago: Option<SignedDuration> = text.parse().ok();
    ago.and_then(|ago| Timestamp::now().checked_sub(ago.abs()).ok())
        .ok_or_else(|| "write a time as 2026-01-31T12:00:00Z, or as 30m or 2h before now".to_owned())
}
