//! Starting the local cloud's process.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::TcpListener;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::Options;
use super::members;
use super::place::{self, Place, State};
use crate::interrupt::{self, Kind};
use crate::process::{self, Running};
use crate::progress::Step;
use crate::venv::Venv;
use crate::{http, paths};

/// It takes under a second; a cold disk or a busy machine, longer.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// Starts the cloud on a free port, with nothing of the caller's environment.
pub(super) fn start(
    place: &Place,
    python: &Venv,
    options: &Options,
    attached: bool,
) -> Result<(State, Running)> {
    let nonce = place::make_token()?;
    let port = free_port()?;
    fs::create_dir_all(place.dir())?;
    let log =
        File::create(place.log()).with_context(|| format!("can't write {}", paths::shown(&place.log())))?;
    let program = python.bin("python");
    let mut command = if attached {
        process::command(program)
    } else {
        process::detached(program)
    };
    let mut function_environment = BTreeMap::from([(members::VARIABLE, nonce.as_str())]);
    if options.faults {
        function_environment.insert("AI_MESH_FAULTS", "on");
    }
    command
        .args(["-m", "localstack.launch", "--port", &port.to_string(), "--state"])
        .arg(place.cloud());
    for (name, value) in &function_environment {
        command.arg("--function-env").arg(format!("{name}={value}"));
    }
    if options.auth {
        command.arg("--auth");
    }
    command
        .env(members::VARIABLE, &nonce)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdout(log.try_clone()?)
        .stderr(log);
    command.stdin(Stdio::null());
    let cloud = Running::spawn(&mut command, Kind::Cloud)?;
    let state = State {
        nonce,
        pid: cloud.child.id(),
        port,
        auth: options.auth,
        faults: options.faults,
        url: None,
    };
    // At once, so that a later command can clear away what this one, killed, would leave.
    place.write_state(&state)?;
    Ok((state, cloud))
}

pub(super) fn wait_until_ready(place: &Place, state: State, cloud: &mut Running) -> Result<State> {
    let step = Step::start("starting the local cloud");
    let deadline = Instant::now() + READY_WITHIN;
    let address = ready_address(state.port);
    loop {
        if let Some(status) = cloud.poll()? {
            bail!(
                "the local cloud ended with {status}:\n    {}",
                process::tail(&place.log())
            );
        }
        if http::answers(&address, Duration::from_secs(2)) {
            step.done(&state.endpoint());
            return Ok(state);
        }
        if Instant::now() >= deadline {
            bail!(
                "the local cloud is not ready after {READY_WITHIN:?}. Its log ({}) ends with:\n    {}",
                paths::shown(&place.log()),
                process::tail(&place.log())
            );
        }
        interrupt::pause(Duration::from_millis(50))?;
    }
}

pub(super) fn ready_address(port: u16) -> String {
    format!("http://127.0.0.1:{port}/_ministack/ready")
}

/// A port that was free a moment ago. Should another program take it first, the cloud says so and the start fails.
fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("no free port on 127.0.0.1")?;
    Ok(listener.local_addr()?.port())
}
