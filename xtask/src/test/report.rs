//! Adds up the results of the different test runners, so that the last line of the run counts all tests.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use mesh_supervisor::signals;

use crate::progress::Step;
use crate::{paths, process};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    passed: u64,
    failed: u64,
    skipped: u64,
}

/// The results so far.
#[derive(Debug, Default)]
pub(super) struct Report {
    counts: Counts,
    /// The runners that ended with an error. A runner may fail without a failed test.
    failed_runners: Vec<&'static str>,
}

impl Report {
    /// Runs cargo nextest, with its output on the terminal.
    pub(super) fn nextest(&mut self, command: &mut Command) -> Result<()> {
        // The path is set in .config/nextest.toml.
        let junit = paths::target().join("nextest/default/junit.xml");
        let _ = fs::remove_file(&junit);
        if !process::run_on_terminal(command)?.success() {
            self.failed_runners.push("cargo nextest");
        }
        self.add_junit(&junit)
    }

    pub(super) fn pytest(&mut self, command: &mut Command, folder: &str) -> Result<()> {
        let log = format!("pytest-{}", folder.replace('/', "-"));
        let junit = paths::log(&log).with_extension("xml");
        let _ = fs::remove_file(&junit);
        command
            .arg(format!("--junitxml={}", junit.display()))
            .env("PYTHONDONTWRITEBYTECODE", "1");
        self.run_quietly(command, &format!("testing {folder}"), &log, "pytest")?;
        self.add_junit(&junit)
    }

    /// Runs a project of the dashboard's tests in a browser.
    pub(super) fn playwright(&mut self, command: &mut Command, project: &str) -> Result<()> {
        let log = format!("playwright-{project}");
        let junit = paths::log(&log).with_extension("xml");
        let _ = fs::remove_file(&junit);
        command.env("AI_MESH_JUNIT", &junit);
        let title = format!("testing the dashboard in a browser ({project})");
        self.run_quietly(command, &title, &log, "playwright")?;
        self.add_junit(&junit)
    }

    /// Runs schemathesis. It counts operations instead of tests, so the run counts as one test.
    pub(super) fn schemathesis(&mut self, command: &mut Command) -> Result<()> {
        let title = "testing the API against its OpenAPI document";
        let output = self.run_quietly(command, title, "schemathesis", "schemathesis")?;
        self.add_one(output.is_some());
        Ok(())
    }

    pub(super) fn unittest(&mut self, command: &mut Command, folder: &str) -> Result<()> {
        let log = format!("unittest-{}", folder.replace('/', "-"));
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        self.run_quietly(command, &format!("testing {folder}"), &log, "unittest")?;
        self.add(from_unittest(&fs::read_to_string(paths::log(&log))?));
        Ok(())
    }

    pub(super) fn doctests(&mut self, command: &mut Command) -> Result<()> {
        let title = "testing the documentation's examples";
        if let Some(output) = self.run_quietly(command, title, "doctest", "doctests")? {
            self.add(from_doctests(&output));
        }
        Ok(())
    }

    /// Adds the result of a soak, which counts as one test and has printed its own output.
    pub(super) fn soak(&mut self, result: Result<()>) -> Result<()> {
        signals::check()?;
        self.add_one(result.is_ok());
        if let Err(error) = result {
            eprintln!("  {error:#}");
            self.failed_runners.push("soak");
        }
        Ok(())
    }

    /// Prints the sums as the last line, and fails if a test or a runner failed.
    pub(super) fn conclude(&self) -> Result<()> {
        let Counts {
            passed,
            failed,
            skipped,
        } = self.counts;
        let skipped = if skipped > 0 {
            format!(", {skipped} skipped")
        } else {
            String::new()
        };
        println!("{passed} passed, {failed} failed{skipped}");
        if !self.failed_runners.is_empty() {
            bail!("failed: {}", self.failed_runners.join(", "));
        }
        if passed + failed == 0 {
            bail!("no test ran");
        }
        Ok(())
    }

    /// Runs a tool whose output is shown only if it fails. A failure does not end the run.
    fn run_quietly(
        &mut self,
        command: &mut Command,
        title: &str,
        log: &str,
        runner: &'static str,
    ) -> Result<Option<String>> {
        let mut step = Step::start(title);
        match process::run_in_step(command, &mut step, log) {
            Ok(output) => {
                step.done("");
                Ok(Some(output))
            }
            Err(error) => {
                signals::check()?;
                drop(step);
                eprintln!("  {error:#}");
                self.failed_runners.push(runner);
                Ok(None)
            }
        }
    }

    /// Adds a runner's JUnit report. A runner that failed early has not written one.
    fn add_junit(&mut self, path: &Path) -> Result<()> {
        if path.is_file() {
            let counts = from_junit(&fs::read_to_string(path)?);
            self.add(counts.with_context(|| format!("no <testsuite> in {}", paths::display(path)))?);
        }
        Ok(())
    }

