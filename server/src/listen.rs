//! Where the server listens, and under which names clients may call it.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use http::HeaderValue;
use url::{Host, Url};

use crate::guard::{AllowedHost, Guard};

/// The names of this machine for itself.
const LOOPBACK_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// The settings of the server's address.
#[derive(Debug, Clone, Args)]
pub(crate) struct ListenSettings {
    /// The address to listen at. Any other than loopback needs TLS or `--behind-proxy`.
    #[arg(long, env = "AI_MESH_LISTEN", default_value = "127.0.0.1:8000")]
    pub(crate) listen: SocketAddr,
    /// The file with the certificate and its chain, as PEM. With it the server speaks HTTPS only.
    #[arg(long, env = "AI_MESH_TLS_CERT", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// The file with the certificate's private key, as PEM.
    #[arg(long, env = "AI_MESH_TLS_KEY", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// A proxy speaks HTTPS with the clients: the server may listen at any address without TLS.
    #[arg(
        long,
        env = "AI_MESH_BEHIND_PROXY",
        requires = "public_url",
        conflicts_with = "tls_cert"
    )]
    pub(crate) behind_proxy: bool,
    /// The address by which clients reach the server, where that is not the one to listen at. Links begin with it.
    #[arg(long, env = "AI_MESH_PUBLIC_URL")]
    pub(crate) public_url: Option<Origin>,
    /// Another name or address by which clients may call the server. May be repeated.
    #[arg(
        long = "host",
        value_name = "NAME",
        env = "AI_MESH_HOST",
        value_delimiter = ','
    )]
    pub(crate) hosts: Vec<HostName>,
    /// The origin of a page of yours that may call the server, such as https://app.example.org.
    #[arg(long, env = "AI_MESH_WEB_ORIGIN")]
    pub(crate) web_origin: Option<Origin>,
    /// How many connections are served at the same time. Further ones wait until one ends.
    #[arg(long, env = "AI_MESH_MAX_CONNECTIONS", default_value_t = 400, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) max_connections: u32,
}

/// Why settings can't be used together.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidListen {
    #[error(
        "other machines reach {0}, where a token must not travel in plain text: give --tls-cert and --tls-key, or \
         --behind-proxy with --public-url if a proxy speaks HTTPS, or a loopback address to --listen"
    )]
    PlainText(SocketAddr),
    #[error("{0} means every address of this machine, so links can't begin with it: give --public-url")]
    NoPublicUrl(SocketAddr),
    #[error(
        "the public URL {0} is plain text: give one that begins with https, or that is of this machine, such as \
         http://localhost:8000"
    )]
    PublicPlainText(Origin),
}

impl ListenSettings {
    /// Checks what the settings mean together.
    pub(crate) fn check(&self) -> Result<(), InvalidListen> {
        let is_loopback = self.listen.ip().is_loopback();
        if !(is_loopback || self.behind_proxy || self.tls_cert.is_some()) {
            return Err(InvalidListen::PlainText(self.listen));
        }
        match &self.public_url {
            None if self.listen.ip().is_unspecified() => Err(InvalidListen::NoPublicUrl(self.listen)),
            Some(public) if !public.is_private() => Err(InvalidListen::PublicPlainText(public.clone())),
            _ => Ok(()),
        }
    }

    /// The address that links begin with, once the server listens at `bound`.
    pub(crate) fn address(&self, bound: SocketAddr) -> String {
        let own = || format!("{}://{bound}", self.scheme());
        self.public_url.as_ref().map_or_else(own, ToString::to_string)
    }

    /// What the server refuses, once it listens at `bound`.
    pub(crate) fn guard(&self, bound: SocketAddr) -> Guard {
        let port = bound.port();
        let is_default = port == if self.tls_cert.is_some() { 443 } else { 80 };
        let listening = match bound.ip() {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        };
        let own = || {
            LOOPBACK_NAMES
                .map(str::to_owned)
                .into_iter()
                .chain([listening.clone()])
        };
        let own_hosts = own().map(|name| AllowedHost {
            name,
            port: Some(port),
            may_omit_port: is_default,
        });
        let public = self.public_url.iter().map(|public| AllowedHost {
            name: public.host.clone(),
            port: Some(public.port),
            may_omit_port: true,
        });
        let named = self.hosts.iter().map(|host| AllowedHost {
            name: host.name.clone(),
            port: host.port,
            may_omit_port: host.port.is_none(),
        });
        let own_origins = own().map(|name| {
            if is_default {
                format!("{}://{name}", self.scheme())
            } else {
                format!("{}://{name}:{port}", self.scheme())
            }
        });
        let other_origins = [&self.public_url, &self.web_origin].into_iter().flatten();
        Guard {
            hosts: own_hosts.chain(public).chain(named).collect(),
            origins: own_origins
                .chain(other_origins.map(ToString::to_string))
                .collect(),
            address: self.address(bound),
        }
    }

    /// The origin whose pages may call the server.
    pub(crate) fn web_origin(&self) -> Option<HeaderValue> {
        // An origin has only characters that a header may have.
        HeaderValue::try_from(self.web_origin.as_ref()?.to_string()).ok()
    }

