//! Starts the local cloud's process.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use mesh_supervisor::{OnSignal, SupervisedChild, signals};

use super::dir::{self, StackDir, State};
use super::processes;
use super::{Kind, Options};
use crate::llm::{Address, Llm};
use crate::process;
use crate::progress::Step;
use crate::venv::Venv;
use crate::{http, paths};

/// It is ready within a second, or later with a cold disk or on a busy machine.
const READY_TIMEOUT: Duration = Duration::from_secs(60);

/// Starts the cloud on a free port, without the caller's AWS and AI Mesh settings.
pub(super) fn start(
    dir: &StackDir,
    python: &Venv,
    options: &Options,
    attached: bool,
) -> Result<(State, SupervisedChild)> {
    let state = State {
        nonce: dir::make_token()?,
        pid: 0,
        port: free_port()?,
        kind: Kind::Cloud,
        auth: options.auth,
        faults: options.faults,
        llm: options.llm.map(Address::choose).transpose()?,
        url: None,
    };
    fs::create_dir_all(dir.path())?;
    let log = File::create(dir.log_file())
        .with_context(|| format!("can't write {}", paths::display(&dir.log_file())))?;
    spawn(dir, python, options, attached, log, state)
}

/// Starts a stopped cloud again, on the same port and with the data that it saved.
pub(super) fn restart(
    dir: &StackDir,
    python: &Venv,
    options: &Options,
    state: State,
) -> Result<(State, SupervisedChild)> {
    let log = File::options().append(true).open(dir.log_file())?;
    spawn(dir, python, options, true, log, state)
}

fn spawn(
    dir: &StackDir,
    python: &Venv,
    options: &Options,
    attached: bool,
    log: File,
    state: State,
) -> Result<(State, SupervisedChild)> {
    let mut command = stack_command(python.bin("python"), attached, &state);
    let mut function_environment = options.function_environment.clone();
    function_environment.insert(processes::NONCE_VARIABLE.to_owned(), state.nonce.clone());
    if options.faults {
        function_environment.insert("AI_MESH_FAULTS".to_owned(), "on".to_owned());
    }
    command
        .args(["-m", "localstack.launch", "--port", &state.port.to_string()])
        .arg("--state")
        .arg(dir.cloud_dir());
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
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    spawn_logging("the local cloud", &mut command, log, dir, state)
}

/// Starts a stack's main process, which writes to `log`, and stores its id with the stack's state.
pub(super) fn spawn_logging(
    name: &str,
    command: &mut Command,
    log: File,
    dir: &StackDir,
    state: State,
) -> Result<(State, SupervisedChild)> {
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    let child = SupervisedChild::spawn(name, command, OnSignal::LeaveToOwner)?;
    let state = State {
        pid: child.id(),
        ..state
    };
    // Written at once, so that a later command can clean up if this one is killed.
    dir.write_state(&state)?;
    Ok((state, child))
}

/// A command for a process of the stack. It ends with this process if it is attached, else with the stack.
pub(super) fn stack_command(program: PathBuf, attached: bool, state: &State) -> Command {
    let mut command = if attached {
        process::command(program)
    } else {
        process::detached_command(program)
    };
    command.env(processes::NONCE_VARIABLE, &state.nonce);
    command
}

/// Starts the stack's language model, if the options ask for one.
pub(super) fn start_llm(
    dir: &StackDir,
    llm: Option<&Llm>,
    attached: bool,
    state: &State,
) -> Result<Option<SupervisedChild>> {
    let (Some(llm), Some(address)) = (llm, state.llm) else {
        return Ok(None);
    };
    let command = |program| stack_command(program, attached, state);
    llm.start(address, command, &dir.llm_log_file()).map(Some)
}

pub(super) fn wait_until_ready(dir: &StackDir, state: State, cloud: &mut SupervisedChild) -> Result<State> {
    let step = Step::start("starting the local cloud");
    let deadline = Instant::now() + READY_TIMEOUT;
    let address = ready_address(state.port);
    loop {
        if let Some(status) = cloud.try_wait()? {
            bail!(
                "the local cloud ended with {status}:\n    {}",
                process::tail(&dir.log_file())
            );
        }
        if http::is_ok(&address, Duration::from_secs(2)) {
            step.done(&state.endpoint());
            return Ok(state);
        }
        if Instant::now() >= deadline {
            bail!(
                "the local cloud is not ready after {READY_TIMEOUT:?}. Its log ({}) ends with:\n    {}",
                paths::display(&dir.log_file()),
                process::tail(&dir.log_file())
            );
        }
        signals::sleep(Duration::from_millis(50))?;
    }
}

pub(super) fn ready_address(port: u16) -> String {
    format!("http://127.0.0.1:{port}/_ministack/ready")
}

/// A port that is free now. If another program takes it first, the started process reports it and the start fails.
pub(super) fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("no free port on 127.0.0.1")?;
    Ok(listener.local_addr()?.port())
}
