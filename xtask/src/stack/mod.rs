//! The local stack: a local cloud with a port and state of its own, with infra/template.yaml deployed to it.
//!
//! Invariants: a stack that is up answers its health check and runs what the template says. All its processes have its
//! nonce in their environment, and none of them runs when it is down. Only the holder of its lock changes it.

mod deploy;
mod dir;
mod env;
mod launch;
mod processes;

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use mesh_supervisor::{SupervisedChild, signals};

use crate::functions::{self, Build};
use crate::llm::{self, Address, Provider};
use crate::lock::{self, Lock};
use crate::paths;
use crate::progress::Step;
use crate::{hash, http};
pub(crate) use deploy::venv;
use dir::State;
pub(crate) use dir::{DEFAULT_NAME, StackDir};
pub(crate) use processes::StackProcess;

#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    /// Signatures and IAM policies are enforced, as on AWS.
    pub(crate) auth: bool,
    /// The functions are compiled with fault injection, and it is enabled.
    pub(crate) faults: bool,
    /// The local cloud saves its data when it stops, and loads it when it is restarted.
    pub(crate) persist: bool,
    /// The provider through which the functions reach a language model on this machine.
    pub(crate) llm: Option<Provider>,
    /// Values for the template's parameters, except for the token.
    pub(crate) parameters: BTreeMap<String, String>,
    /// Environment variables of every function, in addition to the template's.
    pub(crate) function_environment: BTreeMap<String, String>,
}

/// Starts a stack that outlives this process, until [`down`]. One that runs already with the same options is left as
/// it is.
pub(crate) fn up(name: &str, options: &Options) -> Result<StackDir> {
    let dir = StackDir::new(name)?;
    let _lock = lock::acquire(&dir.lock_file())?;
    if let Some(state) = healthy(&dir)? {
        let llm = state.llm.map(|llm| llm.provider);
        if (state.auth, state.faults, llm) != (options.auth, options.faults, options.llm) {
            bail!(
                "the stack `{name}` is up with other options (--auth: {}, --faults: {}, --llm: {}): stop it with `{}`, \
                 or choose another --name",
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
        state.auth == options.auth && !state.faults && (options.llm.is_none() || llm == options.llm)
    });
    Ok(fits.then_some(dir))
}

/// Stops the stack and removes its state. Returns whether there was one.
pub(crate) fn down(name: &str) -> Result<bool> {
    let dir = StackDir::new(name)?;
    let _lock = lock::acquire(&dir.lock_file())?;
    let was_up = dir.state()?.is_some();
    clear(&dir, None)?;
    Ok(was_up)
}

/// A started stack. Dropping it stops the stack.
#[derive(Debug)]
pub(crate) struct Attached {
    pub(crate) dir: StackDir,
    cloud: SupervisedChild,
    llm: Option<SupervisedChild>,
    is_detached: bool,
    _lock: Option<Lock>,
}

impl Attached {
    fn detach(&mut self) {
        self.cloud.release();
        if let Some(llm) = &mut self.llm {
            llm.release();
        }
        self.is_detached = true;
    }

    /// Stops the local cloud and its functions, and starts it again with the data that it saved.
    pub(crate) fn restart(&mut self, options: &Options) -> Result<()> {
        let state = self.state()?;
        processes::stop(
            state.pid,
            &state.nonce,
            Some(&mut self.cloud),
            processes::SAVE_TIMEOUT,
        )?;
        let (state, cloud) = launch::restart(&self.dir, &deploy::venv()?, options, state)?;
        self.cloud = cloud;
        launch::wait_until_ready(&self.dir, state, &mut self.cloud)?;
        Ok(())
    }

    /// The processes of its functions that run at this moment.
    pub(crate) fn function_processes(&self) -> Result<Vec<StackProcess>> {
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
            && let Err(error) = clear(&self.dir, Some(&mut self.cloud))
        {
            eprintln!("! can't stop the stack `{}`: {error:#}", self.dir.name());
        }
    }
}

/// Builds the artifacts, starts the cloud and deploys to it. The caller holds the lock.
fn start(dir: StackDir, options: &Options, attached: bool) -> Result<Attached> {
    let artifacts = functions::build(if options.faults {
        Build::Faults
    } else {
        Build::Release
    })?;
    let llm = options.llm.map(|_| llm::ensure()).transpose()?;
    clear(&dir, None)?;
    let python = deploy::venv()?;
    let (state, cloud) = launch::start(&dir, &python, options, attached)?;
    // From here on, an error drops the stack and so stops the cloud.
    let mut stack = Attached {
        dir,
        cloud,
        llm: None,
        is_detached: false,
        _lock: None,
    };
    let dir = &stack.dir;
    let state = launch::wait_until_ready(dir, state, &mut stack.cloud)?;
    stack.llm = launch::start_llm(dir, llm.as_ref(), attached, &state)?;

    let token = dir::make_token()?;
    dir.write_private(&dir.token_file(), &token)?;
    let llm_parameters = state.llm.iter().flat_map(|llm| llm.parameters());
    let mut parameters: BTreeMap<_, _> = llm_parameters.chain(options.parameters.clone()).collect();
    parameters.insert("TokenSha256".to_owned(), hash::bytes(token.as_bytes()));
    let deployed = deploy::run(&python, &state, &artifacts, &parameters, dir.name())?;
    wait_for_health(&deployed.url)?;
    dir.write_private(
        &dir.env_file(),
        &env::render(&deploy::environment(&state, &token, &deployed)),
    )?;
    dir.write_state(&State {
        url: Some(deployed.url),
        ..state
    })?;
    Ok(stack)
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
        && http::is_ok(&launch::ready_address(state.port), Duration::from_secs(5))
        && state.llm.is_none_or(Address::is_ready)
        && http::is_ok(&format!("{url}/health"), Duration::from_secs(20));
    Ok(is_healthy.then_some(state))
}

/// Stops every process of the stack and removes its files except for the log. It also clears what a killed command
/// left.
fn clear(dir: &StackDir, cloud: Option<&mut SupervisedChild>) -> Result<()> {
    if let Some(state) = dir.state()? {
        let step = Step::start(&format!("stopping the stack `{}`", dir.name()));
        processes::stop(state.pid, &state.nonce, cloud, processes::STOP_TIMEOUT)?;
        step.done("");
    }
    if dir.env_file().exists() {
        fs::remove_file(dir.env_file())?;
    }
    let log = dir.log_file();
    if dir.path().is_dir() {
        for entry in fs::read_dir(dir.path())? {
            let path = entry?.path();
            if path == log {
                continue;
            }
            let removed = if path.is_dir() {
                fs::remove_dir_all(&path)
            } else {
                fs::remove_file(&path)
            };
            removed.with_context(|| format!("can't remove {}", paths::display(&path)))?;
        }
    }
    Ok(())
}
