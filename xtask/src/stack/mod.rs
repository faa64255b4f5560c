//! The local stack: mesh-server with a data folder, or a local cloud with infra/template.yaml deployed to it. Each stack has
//! ports and state of its own.
//!
//! Invariants: a stack that is up answers its health check. All its processes have its nonce in their environment, and none
//! of them runs when it is down. Only the holder of its lock changes it.

mod deploy;
mod dir;
mod env;
mod launch;
mod processes;
mod server;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use mesh_supervisor::{SupervisedChild, signals};
use rustix::process::Signal;
use serde::{Deserialize, Serialize};

use crate::functions::{self, Build};
use crate::llm::{self, Address, Provider};
use crate::lock::{self, Lock};
use crate::parallel::Parallel;
use crate::paths;
use crate::progress::Step;
use crate::{hash, http};
pub(crate) use deploy::venv;
use dir::State;
pub(crate) use dir::{DEFAULT_NAME, StackDir};
pub(crate) use processes::StackProcess;

/// What a stack runs on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// The template on a local cloud.
    #[default]
    Cloud,
    /// mesh-server: one process with a data folder.
    Server,
}

/// The options of a stack. Those of the functions and of the template are for the local cloud only.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    pub(crate) kind: Kind,
    /// Signatures and IAM policies are enforced, as on AWS.
    pub(crate) auth: bool,
    /// The functions or the server are compiled with fault injection, and it is enabled.
    pub(crate) faults: bool,
    /// The local cloud saves its data when it stops, and loads it when it is restarted.
    pub(crate) persist: bool,
    /// The provider through which the functions reach a language model on this machine.
    pub(crate) llm: Option<Provider>,
    /// Values for the template's parameters, except for the token.
    pub(crate) parameters: BTreeMap<String, String>,
    /// Environment variables of every function, in addition to the template's.
    pub(crate) function_environment: BTreeMap<String, String>,
    /// The server's program, where it is compiled already.
    pub(crate) server_program: Option<PathBuf>,
    /// Further arguments of the server.
    pub(crate) server_arguments: Vec<String>,
}

/// Starts a stack that outlives this process, until [`down`]. One that runs already with the same options is left as
/// it is. A server that has ended, as after a restart of the machine, continues with its tasks.
pub(crate) fn up(name: &str, options: &Options) -> Result<StackDir> {
    let dir = StackDir::new(name)?;
    let _lock = lock::acquire(&dir.lock_file())?;
    if options.kind == Kind::Cloud && dir.data_dir().is_dir() {
        bail!(
            "the stack `{name}` is a server with tasks: remove it and them with `{}`, or choose another --name",
            dir.down_command()
        );
    }
    if let Some(state) = healthy(&dir)? {
        let llm = state.llm.map(|llm| llm.provider);
        if (state.kind, state.auth, state.faults, llm)
            != (options.kind, options.auth, options.faults, options.llm)
        {
            bail!(
                "the stack `{name}` is up with other options (--cloud: {}, --auth: {}, --faults: {}, --llm: {}): stop it \
                 with `{}`, or choose another --name",
                state.kind == Kind::Cloud,
                state.auth,
                state.faults,
                llm.map_or_else(
                    || "none".to_owned(),
                    |provider| format!("{provider:?}").to_lowercase()
                ),
                dir.down_command()
            );
        }
        return Ok(dir);
    }
    let mut started = start(dir, options, false)?;
    started.detach();
    Ok(started.dir.clone())
}

/// Starts a stack that ends with this process at the latest, or when it is dropped. It replaces one of the same name.
pub(crate) fn attached(name: &str, options: &Options) -> Result<Attached> {
    let dir = StackDir::new(name)?;
    let lock = lock::acquire(&dir.lock_file())?;
    let mut started = start(dir, options, true)?;
    started._lock = Some(lock);
    Ok(started)
}

/// The stack of that name, if it is healthy and has these options.
pub(crate) fn running(name: &str, options: &Options) -> Result<Option<StackDir>> {
    let dir = StackDir::new(name)?;
    let fits = healthy(&dir)?.is_some_and(|state| {
        let llm = state.llm.map(|llm| llm.provider);
        state.kind == options.kind
            && state.auth == options.auth
            && !state.faults
            && (options.llm.is_none() || llm == options.llm)
    });
    Ok(fits.then_some(dir))
}