    fn add_one(&mut self, is_passed: bool) {
        self.add(Counts::new(1, u64::from(!is_passed), 0));
    }

    fn add(&mut self, counts: Counts) {
        self.counts.passed += counts.passed;
        self.counts.failed += counts.failed;
        self.counts.skipped += counts.skipped;
    }
}

impl Counts {
    fn new(total: u64, failed: u64, skipped: u64) -> Self {
        Self {
            passed: total.saturating_sub(failed + skipped),
            failed,
            skipped,
        }
    }

    /// Reads the counts other than the total from `failures=1 errors="2" skipped=3`. A missing one is zero.
    fn from_attributes(total: u64, text: &str) -> Self {
        let [failures, errors, skipped] =
            ["failures=", "errors=", "skipped="].map(|name| number_after(text, name));
        Self::new(total, failures + errors, skipped)
    }
}

/// Adds up the `<testsuite>` elements, which are not nested. Their `tests` includes failed and skipped ones.
fn from_junit(xml: &str) -> Option<Counts> {
    let suites = xml.split("<testsuite ").skip(1);
    let counts = suites.filter_map(|suite| {
        let (attributes, _) = suite.split_once('>')?;
        let total = number_after(attributes, "tests=");
        Some(Counts::from_attributes(total, attributes))
    });
    counts.reduce(|sum, counts| Counts {
        passed: sum.passed + counts.passed,
        failed: sum.failed + counts.failed,
        skipped: sum.skipped + counts.skipped,
    })
}

/// Adds up the lines `test result: ok. 3 passed; 0 failed; 1 ignored; ...`.
fn from_doctests(output: &str) -> Counts {
    let mut counts = Counts::default();
    for line in output.lines().filter(|line| line.starts_with("test result: ")) {
        let number = |name: &str| -> u64 {
            let before = line
                .split_once(name)
                .and_then(|(before, _)| before.rsplit(' ').next());
            before.and_then(|number| number.parse().ok()).unwrap_or(0)
        };
        counts.passed += number(" passed");
        counts.failed += number(" failed");
        counts.skipped += number(" ignored");
    }
    counts
}

/// Reads `Ran 9 tests in 0.1s` and `FAILED (failures=1, errors=2, skipped=3)`.
fn from_unittest(output: &str) -> Counts {
    let summary = output.rsplit_once("Ran ").map_or("", |(_, summary)| summary);
    Counts::from_attributes(number_after(summary, ""), summary)
}

/// The number behind the first occurrence of the name, which may be in quotes. Zero if there is none.
fn number_after(text: &str, name: &str) -> u64 {
    let value = text
        .split_once(name)
        .map(|(_, rest)| rest.trim_start_matches('"'));
    let digits = value.and_then(|value| value.split(|c: char| !c.is_ascii_digit()).next());
    digits.and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(passed: u64, failed: u64, skipped: u64) -> Counts {
        Counts {
            passed,
            failed,
            skipped,
        }
    }

    #[test]
    fn junit_reports_of_all_three_runners_are_read() {
        let nextest = r#"<?xml version="1.0" encoding="UTF-8"?>
            <testsuites name="nextest-run" tests="7" failures="1" errors="1" uuid="6" time="2.5">
            <testsuite name="api" tests="4" disabled="0" errors="1" failures="1"><testcase name="x"/></testsuite>
            <testsuite name="mesh" tests="3" disabled="0" errors="0" failures="0"></testsuite></testsuites>"#;
        assert_eq!(from_junit(nextest), Some(counts(5, 2, 0)));
        let playwright = r#"<testsuites id="" name="" tests="4" failures="1" skipped="0" errors="0" time="2.5">
            <testsuite name="a.spec.ts" timestamp="" tests="4" failures="1" skipped="0" time="2" errors="0">"#;
        assert_eq!(from_junit(playwright), Some(counts(3, 1, 0)));
        let pytest =
            r#"<testsuites name="t"><testsuite name="p" errors="0" failures="0" skipped="2" tests="9">"#;
        assert_eq!(from_junit(pytest), Some(counts(7, 0, 2)));
        assert_eq!(from_junit(""), None);
    }

    #[test]
    fn unittest_output_is_read() {
        let failed = "Ran 9 tests in 0.1s\n\nFAILED (failures=1, errors=2, skipped=3)";
        assert_eq!(from_unittest(failed), counts(3, 3, 3));
        assert_eq!(from_unittest("Ran 1 test in 0s\n\nOK"), counts(1, 0, 0));
        assert_eq!(from_unittest("no tests"), counts(0, 0, 0));
    }

    #[test]
    fn doctest_output_is_read() {
        let output = "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured\n\
                      test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured";
        assert_eq!(from_doctests(output), counts(4, 2, 1));
    }
}
