//! `cargo xtask release`: makes the files that a version is deployed from without a compiler, in
//! `.local/release/VERSION/`.
//!
//! They are a zip for each function, the template with the zips' names, a CycloneDX bill of materials for each
//! function's program, the models with their licences, and SHA256SUMS over all files. A release is made from a commit
//! only: a changed work tree is rejected, and every timestamp is the commit's.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::functions::{self, Build, FUNCTIONS};
use crate::{git, hash, paths, process, stack, tools, web};

/// The functions' target. The bills of materials list its dependencies.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Further files for a user who has only the release: the path in the repository and the name in the release.
const EXTRA_FILES: [(&str, &str); 5] = [
    ("LICENSE", "LICENSE"),
    ("infra/new-account.yaml", "new-account.yaml"),
    ("infra/observability.yaml", "observability.yaml"),
    ("infra/grafana/ai-mesh.json", "grafana.json"),
    ("infra/deployer-policy.json", "deployer-policy.json"),
];

/// Replaces the build folder's path in the bills of materials.
const ROOT: &str = "/ai-mesh";

pub(crate) fn run() -> Result<()> {
    reject_changes(&git::run(&["status", "--porcelain"])?)?;
    let version = version(&fs::read_to_string(paths::root().join("Cargo.toml"))?)?;
    let out = paths::local().join("release").join(&version);
    if out.exists() {
        fs::remove_dir_all(&out).with_context(|| format!("can't remove {}", paths::display(&out)))?;
    }
    fs::create_dir_all(&out).with_context(|| format!("can't make {}", paths::display(&out)))?;

    // A stack works without the dashboard if Node.js is missing. A release does not.
    web::build()?;
    let artifacts = functions::build(Build::Release)?;
    let mut command = process::command(stack::venv()?.bin("python"));
    command.args(["-m", "localstack.release", "--artifacts"]);
    command.arg(&artifacts).arg("--out").arg(&out);
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    process::run(&mut command, "zipping the functions", "release-zip")?;

    for (from, name) in EXTRA_FILES {
        fs::copy(paths::root().join(from), out.join(name)).with_context(|| format!("can't copy {from}"))?;
    }
    let manifest = fs::read_to_string(paths::root().join("models/manifest.toml"))?;
    write_json(&out.join("models.json"), &models(&manifest, &version)?)?;
    bills_of_materials(&out)?;
    let sums = checksums(&out)?;
    fs::write(out.join("SHA256SUMS"), &sums)?;
    println!("{sums}Version {version} is in {}.", paths::display(&out));
    Ok(())
}

fn reject_changes(status: &str) -> Result<()> {
    if !status.is_empty() {
        bail!(
            "a release is made from a commit, and these files have changes: commit or stash them:\n{status}"
        );
    }
    Ok(())
}

/// The version of the workspace.
fn version(cargo_toml: &str) -> Result<String> {
    let manifest: toml::Table = cargo_toml.parse().context("can't read Cargo.toml")?;
    let version = manifest
        .get("workspace")
        .and_then(|workspace| workspace.get("package"))
        .and_then(|package| package.get("version"))
        .and_then(toml::Value::as_str);
    Ok(version
        .context("Cargo.toml has no workspace.package.version")?
        .to_owned())
}

/// A model or library that is packaged with functions: an entry of models.json.
#[derive(Debug, Serialize, PartialEq, Eq)]
struct PackagedAsset {
    name: String,
    /// The package that it is built from, or the file in this repository.
    from: String,
    /// The package's version. The release's version for our own files.
    version: String,
    licence: String,
    sha256: String,
    functions: Vec<String>,
}

fn models(manifest: &str, release: &str) -> Result<Vec<PackagedAsset>> {
    #[derive(Deserialize)]
    struct Manifest {
        package: Vec<Package>,
        asset: Vec<Asset>,
    }
    #[derive(Deserialize)]
    struct Package {
        name: String,
        version: String,
    }
    #[derive(Deserialize)]
    struct Asset {
        path: String,
        sha256: String,
        licence: String,
        from: String,
        #[serde(default)]
        functions: Vec<String>,
    }

    let manifest: Manifest = toml::from_str(manifest).context("can't read models/manifest.toml")?;
    let versions: BTreeMap<_, _> = manifest
        .package
        .into_iter()
        .map(|package| (package.name, package.version))
        .collect();
    let packaged = manifest
        .asset
        .into_iter()
        .filter(|asset| !asset.functions.is_empty());
    Ok(packaged
        .map(|asset| PackagedAsset {
            version: versions
                .get(&asset.from)
                .map_or(release, String::as_str)
                .to_owned(),
            name: asset.path,
            from: asset.from,
            licence: asset.licence,
            sha256: asset.sha256,
            functions: asset.functions,
        })
        .collect())
}

