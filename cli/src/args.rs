//! The command line.

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
    about = "Submits AI tasks, follows them and looks after them",
    after_help = "AI_MESH_URL and AI_MESH_TOKEN name the stack, or a profile in ~/.config/ai-mesh/config.toml.\n\
                  Exit codes: 0 done, 1 a task failed or was cancelled, 2 usage, 3 not reached or unavailable,\n\
                  4 refused, 124 not final in time, 130 interrupted."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Args)]
pub(crate) struct Global {
    /// The profile of the configuration file to use, instead of the environment
    #[arg(long, global = true, value_name = "NAME", help_heading = "Global options")]
    pub(crate) profile: Option<String>,
    /// The API's address, instead of AI_MESH_URL
    #[arg(long, global = true, value_name = "URL", help_heading = "Global options")]
    pub(crate) url: Option<String>,
    /// Read the token from a file, instead of AI_MESH_TOKEN; - is standard input
    #[arg(long, global = true, value_name = "FILE", help_heading = "Global options")]
    pub(crate) token_file: Option<PathBuf>,
    /// Print answers as JSON, a value a line
    #[arg(long, global = true, help_heading = "Global options")]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Submit a task; prints its id, or with --wait its result
    Submit(Box<SubmitArgs>),
    /// Submit each line of a JSONL or CSV file and collect the results; goes on where it was interrupted
    Batch(BatchArgs),
    /// Show a task as it stands
    Status {
        #[arg(value_name = "ID")]
        id: TaskId,
    },
    /// List tasks, newest first
    List(ListArgs),
    /// Print a task's result as JSON
    Result(ResultArgs),
    /// End tasks that are not final
    Cancel {
        #[arg(value_name = "ID", required = true)]
        ids: Vec<TaskId>,
    },
    /// Give failed or cancelled tasks new attempts
    Retry {
        #[arg(value_name = "ID", required = true)]
        ids: Vec<TaskId>,
    },
    /// Wait until tasks are final
    Wait(WaitArgs),
    /// Show a task's whole history: attempts, errors, times
    Inspect {
        #[arg(value_name = "ID")]
        id: TaskId,
    },
    /// Follow what happens, on a live table or, into a pipe, line by line
    Watch(WatchArgs),
    /// Dead letters: tasks whose attempts were all in vain
    #[command(subcommand)]
    Dead(DeadCommand),
    /// How many tasks there are, how fast they come and go, what waits
    Stats,
    /// What the worker functions do and did
    Workers,
    /// Which models answer
    Models,
    /// Check address, clock, API, token and stack, and say what to do about what is wrong
    Doctor,
    /// Print a shell's completion script
    Completions { shell: Shell },
}

#[derive(Debug, Args)]
pub(crate) struct SubmitArgs {
    /// What is asked for
    #[arg(value_name = "TYPE", value_parser = task_types())]
    pub(crate) task_type: TaskType,
    /// - reads the content from standard input
    #[arg(value_parser = ["-"], hide_possible_values = true, value_name = "-")]
    pub(crate) stdin: Option<String>,
    /// The text; several for embed
    #[arg(long, conflicts_with_all = ["stdin", "file"])]
    pub(crate) text: Vec<String>,
    /// A file with the text, the image or the recording; a large one is uploaded
    #[arg(long, value_name = "FILE", conflicts_with = "stdin")]
    pub(crate) file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) fields: FieldArgs,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
    /// A repeat with the same key gives the same task, for 24 hours
    #[arg(long, value_name = "KEY")]
    pub(crate) idempotency_key: Option<String>,
    /// Wait until the task is final, and show it
    #[arg(long)]
    pub(crate) wait: bool,
    /// How long to wait, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    pub(crate) timeout: u64,
    /// Wait, and draw what was found onto a copy of the picture (.png, .jpg)
    #[arg(long, value_name = "PICTURE", requires = "file")]
    pub(crate) annotate: Option<PathBuf>,
}

/// What is asked of the content: the API says if the type does not take it.
#[derive(Debug, Args)]
#[command(next_help_heading = "What is asked of the content")]
pub(crate) struct FieldArgs {
    /// classify: which labels, with commas between them
    #[arg(long, value_delimiter = ',', value_name = "LABELS")]
    pub(crate) labels: Vec<String>,
    /// classify: judge each label by itself
    #[arg(long)]
    pub(crate) multi_label: bool,
    /// summarize: how many sentences
    #[arg(long, value_name = "NUMBER")]
    pub(crate) max_sentences: Option<u32>,
    /// summarize: which share of the sentences
    #[arg(long, value_name = "SHARE")]
    pub(crate) ratio: Option<f64>,
    /// translate: into which language
    #[arg(long, value_name = "LANGUAGE")]
    pub(crate) target_language: Option<String>,
    /// data_extraction: a JSON Schema, or a file with one
    #[arg(long, value_name = "JSON|FILE")]
    pub(crate) schema: Option<String>,
    /// classify, summarize: onnx, or llm for the stack's language model
    #[arg(long, value_name = "ENGINE")]
    pub(crate) engine: Option<String>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "How it is run")]
