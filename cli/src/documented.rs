//! Each command line that the pages show is one that `mesh` takes, and a test runs its subcommand.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use clap::{Command, CommandFactory};

use crate::args::Cli;

/// The programs' tests: against an API that the tests make, and against a deployed stack.
const TESTS: [&str; 3] = [
    "cli/tests/offline",
    "tests/tests/api/cli.rs",
    "tests/tests/api/dead_letters.rs",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The texts of the files with this extension in a folder, or of the file.
fn read(path: &Path, extension: &str) -> String {
    if path.is_file() {
        return fs::read_to_string(path).unwrap();
    }
    let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    let files = entries.filter(|path| path.extension().is_some_and(|found| found == extension));
    files.map(|file| fs::read_to_string(file).unwrap()).collect()
}

/// The words of each command line that a page shows, without `mesh`.
fn command_lines(pages: &str) -> Vec<Vec<&str>> {
    let starts = ["`mesh ", "\nmesh ", "$ mesh ", "| mesh "];
    let lines = starts.into_iter().flat_map(|start| pages.split(start).skip(1));
    // The end of the code, a comment, a pipe or a redirection ends the command line.
    let lines = lines.filter_map(|line| line.split(['`', '\n', '#', '|', '>', ';']).next());
    lines.map(|line| line.split_whitespace().collect()).collect()
}

fn takes(command: &Command, flag: &str) -> bool {
    command
        .get_arguments()
        .any(|argument| argument.get_long() == Some(flag))
}

#[test]
fn every_documented_command_line_exists_and_a_test_runs_its_subcommand() {
    let root = root();
    let pages = read(&root.join("README.md"), "md") + &read(&root.join("docs"), "md");
    let tests: String = TESTS.iter().map(|path| read(&root.join(path), "rs")).collect();
    let cli = Cli::command();
    let mut found = BTreeSet::new();
    for words in command_lines(&pages) {
        let line = words.join(" ");
        let mut command = &cli;
        for word in words {
            if let Some(flag) = word
                .strip_prefix("--")
                .and_then(|flag| flag.split(['=', '`']).next())
            {
                assert!(
                    takes(command, flag) || takes(&cli, flag),
                    "mesh {line}: no flag --{flag}"
                );
            } else if let Some(next) = command.find_subcommand(word) {
                let argument = format!("\"{}\"", next.get_name());
                assert!(tests.contains(&argument), "mesh {line}: no test runs {argument}");
                found.insert(next.get_name());
                command = next;
            } else if command.get_name() == cli.get_name() {
                panic!("mesh {line}: no subcommand {word}");
            }
        }
    }
    let all: BTreeSet<_> = cli.get_subcommands().map(Command::get_name).collect();
    let undocumented: Vec<_> = all.difference(&found).collect();
    assert!(undocumented.is_empty(), "docs/CLI.md shows no {undocumented:?}");
}
