use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use clap::{CommandFactory, Parser};

use super::{COMMANDS, Ci, Never};
use crate::{Cli, paths};

/// The pages that name commands.
const PAGES: [&str; 8] = [
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "docs",
    "bench/README.md",
    "models",
    "localstack/README.md",
    "tests",
];

/// A subcommand, such as `bench load`, and the flags that go with it.
type Documented = (String, BTreeSet<String>);

/// Parses a command's words up to the first that is neither a subcommand nor an argument.
fn parse(words: &str) -> Option<Documented> {
    let cli = Cli::command();
    let mut command = &cli;
    let (mut name, mut flags) = (Vec::new(), BTreeSet::new());
    for word in words.split_whitespace() {
        let word = word.trim_matches(['[', ']', '(', ')', ',', '.', ';', ':']);
        if let Some(flag) = word.strip_prefix("--") {
            flags.insert(flag.split('=').next().unwrap_or_default().to_owned());
        } else if let Some(next) = command.find_subcommand(word).filter(|_| flags.is_empty()) {
            command = next;
            name.push(word);
        }
    }
    (!name.is_empty()).then(|| {
        (
            name.join(" "),
            flags.into_iter().filter(|flag| !flag.is_empty()).collect(),
        )
    })
}

/// The commands that a page names in code, alone or in a block.
fn documented(page: &str) -> Vec<Documented> {
    let commands = page.split("cargo xtask ").skip(1);
    // A comment, the end of the code or of the line ends the command.
    commands
        .filter_map(|rest| parse(rest.split(['`', '\n', '#', '|']).next()?))
        .collect()
}

fn read(path: &Path, pages: &mut Vec<(String, String)>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            read(&entry.unwrap().path(), pages);
        }
    } else if path.extension().is_some_and(|extension| extension == "md") {
        pages.push((path.display().to_string(), fs::read_to_string(path).unwrap()));
    }
}

#[test]
fn every_documented_command_is_shown_to_work() {
    let mut pages = Vec::new();
    for page in PAGES {
        read(&paths::root().join(page), &mut pages);
    }
    let listed: Vec<_> = COMMANDS
        .iter()
        .filter_map(|(command, _)| parse(command))
        .collect();
    let mut found = BTreeSet::new();
    for (page, text) in pages {
        for (command, flags) in documented(&text) {
            let same = listed.iter().filter(|(listed, _)| *listed == command);
            let known: BTreeSet<_> = same.clone().flat_map(|(_, flags)| flags).collect();
            assert!(
                same.count() > 0,
                "{page}: add `cargo xtask {command}` to COMMANDS"
            );
            let unknown: Vec<_> = flags.iter().filter(|flag| !known.contains(flag)).collect();
            assert!(
                unknown.is_empty(),
                "{page}: add `cargo xtask {command}` with {unknown:?} to COMMANDS"
            );
            found.insert(command);
        }
    }
    assert!(found.len() > 10, "the pages name few commands: {found:?}");
}

#[test]
fn every_listed_command_is_valid() {
    for (command, smoke) in COMMANDS {
        let arguments = ["xtask"].into_iter().chain(command.split(' '));
        let parsed = Cli::try_parse_from(arguments);
        assert!(parsed.is_ok(), "{command}: {}", parsed.unwrap_err());
        if let Never(reason) = smoke {
            assert!(reason.len() > 5, "{command}");
        }
    }
}

#[test]
fn every_subcommand_is_listed() {
    let listed: BTreeSet<_> = COMMANDS
        .iter()
        .filter_map(|(command, _)| Some(parse(command)?.0))
        .collect();
    let cli = Cli::command();
    for command in cli.get_subcommands() {
        assert!(listed.contains(command.get_name()), "{}", command.get_name());
        for part in command.get_subcommands() {
            let name = format!("{} {}", command.get_name(), part.get_name());
            assert!(listed.contains(&name), "{name}");
        }
    }
}

#[test]
fn ci_runs_what_is_said_of_it() {
    let ci = fs::read_to_string(paths::root().join(".ci/run")).unwrap();
    for command in ["check", "test"] {
        assert!(COMMANDS.contains(&(command, Ci)) && ci.contains(&format!("\ncargo xtask {command}\n")));
    }
    let weekly = fs::read_to_string(paths::root().join(".github/workflows/weekly.yml")).unwrap();
    assert!(weekly.contains("run: cargo xtask smoke\n"));
}

#[test]
fn a_command_is_read_up_to_its_arguments() {
    let flags = |flags: &[&str]| flags.iter().map(|&flag| flag.to_owned()).collect();
    let page = "`cargo xtask bench load` and `cargo xtask up --llm=bedrock`\ncargo xtask logs [function] [--follow]  # --name";
    let expected: [Documented; 3] = [
        ("bench load".to_owned(), flags(&[])),
        ("up".to_owned(), flags(&["llm"])),
        ("logs".to_owned(), flags(&["follow"])),
    ];
    assert_eq!(documented(page), expected);
}