/// Stops the stack and removes its state. Returns whether there was one.
pub(crate) fn down(name: &str) -> Result<bool> {
    let dir = StackDir::new(name)?;
    let _lock = lock::acquire(&dir.lock_file())?;
    let was_up = dir.state()?.is_some();
    clear(&dir, None, Remove::All)?;
    Ok(was_up)
}

/// A started stack. Dropping it stops the stack.
#[derive(Debug)]
pub(crate) struct Attached {
    pub(crate) dir: StackDir,
    /// The process of the local cloud or of the server.
    leader: SupervisedChild,
    llm: Option<SupervisedChild>,
    /// What a server is started again with.
    server: Option<server::Parts>,
    is_detached: bool,
    /// What goes with it when it is stopped.
    remove: Remove,
    _lock: Option<Lock>,
}

impl Attached {
    fn new(dir: StackDir, leader: SupervisedChild, remove: Remove) -> Self {
        Self {
            dir,
            leader,
            llm: None,
            server: None,
            is_detached: false,
            remove,
            _lock: None,
        }
    }

    fn detach(&mut self) {
        self.leader.release();
        if let Some(llm) = &mut self.llm {
            llm.release();
        }
        self.is_detached = true;
    }

    /// Stops the local cloud and its functions, or the server, and starts it again with what it saved.
    pub(crate) fn restart(&mut self, options: &Options) -> Result<()> {
        if options.kind == Kind::Server {
            return server::restart(self, Signal::TERM);
        }
        let state = self.state()?;
        processes::stop(
            state.pid,
            &state.nonce,
            Some(&mut self.leader),
            processes::SAVE_TIMEOUT,
        )?;
        let (state, cloud) = launch::restart(&self.dir, &deploy::venv()?, options, state)?;
        self.leader = cloud;
        launch::wait_until_ready(&self.dir, state, &mut self.leader)?;
        Ok(())
    }

    /// Kills the server, and starts it again at once. Its child processes may still be ending then.
    pub(crate) fn crash(&mut self) -> Result<()> {
        server::restart(self, Signal::KILL)
    }

    /// Checks the server's data folder, and returns what is damaged.
    pub(crate) fn check(&self) -> Result<Option<String>> {
        server::check(&self.dir)
    }

    /// The process of the local cloud or of the server.
    pub(crate) fn leader(&self) -> Result<StackProcess> {
        let state = self.state()?;
        let mut processes = processes::all(&state.nonce);
        processes.retain(|process| process.pid() == state.pid);
        processes.pop().context("the stack's main process has ended")
    }

    /// The processes of its functions or models that run at this moment.
    pub(crate) fn child_processes(&self) -> Result<Vec<StackProcess>> {
        let state = self.state()?;
        let mut processes = processes::all(&state.nonce);
        processes.retain(|process| process.pid() != state.pid);
        Ok(processes)
    }

    fn state(&self) -> Result<State> {
        let state = self.dir.state()?;
        state.with_context(|| format!("the stack `{}` has no state file", self.dir.name()))
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        if !self.is_detached
            && let Err(error) = clear(&self.dir, Some(&mut self.leader), self.remove)
        {
            eprintln!("! can't stop the stack `{}`: {error:#}", self.dir.name());
        }
    }
}

/// Builds what the stack needs and starts it. The caller holds the lock.
fn start(dir: StackDir, options: &Options, attached: bool) -> Result<Attached> {
    match options.kind {
        Kind::Cloud => start_cloud(dir, options, attached),
        Kind::Server => server::start(dir, options, attached),
    }
}

/// Builds the artifacts, starts the cloud and deploys to it.
fn start_cloud(dir: StackDir, options: &Options, attached: bool) -> Result<Attached> {
    let kind = if options.faults {
        Build::Faults
    } else {
        Build::Release
    };
    let (artifacts, llm, python) = thread::scope(|scope| {
        let llm = Parallel::start(scope, || options.llm.map(|_| llm::ensure()).transpose());
        let python = Parallel::start(scope, deploy::venv);
        let artifacts = functions::build(kind);
        anyhow::Ok((artifacts?, llm.result()?, python.result()?))
    })?;
    clear(&dir, None, Remove::All)?;
    let (state, cloud) = launch::start(&dir, &python, options, attached)?;
    // From here on, an error drops the stack and so stops the cloud.
    let mut stack = Attached::new(dir, cloud, Remove::All);
    let dir = &stack.dir;
    let state = launch::wait_until_ready(dir, state, &mut stack.leader)?;
    stack.llm = launch::start_llm(dir, llm.as_ref(), attached, &state)?;

    let token = dir::make_token()?;
    dir.write_private(&dir.token_file(), &token)?;
    let llm_parameters = state.llm.iter().flat_map(|llm| llm.parameters());
    let mut parameters: BTreeMap<_, _> = llm_parameters.chain(options.parameters.clone()).collect();
    parameters.insert("TokenSha256".to_owned(), hash::bytes(token.as_bytes()));
    let deployed = deploy::run(&python, &state, &artifacts, &parameters, dir.name())?;
    wait_for_health(&deployed.url)?;
    let settings = deploy::environment(&state, &token, &deployed);
    finish(dir, state, deployed.url, &settings)?;
    Ok(stack)
}

