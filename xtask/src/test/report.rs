//! Adds up what the different test runners found, so that the run ends with one line for all of them.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::progress::Step;
use crate::{paths, process};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    passed: u64,
    failed: u64,
    skipped: u64,
}

/// What ran so far.
#[derive(Debug, Default)]
pub(super) struct Report {
    counts: Counts,
    /// The runners that ended badly, even without a failed test to show for it.
    broken: Vec<&'static str>,
}

impl Report {
    /// Runs cargo nextest, whose own output is what a person wants to see.
    pub(super) fn nextest(&mut self, command: &mut Command) -> Result<()> {
        // Where .config/nextest.toml has it written.
        let junit = paths::target().join("nextest/default/junit.xml");
        let _ = fs::remove_file(&junit);
        let status = process::run_shown(command)?;
        if !status.success() {
            self.broken.push("cargo nextest");
        }
        if junit.is_file() {
            self.add(from_junit(&fs::read_to_string(&junit)?, "<testsuites ")?);
        }
        Ok(())
    }

    pub(super) fn pytest(&mut self, command: &mut Command, name: &str) -> Result<()> {
        let log = format!("pytest-{}", name.replace('/', "-"));
        let junit = paths::log(&log).with_extension("xml");
        let _ = fs::remove_file(&junit);
        command
            .arg(format!("--junitxml={}", junit.display()))
            .env("PYTHONDONTWRITEBYTECODE", "1");
        self.quiet(command, &format!("testing {name}"), &log, "pytest")?;
        if junit.is_file() {
            self.add(from_junit(&fs::read_to_string(&junit)?, "<testsuite ")?);
        }
        Ok(())
    }

    /// Runs the dashboard's tests in a browser.
    pub(super) fn playwright(&mut self, command: &mut Command) -> Result<()> {
        let junit = paths::log("playwright").with_extension("xml");
        let _ = fs::remove_file(&junit);
        command.env("AI_MESH_JUNIT", &junit);
        self.quiet(
            command,
            "testing the dashboard in a browser",
            "playwright",
            "playwright",
        )?;
        if junit.is_file() {
            self.add(from_junit(&fs::read_to_string(&junit)?, "<testsuites ")?);
        }
        Ok(())
    }

    /// Runs schemathesis, which counts operations, not tests.
    pub(super) fn schemathesis(&mut self, command: &mut Command) -> Result<()> {
        let title = "holding the API against its own document";
        let passed = self.quiet(command, title, "schemathesis", "schemathesis")?;
        let failed = u64::from(passed.is_none());
        self.add(Counts {
            passed: 1 - failed,
            failed,
            skipped: 0,
        });
        Ok(())
    }

    pub(super) fn unittest(&mut self, command: &mut Command, name: &str) -> Result<()> {
        let log = format!("unittest-{}", name.replace('/', "-"));
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        self.quiet(command, &format!("testing {name}"), &log, "unittest")?;
        self.add(from_unittest(&fs::read_to_string(paths::log(&log))?));
        Ok(())
    }

    pub(super) fn doctests(&mut self, command: &mut Command) -> Result<()> {
        if let Some(output) = self.quiet(
            command,
            "testing the documentation's examples",
            "doctest",
            "doctests",
        )? {
            self.add(from_doctests(&output));
        }
        Ok(())
    }

    /// Counts a soak, which has shown by itself what there was to see.
    pub(super) fn soak(&mut self, result: Result<()>) -> Result<()> {
        crate::interrupt::check()?;
        let failed = u64::from(result.is_err());
        if let Err(error) = result {
            eprintln!("  {error:#}");
            self.broken.push("soak");
        }
        self.add(Counts {
            passed: 1 - failed,
            failed,
            skipped: 0,
        });
        Ok(())
    }

    /// Prints the sum, as the last line, and fails if anything did.
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
        if !self.broken.is_empty() {
            bail!("failed: {}", self.broken.join(", "));
        }
        if passed + failed == 0 {
            bail!("no test ran");
        }
        Ok(())
    }

    /// Runs a tool whose output matters only if it fails; that doesn't end the run.
    fn quiet(
        &mut self,
        command: &mut Command,
        title: &str,
        log: &str,
        runner: &'static str,
    ) -> Result<Option<String>> {
        let mut step = Step::start(title);
        match process::run_in(command, &mut step, log) {
            Ok(output) => {
                step.done("");
                Ok(Some(output))
            }
            Err(error) => {
                crate::interrupt::check()?;
                drop(step);
                eprintln!("  {error:#}");
                self.broken.push(runner);
                Ok(None)
            }
        }
    }

    fn add(&mut self, counts: Counts) {
        self.counts.passed += counts.passed;
        self.counts.failed += counts.failed;
        self.counts.skipped += counts.skipped;
    }
}

