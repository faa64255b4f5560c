//! Selects the stack and the token: from flags, else from the environment, else from a profile of the configuration
//! file.
//!
//! A token only goes to the address that it belongs to: a named profile provides its own address and token, and neither
//! is combined with the environment's. A token is never an argument, because all users of a machine can read those.

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
const DEFAULT_PROFILE: &str = "default";
/// Much longer than any token.
const MAX_TOKEN_BYTES: u64 = 4_096;

/// A text that Debug output does not show.
#[derive(Deserialize)]
pub(crate) struct Secret(String);

impl Secret {
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// A stack's address and token.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) url: String,
    pub(crate) token: Token,
    /// Where the address comes from: a flag, a variable or a profile.
    pub(crate) source: String,
}

#[derive(Debug)]
pub(crate) struct Token {
    pub(crate) secret: Secret,
    /// The file that contains it, if it comes from one.
    pub(crate) file: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigFile {
    /// The name of the profile to use when none is named.
    default: Option<String>,
    #[serde(default)]
    profiles: BTreeMap<String, Profile>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Profile {
    url: Option<String>,
    token: Option<Secret>,
    token_file: Option<PathBuf>,
}

/// A client of the stack that the flags, the environment or the configuration file select.
pub(crate) fn client(global: &Global) -> Result<Client> {
    let settings = settings(global)?;
    Ok(Client::new(&settings.url, settings.token.secret.expose())?)
}

pub(crate) fn settings(global: &Global) -> Result<Settings> {
    let mut partial = if global.profile.is_some() {
        from_profile(global.profile.as_deref())?
    } else if global.url.is_some() || variable("AI_MESH_URL").is_some() {
        PartialSettings {
            url: variable("AI_MESH_URL"),
            token: Token::from_env(),
            source: "AI_MESH_URL".to_owned(),
        }
    } else {
        let mut partial = from_profile(variable("AI_MESH_PROFILE").as_deref())?;
        partial.token = partial.token.or_else(Token::from_env);
        partial
    };
    if let Some(url) = &global.url {
        partial.url = Some(url.clone());
        partial.source = "--url".to_owned();
    }
    if let Some(path) = &global.token_file {
        partial.token = Some(Token::from_file(path)?);
    }
    let PartialSettings { url, token, source } = partial;
    let url = url.ok_or_else(|| {
        usage(
            "no stack is selected: set AI_MESH_URL and AI_MESH_TOKEN, or add a profile to \
             ~/.config/ai-mesh/config.toml (docs/CLI.md shows one)",
        )
    })?;
    let token = token.ok_or_else(|| {
        usage(format!(
            "there is no token for {url}: set AI_MESH_TOKEN, give --token-file, or add one to the profile"
        ))
    })?;
    Ok(Settings { url, token, source })
}

/// Settings of which a part may be missing.
struct PartialSettings {
    url: Option<String>,
    token: Option<Token>,
    source: String,
}

fn from_profile(name: Option<&str>) -> Result<PartialSettings> {
    let path = config_path();
    let (name, profile) = profile(path.as_deref(), name)?;
    let source = name.map_or_else(|| "nowhere".to_owned(), |name| format!("profile {name}"));
    let token = match (profile.token, profile.token_file) {
        (Some(_), Some(_)) => {
            return Err(usage(format!(
                "{source} has both a token and a token_file: remove one of them"
            )));
        }
        (None, Some(token_file)) => {
            // A relative path starts at the configuration file's folder.
            let folder = path.as_deref().and_then(Path::parent).unwrap_or(Path::new("."));
            Some(Token::from_file(&folder.join(token_file))?)
        }
        (secret, None) => secret.map(|secret| Token { secret, file: path }),
    };
    Ok(PartialSettings {
        url: profile.url,
        token,
        source,
    })
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The configuration file's path by the XDG Base Directory Specification.
fn config_path() -> Option<PathBuf> {
    let folder = match std::env::var_os("XDG_CONFIG_HOME").filter(|folder| Path::new(folder).is_absolute()) {
        Some(folder) => PathBuf::from(folder),
        None => PathBuf::from(std::env::var_os("HOME")?).join(".config"),
    };
    Some(folder.join("ai-mesh/config.toml"))
}

/// The named profile, or the default one. An empty profile stands for a default one that does not exist.
fn profile(path: Option<&Path>, name: Option<&str>) -> Result<(Option<String>, Profile)> {
    let Some(path) = path.filter(|path| path.exists()) else {
        return match name {
            Some(name) => Err(usage(format!(
                "there is no profile {name}: ~/.config/ai-mesh/config.toml does not exist"
            ))),
            None => Ok((None, Profile::default())),
        };
    };
    let shown = path.display();
    let text = fs::read_to_string(path).map_err(|error| usage(format!("cannot read {shown}: {error}")))?;
    // The parser's Display output shows the line, which may contain a token.
    let mut file: ConfigFile = toml::from_str(&text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        let line = text[..at.min(text.len())].lines().count().max(1);
        usage(format!("{shown} is invalid at line {line}: {}", error.message()))
    })?;
    let name = name
        .map(str::to_owned)
        .or(file.default)
        .unwrap_or_else(|| DEFAULT_PROFILE.to_owned());
    match file.profiles.remove(&name) {
        Some(profile) => Ok((Some(name), profile)),
        None => {
            let names: Vec<_> = file.profiles.into_keys().collect();
            let others = if names.is_empty() {
                String::new()
            } else {
                format!(", or use one of {}", names.join(", "))
            };
            Err(usage(format!("{shown} has no profile {name}: add it{others}")))
        }
    }
}

impl Token {
    fn from_env() -> Option<Self> {
        let secret = Secret(variable("AI_MESH_TOKEN")?);
        Some(Self { secret, file: None })
    }

    /// Reads a file, or standard input for the path `-`.
    fn from_file(path: &Path) -> Result<Self> {
        let mut text = String::new();
        let file = (path != Path::new("-")).then(|| path.to_owned());
        let read = match &file {
            None => io::stdin().take(MAX_TOKEN_BYTES).read_to_string(&mut text),
            Some(path) => {
                fs::File::open(path).and_then(|file| file.take(MAX_TOKEN_BYTES).read_to_string(&mut text))
            }
        };
        read.map_err(|error| usage(format!("cannot read the token from {}: {error}", path.display())))?;
        let secret = Secret(text.trim().to_owned());
        if secret.0.is_empty() {
            return Err(usage(format!(
                "{} contains no token: write the stack's token to it",
                path.display()
            )));
        }
        Ok(Self { secret, file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_of_settings_does_not_show_the_token() {
        let settings = Settings {
            url: "https://x.example".to_owned(),
            token: Token {
                secret: Secret("a-token".to_owned()),
                file: None,
            },
            source: "--url".to_owned(),
        };
        let shown = format!("{settings:?}");
        assert!(
            shown.contains("x.example") && !shown.contains("a-token"),
            "{shown}"
        );
    }
}