pub(crate) struct LimitArgs {
    /// How soon it is to run
    #[arg(long, value_parser = priorities())]
    pub(crate) priority: Option<Priority>,
    /// A note of yours that is given back with the task; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    pub(crate) metadata: Vec<(String, String)>,
    /// How often it is tried at most
    #[arg(long, value_name = "NUMBER")]
    pub(crate) max_attempts: Option<u32>,
    /// How long one attempt may run
    #[arg(long, value_name = "SECONDS")]
    pub(crate) timeout_seconds: Option<u32>,
}

#[derive(Debug, Args)]
pub(crate) struct BatchArgs {
    /// A .jsonl file of tasks as the API takes them, or a .csv file whose columns are named after their fields
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// The type of lines that name none
    #[arg(long = "type", value_name = "TYPE", value_parser = task_types())]
    pub(crate) task_type: Option<TaskType>,
    /// Where the results go, a line each; - is standard output [default: FILE.results.jsonl]
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Write results in the order of the lines, not as they come
    #[arg(long)]
    pub(crate) in_order: bool,
    /// Do not wait for results: the output tells the tasks' ids
    #[arg(long)]
    pub(crate) no_wait: bool,
    /// How many tasks go into a request
    #[arg(long, value_name = "NUMBER", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) size: u32,
    /// Make new tasks, even if the same file was submitted in the last 24 hours
    #[arg(long)]
    pub(crate) again: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Only tasks of this status
    #[arg(long, value_parser = statuses())]
    pub(crate) status: Option<Status>,
    /// Only tasks of this type
    #[arg(long = "type", value_name = "TYPE", value_parser = task_types())]
    pub(crate) task_type: Option<TaskType>,
    /// Only tasks of this priority
    #[arg(long, value_parser = priorities())]
    pub(crate) priority: Option<Priority>,
    /// Accepted then or later: 2026-01-31T12:00:00Z, or 2h for two hours ago
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) since: Option<Timestamp>,
    /// Accepted before
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) until: Option<Timestamp>,
    /// Only tasks that carry this note; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    pub(crate) metadata: Vec<(String, String)>,
    /// How many at most
    #[arg(long, value_name = "NUMBER", default_value = "20")]
    pub(crate) limit: NonZeroUsize,
    /// All of them
    #[arg(long, conflicts_with = "limit")]
    pub(crate) all: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ResultArgs {
    #[arg(value_name = "ID")]
    pub(crate) id: TaskId,
    /// Draw what was found onto a copy of the picture (.png, .jpg)
    #[arg(long, value_name = "PICTURE", requires = "file")]
    pub(crate) annotate: Option<PathBuf>,
    /// The picture that was submitted
    #[arg(long, value_name = "FILE", requires = "annotate")]
    pub(crate) file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct WaitArgs {
    /// Their ids; - reads them from standard input
    #[arg(value_name = "ID", required = true)]
    pub(crate) ids: Vec<String>,
    /// How long to wait for all of them, in seconds
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
pub(crate) enum DeadCommand {
    /// List them, newest first
    List {
        /// Only tasks of this type
        #[arg(long = "type", value_name = "TYPE", value_parser = task_types())]
        task_type: Option<TaskType>,
        /// How many at most
        #[arg(long, value_name = "NUMBER", default_value = "20")]
        limit: NonZeroUsize,
        /// All of them
        #[arg(long, conflicts_with = "limit")]
        all: bool,
    },
    /// Show one with all that is known of it
    Show {
        #[arg(value_name = "ID")]
        id: TaskId,
    },
    /// Give them a new generation of attempts
    Redrive {
        #[arg(value_name = "ID", required_unless_present_any = ["task_type", "all"])]
        #[arg(conflicts_with_all = ["task_type", "all"])]
        ids: Vec<TaskId>,
        /// All of this type
        #[arg(long = "type", value_name = "TYPE", value_parser = task_types(), conflicts_with = "all")]
        task_type: Option<TaskType>,
        /// All of them
        #[arg(long)]
        all: bool,
    },
}

fn task_types() -> impl TypedValueParser<Value = TaskType> {
    PossibleValuesParser::new(TaskType::ALL.map(TaskType::as_str)).try_map(|name| name.parse::<TaskType>())
}

fn priorities() -> impl TypedValueParser<Value = Priority> {
    PossibleValuesParser::new(Priority::ALL.map(Priority::as_str))
        .try_map(|name| priority(&name).ok_or("no priority"))
}

fn statuses() -> impl TypedValueParser<Value = Status> {
    PossibleValuesParser::new(Status::ALL.map(Status::as_str))
        .try_map(|name| Status::named(&name).ok_or("no status"))
}

pub(crate) fn priority(name: &str) -> Option<Priority> {
    Priority::ALL
        .into_iter()
        .find(|priority| priority.as_str() == name)
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text
        .split_once('=')
        .filter(|(key, _)| !key.is_empty())
        .ok_or("write it as key=value")?;
    Ok((key.to_owned(), value.to_owned()))
}

/// A moment, or how long ago it was.
fn moment(text: &str) -> Result<Timestamp, String> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    let ago: Option<SignedDuration> = text.parse().ok();
    ago.and_then(|ago| Timestamp::now().checked_sub(ago.abs()).ok())
        .ok_or_else(|| "write a time as 2026-01-31T12:00:00Z, or as 30m or 2h for so long ago".to_owned())
}
