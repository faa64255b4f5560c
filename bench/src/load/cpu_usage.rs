//! The processor time of processes, from /proc.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// A process's part in its system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    /// Serves HTTP.
    Api,
    /// Runs the model.
    Worker,
    /// Every other process of the system: the other functions, or Redis.
    Rest,
    /// The local cloud, which replaces AWS.
    Cloud,
}

/// Processor time in clock ticks by process. The key has the start time too, since the kernel reuses process ids.
#[derive(Clone, Debug, Default)]
pub(crate) struct CpuUsage(BTreeMap<(u32, u64), (Role, u64)>);

#[derive(Debug, PartialEq)]
struct Stat {
    parent: u32,
    /// In user and system mode together.
    ticks: u64,
    /// In clock ticks after the start of the machine.
    started: u64,
}

impl CpuUsage {
    /// Reads the usage of these processes. It leaves out those that have ended.
    pub(crate) fn from_processes(processes: impl IntoIterator<Item = (u32, Role)>) -> Self {
        let entry = |(pid, role)| {
            let stat = Stat::read(pid)?;
            Some(((pid, stat.started), (role, stat.ticks)))
        };
        Self(processes.into_iter().filter_map(entry).collect())
    }

    /// Reads the usage of a local cloud and of the functions that it runs. The functions have the cloud's address in
    /// their environment, which differs from that of other local clouds.
    pub(crate) fn from_cloud(endpoint: &str) -> Result<Self> {
        let mut processes = BTreeMap::new();
        for entry in fs::read_dir("/proc").context("can't read /proc")? {
            let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            if let Some(role) = function_role(pid, endpoint) {
                processes.insert(pid, role);
                processes.extend(Stat::read(pid).map(|stat| (stat.parent, Role::Cloud)));
            }
        }
        Ok(Self::from_processes(processes))
    }

    /// The seconds that the processes of a role used since an earlier reading. A process that has started since counts
    /// from its start. One that has ended since was idle and counts zero.
    pub(crate) fn seconds_since(&self, earlier: &Self, role: Role) -> f64 {
        let ticks = self
            .0
            .iter()
            .filter(|(_, (of, _))| *of == role)
            .map(|(process, (_, ticks))| ticks - earlier.0.get(process).map_or(0, |(_, before)| *before));
        ticks.sum::<u64>() as f64 / rustix::param::clock_ticks_per_second() as f64
    }
}

impl Stat {
    fn read(pid: u32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// The field numbers are those of proc_pid_stat(5). The second field is the program's name, which may contain
    /// anything.
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
fn function_role(pid: u32, endpoint: &str) -> Option<Role> {
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
    fn the_name_in_a_stat_may_contain_spaces_and_parentheses() {
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
    fn the_usage_of_this_process_can_be_read() {
        let before = CpuUsage::from_processes([]);
        let now = CpuUsage::from_processes([(std::process::id(), Role::Api)]);
        assert_eq!(now.0.len(), 1);
        assert_eq!(now.seconds_since(&before, Role::Worker), 0.0);
        assert_eq!(now.seconds_since(&now, Role::Api), 0.0);
    }

    #[test]
    fn new_processes_count_from_their_start_and_ended_ones_count_zero() {
        let second = rustix::param::clock_ticks_per_second();
        let usage = |entries: &[((u32, u64), u64)]| {
            let entry = |(process, ticks): &_| (*process, (Role::Api, ticks * second));
            CpuUsage(entries.iter().map(entry).collect())
        };
        let earlier = usage(&[((1, 10), 5), ((2, 10), 7)]);
        // The process id 2 was reused by a process that started later.
        let later = usage(&[((1, 10), 6), ((2, 99), 3)]);
        assert_eq!(later.seconds_since(&earlier, Role::Api), 4.0);
    }

    #[test]
    fn a_function_is_recognized_by_its_program_and_its_cloud() {
        let environment = |function: &str| {
            format!("A=b\0AWS_ENDPOINT_URL=http://127.0.0.1:1\0AWS_LAMBDA_FUNCTION_NAME=x-{function}-1A")
        };
        let role_of = |program: &str, function: &str, endpoint: &str| {
            role(Path::new(program), environment(function).as_bytes(), endpoint)
        };
        let (this_cloud, other_cloud) = ("http://127.0.0.1:1", "http://127.0.0.1:11");
        assert_eq!(
            role_of("/x/bootstrap", "ApiFunction", this_cloud),
            Some(Role::Api)
        );
        assert_eq!(
            role_of("/x/bootstrap", "TextWorkerFunction", this_cloud),
            Some(Role::Worker)
        );
        assert_eq!(
            role_of("/x/bootstrap", "ReactorFunction", this_cloud),
            Some(Role::Rest)
        );
        assert_eq!(role_of("/x/bootstrap", "ApiFunction", other_cloud), None);
        assert_eq!(role_of("/x/python", "ApiFunction", this_cloud), None);
    }
}