/// Reads the sums from the first element that begins so. JUnit's `tests` counts the failed and the skipped too.
fn from_junit(xml: &str, element: &str) -> Result<Counts> {
    let tag = xml
        .split_once(element)
        .and_then(|(_, rest)| rest.split_once('>'))
        .map(|(tag, _)| tag);
    let tag = tag.with_context(|| format!("the test report has no {element}...>"))?;
    let number = |name: &str| -> u64 {
        let value = tag
            .split_once(&format!("{name}=\""))
            .and_then(|(_, rest)| rest.split_once('"'));
        value.and_then(|(value, _)| value.parse().ok()).unwrap_or(0)
    };
    let failed = number("failures") + number("errors");
    let skipped = number("skipped");
    Ok(Counts {
        passed: number("tests").saturating_sub(failed + skipped),
        failed,
        skipped,
    })
}

/// Adds up the lines `test result: ok. 3 passed; 0 failed; 1 ignored; ...`.
fn from_doctests(output: &str) -> Counts {
    let mut counts = Counts::default();
    for line in output
        .lines()
        .filter_map(|line| line.strip_prefix("test result: "))
    {
        let number = |what: &str| -> u64 {
            let before = line
                .split_once(&format!(" {what}"))
                .and_then(|(before, _)| before.rsplit(' ').next());
            before.and_then(|value| value.parse().ok()).unwrap_or(0)
        };
        counts.passed += number("passed");
        counts.failed += number("failed");
        counts.skipped += number("ignored");
    }
    counts
}

/// Reads `Ran 9 tests in 0.1s` and `FAILED (failures=1, errors=2, skipped=3)`.
fn from_unittest(output: &str) -> Counts {
    let last = |start: &str| {
        output
            .lines()
            .rev()
            .find_map(|line| line.strip_prefix(start))
            .unwrap_or_default()
    };
    let ran: u64 = last("Ran ")
        .split(' ')
        .next()
        .and_then(|number| number.parse().ok())
        .unwrap_or(0);
    let verdict = format!("{}{}", last("FAILED "), last("OK "));
    let number = |name: &str| -> u64 {
        let words = verdict.split(|c: char| !c.is_alphanumeric() && c != '=');
        words
            .filter_map(|word| word.strip_prefix(name)?.strip_prefix('=')?.parse::<u64>().ok())
            .sum()
    };
    let (failed, skipped) = (number("failures") + number("errors"), number("skipped"));
    Counts {
        passed: ran.saturating_sub(failed + skipped),
        failed,
        skipped,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_read_from_each_runner_s_report() {
        let nextest =
            r#"<?xml version="1.0"?><testsuites name="nextest-run" tests="7" failures="1" errors="1"><x/>"#;
        assert_eq!(
            from_junit(nextest, "<testsuites ").unwrap(),
            Counts {
                passed: 5,
                failed: 2,
                skipped: 0
            }
        );
        let playwright =
            r#"<testsuites id="" name="" tests="4" failures="1" skipped="0" errors="0" time="2.5">"#;
        let found = from_junit(playwright, "<testsuites ").unwrap();
        assert_eq!((found.passed, found.failed), (3, 1));
        let pytest =
            r#"<testsuites name="t"><testsuite name="p" errors="0" failures="0" skipped="2" tests="9">"#;
        assert_eq!(
            from_junit(pytest, "<testsuite ").unwrap(),
            Counts {
                passed: 7,
                failed: 0,
                skipped: 2
            }
        );
        assert!(from_junit("", "<testsuite ").is_err());
        let unittest = "Ran 9 tests in 0.1s\n\nFAILED (failures=1, errors=2, skipped=3)";
        assert_eq!(
            from_unittest(unittest),
            Counts {
                passed: 3,
                failed: 3,
                skipped: 3
            }
        );
        assert_eq!(
            from_unittest("Ran 1 test in 0s\n\nOK"),
            Counts {
                passed: 1,
                failed: 0,
                skipped: 0
            }
        );
        let doctests = "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured\n\
                        test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured";
        assert_eq!(
            from_doctests(doctests),
            Counts {
                passed: 4,
                failed: 2,
                skipped: 1
            }
        );
    }
}
