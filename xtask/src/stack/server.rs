//! Starts mesh-server on a data folder.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use mesh_supervisor::{SupervisedChild, signals};
use rustix::process::Signal;

use super::dir::{self, StackDir, State};
use super::{Attached, Kind, Options, Remove, clear, finish, launch, processes};
use crate::llm::{self, Address, Llm, MODEL};
use crate::parallel::Parallel;
use crate::progress::Step;
use crate::tools::cargo;
use crate::{http, models, paths, process, web};

/// How long the server may take to end: it gives its running tasks 25 seconds.
pub(super) const STOP_TIMEOUT: Duration = Duration::from_secs(35);

/// It is ready within a second, or later with a cold disk or on a busy machine.
const READY_TIMEOUT: Duration = Duration::from_secs(60);

/// What the server runs with.
#[derive(Debug)]
pub(super) struct Parts {
    program: PathBuf,
    assets: PathBuf,
    /// Absent without Node.js.
    dashboard: Option<PathBuf>,
    llm: Option<Llm>,
    arguments: Vec<String>,
}

/// Builds what the server needs and starts it. The caller holds the lock.
pub(super) fn start(dir: StackDir, options: &Options, attached: bool) -> Result<Attached> {
    let parts = make(options)?;
    // A server that fails to start leaves the tasks to the next one.
    let remove = if attached { Remove::All } else { Remove::KeepData };
    clear(&dir, None, remove)?;
    let state = State {
        nonce: dir::make_token()?,
        pid: 0,
        port: launch::free_port()?,
        kind: Kind::Server,
        auth: false,
        faults: options.faults,
        llm: options.llm.map(Address::choose).transpose()?,
        url: None,
    };
    fs::create_dir_all(dir.path()).with_context(|| format!("can't make {}", paths::display(&dir.path())))?;
    let program = dir.program_file();
    fs::copy(&parts.program, &program)
        .with_context(|| format!("can't copy the server to {}", paths::display(&program)))?;
    let (state, server) = spawn(&dir, &parts, state, attached)?;
    // From here on, an error drops the stack and so stops the server.
    let mut stack = Attached::new(dir, server, remove);
    let dir = &stack.dir;
    wait_until_ready(dir, &state, &mut stack.leader)?;
    stack.llm = launch::start_llm(dir, parts.llm.as_ref(), attached, &state)?;
    let settings = environment(dir, &state)?;
    let url = state.endpoint();
    finish(dir, state, url, &settings)?;
    stack.server = Some(parts);
    Ok(stack)
}

/// Ends a server by a signal, and starts it again with its tasks, at the same port.
pub(super) fn restart(stack: &mut Attached, signal: Signal) -> Result<()> {
    let parts = stack.server.as_ref().context("the stack is not a server")?;
    let state = stack.state()?;
    processes::send(state.pid, &state.nonce, signal);
    let status = stack.leader.wait_timeout(STOP_TIMEOUT)?;
    stack.leader.release();
    if signal != Signal::KILL && !status.success() {
        bail!("the server ended with {status}");
    }
    let (state, server) = spawn(&stack.dir, parts, state, true)?;
    stack.leader = server;
    wait_until_ready(&stack.dir, &state, &mut stack.leader)
}

/// Checks the data folder while the server runs. Returns what is damaged.
pub(super) fn check(dir: &StackDir) -> Result<Option<String>> {
    let mut command = process::command(dir.program_file());
    let output = command.arg("check").arg("--data").arg(dir.data_dir()).output()?;
    let report = [output.stdout, output.stderr].concat();
    Ok((!output.status.success()).then(|| String::from_utf8_lossy(&report).into_owned()))
}

