//! Starting the local cloud's process.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::Options;
use super::members;
use super::place::{self, Place, State};
use crate::interrupt::{self, Kind};
use crate::llm::{Address, Llm};
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
    let state = State {
        nonce: place::make_token()?,
        pid: 0,
        port: free_port()?,
        auth: options.auth,
        faults: options.faults,
        llm: options.llm.map(Address::choose).transpose()?,
        url: None,
    };
    fs::create_dir_all(place.dir())?;
    let log =
        File::create(place.log()).with_context(|| format!("can't write {}", paths::shown(&place.log())))?;
    spawn(place, python, options, attached, log, state)
}

/// Starts a cloud that was ended again, where it was and with what it saved.
pub(super) fn start_again(
    place: &Place,
    python: &Venv,
    options: &Options,
    state: State,
) -> Result<(State, Running)> {
    let log = File::options().append(true).open(place.log())?;
    spawn(place, python, options, true, log, state)
}

fn spawn(
    place: &Place,
    python: &Venv,
    options: &Options,
    attached: bool,
    log: File,
    state: State,
) -> Result<(State, Running)> {
    let mut command = member(python.bin("python"), attached, &state);
    let mut function_environment = options.function_environment.clone();
    function_environment.insert(members::VARIABLE.to_owned(), state.nonce.clone());
    if options.faults {
        function_environment.insert("AI_MESH_FAULTS".to_owned(), "on".to_owned());
    }
    command
        .args(["-m", "localstack.launch", "--port", &state.port.to_string()])
        .arg("--state")
        .arg(place.cloud());
    for (name, value) in &function_environment {
        command.arg("--function-env").arg(format!("{name}={value}"));
    }
    for (wanted, flag) in [(options.auth, "--auth"), (options.persist, "--persist")] {
        if wanted {
            command.arg(flag);
        }
    }
    if let Some(llm) = state.llm {
        command.arg("--language-model").arg(llm.server());
    }
    command
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log);
    let cloud = Running::spawn(&mut command, Kind::Cloud)?;
    let state = State {
        pid: cloud.child.id(),
        ..state
    };
    // At once, so that a later command can clear away what this one, killed, would leave.
    place.write_state(&state)?;
    Ok((state, cloud))
}

/// A command for a process of the stack: it ends with this one, or else with the stack.
fn member(program: PathBuf, attached: bool, state: &State) -> Command {
    let mut command = if attached {
        process::command(program)
    } else {
        process::detached(program)
    };
    command.env(members::VARIABLE, &state.nonce);
    command
}

/// Starts the stack's language model, if it is to have one.
pub(super) fn start_llm(
    place: &Place,
    llm: Option<&Llm>,
    attached: bool,
    state: &State,
) -> Result<Option<Running>> {
    let (Some(llm), Some(address)) = (llm, state.llm) else {
        return Ok(None);
    };
    let command = |program| member(program, attached, state);
    llm.start(address, command, &place.llm_log()).map(Some)
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
