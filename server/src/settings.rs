//! The settings, by flags or by environment variables.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use mesh_task::{OwnPolicies, RetryPolicies, RetryPolicy, SweepPolicy, WorkerKind};

use crate::listen::ListenSettings;
use crate::log::LogSettings;

/// Runs AI Mesh on this machine. Without a command it serves.
#[derive(Debug, Parser)]
#[command(name = "mesh-server", version)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) settings: Settings,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// What else can be done with a data folder.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Copies the data folder to a new or empty folder, whether a server uses it or not.
    Backup {
        /// The folder of the copy.
        folder: PathBuf,
    },
    /// Copies a backup into the data folder, which must be new or empty, and checks it.
    Restore {
        /// The folder of the backup.
        backup: PathBuf,
    },
    /// Checks that the database and all payloads of the data folder are whole.
    Check,
    /// Runs tasks for the server that started this process.
    #[command(hide = true)]
    Child { worker_kind: WorkerKind },
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Settings {
    /// The data folder. Only one server at a time uses it.
    #[arg(long, env = "AI_MESH_DATA", default_value = "ai-mesh-data", global = true)]
    pub(crate) data: PathBuf,
    #[command(flatten)]
    pub(crate) listen: ListenSettings,
    #[command(flatten)]
    pub(crate) log: LogSettings,
    /// The folder with ONNX Runtime and the models. By default the folder of the program.
    #[arg(long, env = "AI_MESH_ASSETS")]
    pub(crate) assets: Option<PathBuf>,
    /// The folder with the dashboard. By default `web` in the folder of the program.
    #[arg(long, env = "AI_MESH_WEB")]
    pub(crate) web: Option<PathBuf>,
    /// Also serves clients of the four earlier systems that send no token (docs/COMPAT.md).
    #[arg(long, env = "AI_MESH_COMPAT")]
    pub(crate) compat: bool,
    /// The speech model.
    #[arg(long, env = "AI_MESH_SPEECH_MODEL", default_value = "base", value_parser = ["base", "tiny.en"])]
    pub(crate) speech_model: String,
    /// The address of an OpenAI-compatible server that runs the tasks of language models. Without it they fail.
    #[arg(long, env = "AI_MESH_LANGUAGE_URL", requires = "language_model")]
    pub(crate) language_url: Option<String>,
    /// That server's name of the model.
    #[arg(long, env = "AI_MESH_LANGUAGE_MODEL", requires = "language_url")]
    pub(crate) language_model: Option<String>,
    /// That server's key. Set it in the environment: other users of the machine see flags.
    #[arg(
        long,
        env = "AI_MESH_LANGUAGE_API_KEY",
        hide_env_values = true,
        requires = "language_url"
    )]
    pub(crate) language_api_key: Option<String>,
    /// How many seconds a task waits after its first failed attempt, at most. The wait doubles with each attempt.
    #[arg(long, env = "AI_MESH_RETRY_BASE_SECONDS", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=900))]
    pub(crate) retry_base_seconds: u32,
    /// The longest wait between two attempts, in seconds.
    #[arg(long, env = "AI_MESH_RETRY_CAP_SECONDS", default_value_t = 900, value_parser = clap::value_parser!(u32).range(1..=43_200))]
    pub(crate) retry_cap_seconds: u32,
    /// How many days a task is kept.
    #[arg(long, env = "AI_MESH_RETENTION_DAYS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=3_650))]
    pub(crate) retention_days: u32,
    /// How many seconds a model's process is kept without a task.
    #[arg(long, env = "AI_MESH_MODEL_IDLE_SECONDS", default_value_t = 300)]
    pub(crate) model_idle_seconds: u32,
    /// How many small tasks of a worker run at the same time. By default as many as there are processor cores.
    #[arg(long, env = "AI_MESH_CONCURRENCY", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) concurrency: Option<u32>,
}

impl Settings {
    /// How long a claim holds unless the worker renews it.
    pub(crate) const LEASE: Duration = Duration::from_secs(30);
    /// After this many receives a message is moved to the dead-letter queue.
    pub(crate) const MAX_RECEIVES: u32 = 3;

    /// The folder of the program.
    pub(crate) fn program_folder() -> PathBuf {
        let program = std::env::current_exe().ok();
        program
            .and_then(|program| Some(program.parent()?.to_owned()))
            .unwrap_or_default()
    }

    pub(crate) fn retention(&self) -> Duration {
        Duration::from_hours(24 * u64::from(self.retention_days))
    }

    /// How often a task is attempted.
    pub(crate) fn policies(&self) -> RetryPolicies {
        RetryPolicies {
            general: RetryPolicy {
                max_attempts: 3,
                base: Duration::from_secs(self.retry_base_seconds.into()),
                cap: Duration::from_secs(self.retry_cap_seconds.into()),
            },
            own: OwnPolicies::default(),
        }
    }

    pub(crate) fn sweep_policy() -> SweepPolicy {
        SweepPolicy {
            due_after: Duration::from_secs(60),
        }
    }

    /// The folder with ONNX Runtime and the models.
    pub(crate) fn assets(&self) -> PathBuf {
        self.assets.clone().unwrap_or_else(Self::program_folder)
    }

    /// The environment of a child process, which reads its settings as the server does.
    pub(crate) fn of_child(&self) -> Vec<(&'static str, OsString)> {
        let mut variables = vec![
            ("AI_MESH_ASSETS", self.assets().into_os_string()),
            ("AI_MESH_SPEECH_MODEL", self.speech_model.clone().into()),
        ];
        let language = [
            ("AI_MESH_LANGUAGE_URL", &self.language_url),
            ("AI_MESH_LANGUAGE_MODEL", &self.language_model),
            ("AI_MESH_LANGUAGE_API_KEY", &self.language_api_key),
        ];
        let given = language
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.as_ref()?.into())));
        variables.extend(given);
        variables.extend(self.log.of_child());
        variables
    }

    pub(crate) fn small_concurrency(&self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        self.concurrency
            .map_or_else(cores, |given| usize::try_from(given).unwrap_or(usize::MAX))
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_data_folder_is_named_before_or_after_a_command() {
        Cli::command().debug_assert();
        for arguments in [
            ["mesh-server", "backup", "copy", "--data", "folder"],
            ["mesh-server", "--data", "folder", "backup", "copy"],
        ] {
            let Cli { settings, command } = Cli::try_parse_from(arguments).unwrap();
            assert_eq!(settings.data, PathBuf::from("folder"));
            assert!(
                matches!(command, Some(Command::Backup { folder }) if folder == std::path::Path::new("copy"))
            );
        }
    }
}