    fn scheme(&self) -> &'static str {
        if self.tls_cert.is_some() { "https" } else { "http" }
    }
}

/// Scheme, host and port of an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    text: String,
    host: String,
    port: u16,
}

impl Origin {
    /// Whether nobody reads along between a client and this address.
    fn is_private(&self) -> bool {
        self.text.starts_with("https:") || LOOPBACK_NAMES.contains(&self.host.as_str())
    }
}

impl FromStr for Origin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refusal = || {
            format!(
                "`{text}` is not the address of a server: give scheme, host and perhaps a port, such as https://mesh.example.org"
            )
        };
        let url: Url = text.parse().map_err(|_| refusal())?;
        let host = url.host_str().unwrap_or_default().to_owned();
        let port = url.port_or_known_default().unwrap_or(0);
        let origin = url.origin().ascii_serialization();
        // A path, a query or a user would be ignored.
        if matches!(url.scheme(), "http" | "https") && url.as_str() == format!("{origin}/") {
            Ok(Self {
                text: origin,
                host,
                port,
            })
        } else {
            Err(refusal())
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The name of a host, perhaps with a port. Without one the name is allowed with any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HostName {
    name: String,
    port: Option<u16>,
}

impl FromStr for HostName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refusal = || format!("`{text}` is not a host: give a name or an address, such as mesh.lan");
        let (name, port) = match text.rsplit_once(':') {
            // An IPv6 address has colons of its own.
            Some((name, port)) if !port.ends_with(']') => (name, Some(port.parse().map_err(|_| refusal())?)),
            _ => (text, None),
        };
        let name = Host::parse(name).map_err(|_| refusal())?.to_string();
        Ok(Self { name, port })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Program {
        #[command(flatten)]
        listen: ListenSettings,
    }

    fn parse(arguments: &str) -> Result<ListenSettings, String> {
        let arguments = ["mesh-server"].into_iter().chain(arguments.split_whitespace());
        let program = Program::try_parse_from(arguments).map_err(|error| error.to_string())?;
        program.listen.check().map_err(|error| error.to_string())?;
        Ok(program.listen)
    }

    #[test]
    fn settings_that_make_no_sense_together_are_refused_by_name() {
        for (arguments, named) in [
            (
                "--listen 0.0.0.0:8000",
                "--tls-cert and --tls-key, or --behind-proxy",
            ),
            (
                "--listen 192.168.1.5:8000",
                "--tls-cert and --tls-key, or --behind-proxy",
            ),
            ("--listen [::]:8000 --tls-cert c --tls-key k", "--public-url"),
            ("--listen 0.0.0.0:8000 --behind-proxy", "--public-url"),
            ("--tls-cert c", "--tls-key"),
            ("--tls-key k", "--tls-cert"),
            (
                "--behind-proxy --public-url https://mesh.example.org --tls-cert c --tls-key k",
                "cannot be used with",
            ),
            (
                "--public-url http://mesh.example.org",
                "http://mesh.example.org is plain text",
            ),
            (
                "--public-url https://mesh.example.org/path",
                "scheme, host and perhaps a port",
            ),
            (
                "--public-url https://user@mesh.example.org",
                "scheme, host and perhaps a port",
            ),
            ("--public-url mesh.example.org", "scheme, host and perhaps a port"),
            ("--web-origin *", "scheme, host and perhaps a port"),
            ("--host https://mesh.lan", "is not a host"),
            ("--host mesh.lan/path", "is not a host"),
        ] {
            let refusal = parse(arguments).unwrap_err();
            assert!(refusal.contains(named), "{arguments}: {refusal}");
        }
    }

    #[test]
    fn links_begin_with_the_address_that_clients_use() {
        let bound = "127.0.0.1:9000".parse().unwrap();
        for (arguments, address) in [
            ("", "http://127.0.0.1:9000"),
            ("--tls-cert c --tls-key k", "https://127.0.0.1:9000"),
            (
                "--public-url https://mesh.example.org/",
                "https://mesh.example.org",
            ),
            (
                "--listen 0.0.0.0:9000 --behind-proxy --public-url http://localhost:8000",
                "http://localhost:8000",
            ),
            (
                "--listen 192.168.1.5:9000 --tls-cert c --tls-key k --public-url https://Mesh.lan:9000",
                "https://mesh.lan:9000",
            ),
        ] {
            assert_eq!(parse(arguments).unwrap().address(bound), address, "{arguments}");
        }
    }

    #[test]
    fn a_host_is_a_name_or_an_address_with_or_without_a_port() {
        for (text, name, port) in [
            ("mesh.lan", "mesh.lan", None),
            ("Mesh.lan:8000", "mesh.lan", Some(8000)),
            ("192.168.1.5", "192.168.1.5", None),
            ("[fd00::1]", "[fd00::1]", None),
            ("[fd00::1]:8000", "[fd00::1]", Some(8000)),
        ] {
            let host: HostName = text.parse().unwrap();
            assert_eq!((host.name.as_str(), host.port), (name, port), "{text}");
        }
    }
}
