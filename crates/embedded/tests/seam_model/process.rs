//! A process of the system, which a test lets fail at its calls to the backend.

use std::collections::HashMap;
use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mesh_backend::{BackendError, BoxFuture};
use tokio::sync::Notify;

tokio::task_local! {
    /// The process that the polled future is a part of.
    pub(crate) static PROCESS: Arc<Process>;
}

/// What happens at a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It fails, and has no effect.
    FailBefore,
    /// The service is called too often. The call has no effect.
    Throttle,
    /// It takes effect, and the caller sees an error.
    FailAfter,
    /// It is made twice, as by a client that got no answer. The caller sees the first answer.
    Repeat,
    /// The process ends before the call.
    CrashBefore,
    /// The call takes effect, and the process ends before it sees the answer.
    CrashAfter,
    /// The process stands still before the call, until it is thawed.
    FreezeBefore,
    /// The process stands still between the call's effect and its answer.
    FreezeAfter,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Running,
    Frozen,
    Dead,
}

/// A process. Its calls are made one after the other, so that their numbers are the same in each run of a case.
#[derive(Debug)]
pub(crate) struct Process {
    /// By the number of the call.
    faults: Mutex<HashMap<usize, Fault>>,
    /// How many calls were made.
    calls: tokio::sync::Mutex<usize>,
    state: Mutex<State>,
    stopped: Notify,
    thawed: Notify,
}

impl Process {
    pub(crate) fn new(faults: HashMap<usize, Fault>) -> Arc<Self> {
        Arc::new(Self {
            faults: Mutex::new(faults),
            calls: tokio::sync::Mutex::default(),
            state: Mutex::new(State::Running),
            stopped: Notify::new(),
            thawed: Notify::new(),
        })
    }

    /// Ends the process: none of its calls returns or has an effect any more.
    pub(crate) fn crash(&self) {
        self.stop(State::Dead);
    }

    /// Ends when the process was frozen or has ended, and returns whether it was frozen.
    pub(crate) async fn stopped(&self) -> bool {
        self.stopped.notified().await;
        *lock(&self.state) == State::Frozen
    }

    /// Lets a frozen process go on.
    pub(crate) fn thaw(&self) {
        *lock(&self.state) = State::Running;
        self.thawed.notify_one();
    }

    /// Lets the process make its further calls without faults.
    pub(crate) fn heal(&self) {
        lock(&self.faults).clear();
    }

    fn stop(&self, state: State) {
        *lock(&self.state) = state;
        self.stopped.notify_one();
    }

    async fn freeze(&self) {
        self.stop(State::Frozen);
        self.thawed.notified().await;
    }

    /// Ends for a process that has not ended.
    async fn require_life(&self) {
        let is_dead = *lock(&self.state) == State::Dead;
        if is_dead {
            pending::<()>().await;
        }
    }

    async fn die<T>(&self) -> T {
        self.crash();
        pending().await
    }
}

/// Makes a call of the process that the polled future is a part of, with the fault that is planned for it.
pub(crate) fn call<'a, T, E>(
    name: &'static str,
    make: impl Fn() -> BoxFuture<'a, Result<T, E>> + Send + 'a,
) -> BoxFuture<'a, Result<T, E>>
where
    T: Send + 'a,
    E: From<BackendError> + Send + 'a,
{
    Box::pin(async move {
        let process = PROCESS.get();
        let mut calls = process.calls.lock().await;
        process.require_life().await;
        let fault = lock(&process.faults).remove(&*calls);
        *calls += 1;
        let failed = || BackendError::failed(name, None, "a fault was injected".to_owned());
        match fault {
            None => make().await,
            Some(Fault::FailBefore) => Err(failed().into()),
            Some(Fault::Throttle) => {
                let detail = "a fault was injected".to_owned();
                Err(BackendError::throttled(name, "SlowDown".to_owned(), detail).into())
            }
            Some(Fault::FailAfter) => {
                drop(make().await);
                Err(failed().into())
            }
            Some(Fault::Repeat) => {
                let answer = make().await;
                drop(make().await);
                answer
            }
            Some(Fault::CrashBefore) => process.die().await,
            Some(Fault::CrashAfter) => {
                drop(make().await);
                process.die().await
            }
            Some(Fault::FreezeBefore) => {
                process.freeze().await;
                make().await
            }
            Some(Fault::FreezeAfter) => {
                let answer = make().await;
                process.freeze().await;
                answer
            }
        }
    })
}

/// A lock that a panic elsewhere does not make unusable.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