/// Compiles the server beside the downloads and builds of what it runs with.
fn make(options: &Options) -> Result<Parts> {
    thread::scope(|scope| {
        let assets = Parallel::start(scope, models::ensure);
        let dashboard = Parallel::start(scope, web::build_if_possible);
        let llm = Parallel::start(scope, || options.llm.map(|_| llm::ensure()).transpose());
        let program = match &options.server_program {
            Some(program) => Ok(program.clone()),
            None => build(options.faults),
        };
        Ok(Parts {
            program: program?,
            // The links may be moved while the server runs.
            assets: fs::canonicalize(assets.result()?)?,
            dashboard: dashboard.result()?.map(fs::canonicalize).transpose()?,
            llm: llm.result()?,
            arguments: options.server_arguments.clone(),
        })
    })
}

/// Compiles the program with the features that its dependencies have in a build of all tests, so that both share the
/// compiled dependencies. Only the language worker is left out: with it the server would contain the AWS SDK.
fn build(faults: bool) -> Result<PathBuf> {
    let mut command = process::command(cargo());
    command.args(["build", "--workspace", "--exclude", "language-worker"]);
    command.args(["--bin", "mesh-server", "--locked"]);
    if faults {
        command.args(["--features", "mesh-server/faults"]);
    }
    process::run(&mut command, "compiling the server", "build-server")?;
    Ok(paths::target().join("debug/mesh-server"))
}

fn spawn(dir: &StackDir, parts: &Parts, state: State, attached: bool) -> Result<(State, SupervisedChild)> {
    let log = dir.server_log_file();
    // The log of tasks that outlived their server goes on.
    let goes_on = dir.data_dir().is_dir();
    let output = File::options()
        .create(true)
        .write(true)
        .append(goes_on)
        .truncate(!goes_on)
        .open(&log)
        .with_context(|| format!("can't write {}", paths::display(&log)))?;
    let mut command = launch::stack_command(dir.program_file(), attached, &state);
    command
        .args(["--listen", &format!("127.0.0.1:{}", state.port)])
        .arg("--data")
        .arg(dir.data_dir())
        .arg("--assets")
        .arg(&parts.assets);
    if let Some(dashboard) = &parts.dashboard {
        command.arg("--web").arg(dashboard);
    }
    command.args(&parts.arguments);
    if state.faults {
        command.env("AI_MESH_FAULTS", "on");
    }
    if let Some(llm) = state.llm {
        command.args(["--language-url", &llm.base_url(), "--language-model", MODEL]);
    }
    launch::spawn_logging("the server", &mut command, output, dir, state)
}

fn wait_until_ready(dir: &StackDir, state: &State, server: &mut SupervisedChild) -> Result<()> {
    let step = Step::start("starting the server");
    let deadline = Instant::now() + READY_TIMEOUT;
    let address = format!("{}/health", state.endpoint());
    while !http::is_ok(&address, Duration::from_secs(5)) {
        let ended = server.try_wait()?;
        if ended.is_some() || Instant::now() >= deadline {
            let how = ended.map_or_else(
                || format!("is not ready after {READY_TIMEOUT:?}"),
                |status| format!("ended with {status}"),
            );
            let log = dir.server_log_file();
            bail!(
                "the server {how}. Its log ({}) ends with:\n    {}",
                paths::display(&log),
                process::tail(&log)
            );
        }
        signals::sleep(Duration::from_millis(20))?;
    }
    step.done(&state.endpoint());
    Ok(())
}

/// The settings in stack.env.
fn environment(dir: &StackDir, state: &State) -> Result<BTreeMap<String, String>> {
    let path = dir.data_dir().join("token");
    let token = fs::read_to_string(&path).with_context(|| format!("can't read {}", paths::display(&path)))?;
    let mut settings = BTreeMap::from([
        ("AI_MESH_URL".to_owned(), state.endpoint()),
        ("AI_MESH_TOKEN".to_owned(), token.trim().to_owned()),
        // Of the same name as on a local cloud, where the streams have an address of their own.
        ("EVENTS_URL".to_owned(), format!("{}/", state.endpoint())),
    ]);
    settings.extend(state.llm.into_iter().flat_map(Address::settings));
    Ok(settings)
}
