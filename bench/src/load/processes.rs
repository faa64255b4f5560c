//! What processes have cost so far, by the kernel's account in /proc.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// What a process does for its system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    /// Answers HTTP.
    Api,
    /// Runs the model.
    Worker,
    /// All else that belongs to the system: the functions beside the two, or Redis.
    Rest,
    /// Stands in for AWS.
    Cloud,
}

/// Processor time by process. The start goes with the id, which may be given again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Account(BTreeMap<(u32, u64), (Role, u64)>);

#[derive(Debug, PartialEq)]
struct Stat {
    parent: u32,
    /// In user and system mode together, in clock ticks.
    ticks: u64,
    /// In clock ticks since the machine started.
    started: u64,
}

impl Account {
    /// Of these processes. One that has ended is left out.
    pub(crate) fn of(processes: impl IntoIterator<Item = (u32, Role)>) -> Self {
        let entry = |(pid, role)| {
            let stat = Stat::read(pid)?;
            Some(((pid, stat.started), (role, stat.ticks)))
        };
        Self(processes.into_iter().filter_map(entry).collect())
    }

    /// Of all functions that a local cloud runs, and of the cloud itself. It is known by its address, which its functions have in their environment; others on the
    /// machine have others.
    pub(crate) fn of_cloud(endpoint: &str) -> Result<Self> {
        let mut processes = BTreeMap::new();
        for entry in fs::read_dir("/proc").context("there is no /proc")? {
            let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            if let Some(role) = function(pid, endpoint) {
                processes.insert(pid, role);
                processes.extend(Stat::read(pid).map(|stat| (stat.parent, Role::Cloud)));
            }
        }
        Ok(Self::of(processes))
    }

    /// Seconds that the processes of a role took since an earlier account. One that has come since counts from its start;
    /// one that has gone since was idle, and counts nothing.
    pub(crate) fn seconds_since(&self, earlier: &Self, role: Role) -> f64 {
        let spent = self
            .0
            .iter()
            .filter(|(_, (of, _))| *of == role)
            .map(|(process, (_, ticks))| ticks - earlier.0.get(process).map_or(0, |(_, before)| *before));
        spent.sum::<u64>() as f64 / rustix::param::clock_ticks_per_second() as f64
    }
}

impl Stat {
    fn read(pid: u32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// The fields are numbered in proc_pid_stat(5). The second is the program's name, with any characters in it.
    fn parse(text: &str) -> Option<Self> {
        let (_, rest) = text.rsplit_once(") ")?;
        let fields: Vec<_> = rest.split_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Self {
            parent: field(4)?.try_into().ok()?,
            ticks: field(14)? + field(15)?,
            started: field(22)?,
        })
    }
}

/// The role of a process, if it is a function of that cloud.
fn function(pid: u32, endpoint: &str) -> Option<Role> {
    let program = fs::read_link(format!("/proc/{pid}/exe")).ok()?;
    role(
        &program,
        &fs::read(format!("/proc/{pid}/environ")).ok()?,
        endpoint,
    )
}

fn role(program: &Path, environment: &[u8], endpoint: &str) -> Option<Role> {
    let is_function = program.file_name()? == "bootstrap";
    let variables = || environment.split(|byte| *byte == 0);
    let value =
        |name: &[u8]| variables().find_map(|variable| variable.strip_prefix(name)?.strip_prefix(b"="));
    if !is_function || value(b"AWS_ENDPOINT_URL")? != endpoint.as_bytes() {
        return None;
    }
    let name = String::from_utf8_lossy(value(b"AWS_LAMBDA_FUNCTION_NAME")?);
    Some(if name.contains("-ApiFunction") {
        Role::Api
    } else if name.contains("WorkerFunction") {
        Role::Worker
    } else {
        Role::Rest
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_is_read_past_the_oddest_name() {
        let line = "4711 (a) b (c) S 17 4711 4711 0 -1 4194560 1 2 3 4 120 35 6 7 20 0 9 0 99887766 1 2 3";
        let stat = Stat::parse(line).unwrap();
        assert_eq!(
            stat,
            Stat {
                parent: 17,
                ticks: 155,
                started: 99_887_766
            }
        );
        for damaged in ["", "4711 (a", "4711 (a) S 17", "4711 (a) S x 4711"] {
            assert_eq!(Stat::parse(damaged), None, "{damaged}");
        }
    }

    #[test]
    fn this_process_has_an_account() {
        let before = Account::of([]);
        let now = Account::of([(std::process::id(), Role::Api)]);
        assert_eq!(now.0.len(), 1);
        assert_eq!(now.seconds_since(&before, Role::Worker), 0.0);
        assert_eq!(now.seconds_since(&now, Role::Api), 0.0);
    }

    #[test]
    fn what_came_counts_whole_and_what_went_counts_nothing() {
        let second = rustix::param::clock_ticks_per_second();
        let account = |entries: &[((u32, u64), u64)]| {
            let entry = |(process, ticks): &_| (*process, (Role::Api, ticks * second));
            Account(entries.iter().map(entry).collect())
        };
        let earlier = account(&[((1, 10), 5), ((2, 10), 7)]);
        // 2 was given again, to a process that started later.
        let later = account(&[((1, 10), 6), ((2, 99), 3)]);
        assert_eq!(later.seconds_since(&earlier, Role::Api), 4.0);
    }

    #[test]
    fn a_function_is_known_by_its_program_and_its_cloud() {
        let environment = |function: &str| {
            format!("A=b\0AWS_ENDPOINT_URL=http://127.0.0.1:1\0AWS_LAMBDA_FUNCTION_NAME=x-{function}-1A")
        };
        let known = |program: &str, function: &str, endpoint: &str| {
            role(Path::new(program), environment(function).as_bytes(), endpoint)
        };
        let (ours, others) = ("http://127.0.0.1:1", "http://127.0.0.1:11");
        assert_eq!(known("/x/bootstrap", "ApiFunction", ours), Some(Role::Api));
        assert_eq!(
            known("/x/bootstrap", "TextWorkerFunction", ours),
            Some(Role::Worker)
        );
        assert_eq!(known("/x/bootstrap", "ReactorFunction", ours), Some(Role::Rest));
        assert_eq!(known("/x/bootstrap", "ApiFunction", others), None);
        assert_eq!(known("/x/python", "ApiFunction", ours), None);
    }
}