/// Writes `FUNCTION.cdx.json` for each function: the crates that its program is compiled from.
fn bills_of_materials(out: &Path) -> Result<()> {
    let copy = export()?;
    let mut command = tools::CYCLONEDX.command()?;
    // It writes a file beside each package's Cargo.toml, so it runs on a copy.
    command.current_dir(&copy);
    command.args(["--format", "json", "--spec-version", "1.5", "--target", TARGET]);
    command.args(["--override-filename", "bom", "--quiet", "--manifest-path"]);
    command.arg(copy.join("Cargo.toml"));
    command.env(
        "SOURCE_DATE_EPOCH",
        git::run(&["log", "-1", "--format=%ct"])?.trim(),
    );
    process::run(&mut command, "writing the bills of materials", "release-sbom")?;
    let root = copy.display().to_string();
    for (folder, _) in FUNCTIONS {
        let path = copy.join("functions").join(folder).join("bom.json");
        let text = fs::read_to_string(&path)
            .with_context(|| format!("cargo-cyclonedx did not write {folder}/bom.json"))?;
        let bill: Value = serde_json::from_str(&text.replace(&root, ROOT))?;
        write_json(&out.join(format!("{folder}.cdx.json")), &bill)?;
    }
    Ok(())
}

/// Copies the commit's files to a folder.
fn export() -> Result<PathBuf> {
    let folder = paths::local().join("build/release-source");
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("can't remove {}", paths::display(&folder)))?;
    }
    fs::create_dir_all(&folder)?;
    let archive = folder.join("source.tar");
    git::run(&["archive", "--output", &archive.display().to_string(), "HEAD"])?;
    let mut command = process::command("tar");
    command.arg("-xf").arg(&archive).arg("-C").arg(&folder);
    process::run(&mut command, "exporting the commit", "release-export")?;
    Ok(folder)
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value)?;
    fs::write(path, text + "\n").with_context(|| format!("can't write {}", paths::display(path)))
}

/// The folder's checksums in the format of `sha256sum --check`, sorted by name.
fn checksums(folder: &Path) -> Result<String> {
    let mut sums = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        sums.insert(
            entry.file_name().to_string_lossy().into_owned(),
            hash::file(&entry.path())?,
        );
    }
    Ok(sums
        .iter()
        .map(|(name, sum)| format!("{sum}  {name}\n"))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_work_tree_is_rejected_with_its_files() {
        reject_changes("").unwrap();
        let error = reject_changes(" M README.md\n").unwrap_err().to_string();
        assert!(error.contains("README.md") && error.contains("commit"), "{error}");
    }

    #[test]
    fn every_extra_file_exists_and_is_in_the_deployment_guide() {
        for (from, _) in EXTRA_FILES {
            assert!(paths::root().join(from).is_file(), "{from}");
        }
        let document = fs::read_to_string(paths::root().join("docs/DEPLOY.md")).unwrap();
        let section = document.split("**Without a compiler**").nth(1).unwrap();
        let section = section.split("**From a CDK app**").next().unwrap();
        for (_, name) in EXTRA_FILES {
            assert!(section.contains(&format!("`{name}`")), "{name}");
        }
    }

    #[test]
    fn the_version_is_that_of_the_workspace() {
        let text = "[workspace.package]\nversion = \"1.2.3\"\n[package]\nversion = \"9.9.9\"";
        assert_eq!(version(text).unwrap(), "1.2.3");
        assert!(
            version("[package]")
                .unwrap_err()
                .to_string()
                .contains("workspace.package.version")
        );
    }

    #[test]
    fn models_are_listed_with_version_licence_and_hash() {
        let text = fs::read_to_string(paths::root().join("models/manifest.toml")).unwrap();
        let packaged = models(&text, "1.2.3").unwrap();
        let library = packaged
            .iter()
            .find(|one| one.name == "lib/libonnxruntime.so")
            .unwrap();
        assert_eq!(library.from, "onnxruntime");
        assert_ne!(library.version, "1.2.3");
        let ours = packaged
            .iter()
            .find(|one| one.name == "models/sentiment/model.ort");
        assert_eq!(ours.unwrap().version, "1.2.3");
        assert!(
            packaged
                .iter()
                .all(|one| one.sha256.len() == 64 && !one.licence.is_empty())
        );
        // The samples are test data, which no function contains.
        assert!(packaged.iter().all(|one| !one.name.starts_with("testdata/")));
    }

    #[test]
    fn checksums_are_sorted_and_in_the_format_of_sha256sum() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b", "a"] {
            fs::write(dir.path().join(name), name).unwrap();
        }
        let expected = format!("{}  a\n{}  b\n", hash::bytes(b"a"), hash::bytes(b"b"));
        assert_eq!(checksums(dir.path()).unwrap(), expected);
    }
}
