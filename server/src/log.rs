//! How the server writes its log.

use std::ffi::OsString;
use std::io::{self, IsTerminal};

use clap::{Args, ValueEnum};
use mesh_telemetry::init_logging_as;
use tracing::level_filters::LevelFilter;

/// The settings of the log, which goes to standard error.
#[derive(Debug, Clone, Args)]
pub(crate) struct LogSettings {
    /// How the log is written. By default as text if standard error is a terminal, else as JSON.
    #[arg(long, env = "AI_MESH_LOG_FORMAT")]
    log_format: Option<LogFormat>,
    /// The lowest level that is logged.
    #[arg(long, env = "AI_MESH_LOG_LEVEL", default_value = "info")]
    log_level: LogLevel,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl LogSettings {
    /// Begins to log, in the name of this crate.
    pub(crate) fn init(&self, binary: &str) {
        init_logging_as(binary, self.level(), self.format(io::stderr().is_terminal()));
    }

    /// The environment of a child process, which logs in the same way.
    pub(crate) fn of_child(&self) -> impl Iterator<Item = (&'static str, OsString)> {
        let format = self.log_format.and_then(|format| format.to_possible_value());
        let given = [
            ("AI_MESH_LOG_FORMAT", format),
            ("AI_MESH_LOG_LEVEL", self.log_level.to_possible_value()),
        ];
        let given = given.into_iter();
        given.filter_map(|(name, value)| Some((name, value?.get_name().into())))
    }

    fn level(&self) -> LevelFilter {
        match self.log_level {
            LogLevel::Error => LevelFilter::ERROR,
            LogLevel::Warn => LevelFilter::WARN,
            LogLevel::Info => LevelFilter::INFO,
            LogLevel::Debug => LevelFilter::DEBUG,
            LogLevel::Trace => LevelFilter::TRACE,
        }
    }

    fn format(&self, is_terminal: bool) -> mesh_telemetry::LogFormat {
        let by_default = if is_terminal {
            LogFormat::Text
        } else {
            LogFormat::Json
        };
        match self.log_format.unwrap_or(by_default) {
            LogFormat::Json => mesh_telemetry::LogFormat::Json,
            LogFormat::Text => mesh_telemetry::LogFormat::Text,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Program {
        #[command(flatten)]
        log: LogSettings,
    }

    #[test]
    fn people_get_text_and_programs_json_unless_a_flag_says_otherwise() {
        use mesh_telemetry::LogFormat::{Json, Text};
        let format = |arguments: &[&str], is_terminal| {
            let program = Program::parse_from([&["mesh-server"], arguments].concat());
            program.log.format(is_terminal)
        };
        assert_eq!((format(&[], true), format(&[], false)), (Text, Json));
        assert_eq!(format(&["--log-format", "json"], true), Json);
        assert_eq!(format(&["--log-format", "text"], false), Text);
    }

    #[test]
    fn a_level_is_one_of_five() {
        let level = |name| Program::try_parse_from(["mesh-server", "--log-level", name]);
        assert_eq!(level("debug").unwrap().log.level(), LevelFilter::DEBUG);
        assert!(level("loud").unwrap_err().to_string().contains("trace"));
    }
}
