//! Which stack, and under which token: flags, else the environment, else a profile of the configuration file.
//!
//! A token goes only where it belongs: a profile that was named brings its own address and token, and neither is
//! mixed with the environment's. No token is ever an argument, where all users of a machine can read it.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::Result;
use mesh_client::Client;
use serde::Deserialize;

use crate::args::Global;
use crate::exit::usage;

/// The profile that is used when none is named.
const DEFAULT: &str = "default";
/// Far above any token.
const MAX_TOKEN_BYTES: u64 = 4_096;

/// A stack's address and token, and where they were found.
pub(crate) struct Settings {
    pub(crate) url: String,
    pub(crate) token: String,
    pub(crate) source: String,
    /// The file that the token came from, if it was one.
    pub(crate) token_file: Option<PathBuf>,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("url", &self.url)
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// The profile to use when none is named.
    default: Option<String>,
    #[serde(default)]
    profiles: BTreeMap<String, Profile>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Profile {
    url: Option<String>,
    token: Option<String>,
    token_file: Option<PathBuf>,
}

/// A client of the stack that flags, environment or configuration name.
pub(crate) fn client(global: &Global) -> Result<Client> {
    let settings = settings(global)?;
    Ok(Client::new(&settings.url, &settings.token)?)
}

pub(crate) fn settings(global: &Global) -> Result<Settings> {
    let mut found = if global.profile.is_some() {
        from_profile(global.profile.as_deref())?
    } else if global.url.is_some() || variable("AI_MESH_URL").is_some() {
        Found {
            url: variable("AI_MESH_URL"),
            token: Token::of_the_environment(),
            source: "AI_MESH_URL".to_owned(),
        }
    } else {
        let mut found = from_profile(variable("AI_MESH_PROFILE").as_deref())?;
        found.token = found.token.or_else(Token::of_the_environment);
        found
    };
    if let Some(url) = &global.url {
        found.url = Some(url.clone());
        found.source = "--url".to_owned();
    }
    if let Some(at) = &global.token_file {
        found.token = Some(Token::read(at)?);
    }
    let Found { url, token, source } = found;
    let url = url.ok_or_else(|| {
        usage(
            "no stack is named: set AI_MESH_URL and AI_MESH_TOKEN, or write a profile into \
             ~/.config/ai-mesh/config.toml (docs/CLI.md shows one)",
        )
    })?;
    let token = token.ok_or_else(|| {
        usage(format!(
            "there is no token for {url}: set AI_MESH_TOKEN, give --token-file, or write it into the profile"
        ))
    })?;
    Ok(Settings {
        url,
        token: token.text,
        source,
        token_file: token.file,
    })
}

/// What a source says; another may fill the gaps.
struct Found {
    url: Option<String>,
    token: Option<Token>,
    source: String,
}

struct Token {
    text: String,
    file: Option<PathBuf>,
}

fn from_profile(named: Option<&str>) -> Result<Found> {
    let path = path();
    let (name, profile) = profile(path.as_deref(), named)?;
    let source = name.map_or_else(|| "nowhere".to_owned(), |name| format!("profile {name}"));
    let token = match (profile.token, profile.token_file) {
        (Some(_), Some(_)) => {
            return Err(usage(format!(
                "{source} has a token and a token_file: keep one of them"
            )));
        }
        (None, Some(at)) => {
            // Beside the configuration, unless its path is absolute.
            let folder = path.as_deref().and_then(Path::parent).unwrap_or(Path::new("."));
            Some(Token::read(&folder.join(at))?)
        }
        (text, None) => text.map(|text| Token { text, file: path }),
    };
    Ok(Found {
        url: profile.url,
        token,
        source,
    })
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The configuration file's place, by the XDG Base Directory Specification.
fn path() -> Option<PathBuf> {
    let folder = match std::env::var_os("XDG_CONFIG_HOME").filter(|folder| Path::new(folder).is_absolute()) {
        Some(folder) => PathBuf::from(folder),
        None => PathBuf::from(std::env::var_os("HOME")?).join(".config"),
    };
    Some(folder.join("ai-mesh/config.toml"))
}

/// The named profile, or the default one, which need not be there.
fn profile(path: Option<&Path>, named: Option<&str>) -> Result<(Option<String>, Profile)> {
    let Some(path) = path.filter(|path| path.exists()) else {
        return match named {
            Some(name) => Err(usage(format!(
                "there is no profile {name}: ~/.config/ai-mesh/config.toml does not exist"
            ))),
            None => Ok((None, Profile::default())),
        };
    };
    let shown = path.display();
    let text = fs::read_to_string(path).map_err(|error| usage(format!("{shown} can't be read: {error}")))?;
    // Not the parser's own words: they show the line, and a token may stand in it.
    let mut file: File = toml::from_str(&text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        let line = text[..at.min(text.len())].lines().count().max(1);
        usage(format!(
            "{shown} can't be read at line {line}: {}",
            error.message()
        ))
    })?;
    let name = named
        .map(str::to_owned)
        .or(file.default)
        .unwrap_or_else(|| DEFAULT.to_owned());
    match file.profiles.remove(&name) {
        Some(profile) => Ok((Some(name), profile)),
        None => {
            let names: Vec<_> = file.profiles.into_keys().collect();
            let names = names.join(", ");
            Err(usage(format!("{shown} has no profile {name}; it has: {names}")))
        }
    }
}

impl Token {
    fn of_the_environment() -> Option<Self> {
        let text = variable("AI_MESH_TOKEN")?;
        Some(Self { text, file: None })
    }

    fn read(at: &Path) -> Result<Self> {
        let mut text = String::new();
        let file = (at != Path::new("-")).then(|| at.to_owned());
        let read = match &file {
            None => io::stdin().take(MAX_TOKEN_BYTES).read_to_string(&mut text),
            Some(at) => {
                fs::File::open(at).and_then(|file| file.take(MAX_TOKEN_BYTES).read_to_string(&mut text))
            }
        };
        read.map_err(|error| usage(format!("the token can't be read from {}: {error}", at.display())))?;
        let text = text.trim().to_owned();
        if text.is_empty() {
            return Err(usage(format!("{} holds no token", at.display())));
        }
        Ok(Self { text, file })
    }
}