/// Writes what later commands and clients need to know of a healthy stack.
fn finish(dir: &StackDir, state: State, url: String, settings: &BTreeMap<String, String>) -> Result<()> {
    dir.write_private(&dir.env_file(), &env::render(settings))?;
    dir.write_state(&State {
        url: Some(url),
        ..state
    })
}

fn wait_for_health(url: &str) -> Result<()> {
    let step = Step::start("waiting for the API");
    let address = format!("{url}/health");
    for _ in 0..40 {
        if http::is_ok(&address, Duration::from_secs(20)) {
            step.done("");
            return Ok(());
        }
        signals::sleep(Duration::from_millis(250))?;
    }
    bail!("the stack is deployed, but {address} does not answer 200: look at `cargo xtask logs api`")
}

/// The state of a stack whose processes run and whose addresses answer.
fn healthy(dir: &StackDir) -> Result<Option<State>> {
    let Some(state) = dir.state()? else {
        return Ok(None);
    };
    let (Some(url), true) = (&state.url, dir.env_file().is_file()) else {
        return Ok(None);
    };
    let is_healthy = processes::has_nonce(state.pid, &state.nonce)
        && (state.kind == Kind::Server
            || http::is_ok(&launch::ready_address(state.port), Duration::from_secs(5)))
        && state.llm.is_none_or(Address::is_ready)
        && http::is_ok(&format!("{url}/health"), Duration::from_secs(20));
    Ok(is_healthy.then_some(state))
}

/// Which files of a stack are removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Remove {
    /// All except for the logs.
    All,
    /// What belongs to the processes: the tasks of a server outlive it.
    KeepData,
}

/// Stops every process of the stack and removes its files. It also clears what a killed command left.
fn clear(dir: &StackDir, leader: Option<&mut SupervisedChild>, remove: Remove) -> Result<()> {
    if let Some(state) = dir.state()? {
        let step = Step::start(&format!("stopping the stack `{}`", dir.name()));
        let timeout = match (state.kind, remove) {
            (Kind::Cloud, _) => processes::STOP_TIMEOUT,
            (Kind::Server, Remove::KeepData) => server::STOP_TIMEOUT,
            // Its tasks are removed with it, so it need not end those that run.
            (Kind::Server, Remove::All) => Duration::ZERO,
        };
        processes::stop(state.pid, &state.nonce, leader, timeout)?;
        step.done("");
    }
    if dir.env_file().exists() {
        fs::remove_file(dir.env_file())?;
    }
    let mut kept = vec![dir.log_file(), dir.server_log_file()];
    if remove == Remove::KeepData {
        kept.push(dir.data_dir());
    }
    if dir.path().is_dir() {
        remove_all_except(&dir.path(), &kept)?;
    }
    Ok(())
}

fn remove_all_except(folder: &Path, kept: &[PathBuf]) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if kept.contains(&path) {
            continue;
        }
        let removed = if path.is_dir() {
            fs::remove_dir_all(&path)
        } else {
            fs::remove_file(&path)
        };
        removed.with_context(|| format!("can't remove {}", paths::display(&path)))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_outlives_the_other_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir_all(path("data/payloads")).unwrap();
        fs::create_dir_all(path("cloud/tmp")).unwrap();
        for name in ["data/tasks.db", "cloud/tmp/a", "state.json", "server.log"] {
            fs::write(path(name), "").unwrap();
        }
        remove_all_except(folder.path(), &[path("data"), path("server.log")]).unwrap();
        assert!(path("data/tasks.db").is_file() && path("server.log").is_file());
        assert!(!path("cloud").exists() && !path("state.json").exists());
    }
}
