//! `cargo xtask release`: what a version is deployed from without a compiler, in `.local/release/VERSION/`.
//!
//! A zip for each function, the template that names them, a CycloneDX bill of materials for each function's program,
//! the models with their licences, and SHA256SUMS over all of it. Made of a commit alone: a changed tree is refused, and
//! whatever would hold the time holds the commit's.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::functions::{self, Build, FUNCTIONS};
use crate::{hash, paths, process, stack, tools, web};

/// What the functions are built for, and so whose dependencies count.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// What else is needed by whom has no more than the release, by its name there.
const BESIDE: [(&str, &str); 5] = [
    ("LICENSE", "LICENSE"),
    ("infra/new-account.yaml", "new-account.yaml"),
    ("infra/observability.yaml", "observability.yaml"),
    ("infra/grafana/ai-mesh.json", "grafana.json"),
    ("infra/deployer-policy.json", "deployer-policy.json"),
];

/// Stands in the bills of materials for the folder that they were made in.
const ROOT: &str = "/ai-mesh";

pub(crate) fn run() -> Result<()> {
    refuse_changes(&git(&["status", "--porcelain"])?)?;
    let version = version(&fs::read_to_string(paths::root().join("Cargo.toml"))?)?;
    let out = paths::local().join("release").join(&version);
    if out.exists() {
        fs::remove_dir_all(&out).with_context(|| format!("can't remove {}", paths::shown(&out)))?;
    }
    fs::create_dir_all(&out).with_context(|| format!("can't make {}", paths::shown(&out)))?;

    // A stack is built without it where there is no Node.js; a release is not.
    web::build()?;
    let artifacts = functions::build(Build::Release)?;
    let mut command = process::command(stack::venv()?.bin("python"));
    command.args(["-m", "localstack.release", "--artifacts"]);
    command.arg(&artifacts).arg("--out").arg(&out);
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    process::run(&mut command, "zipping the functions", "release-zip")?;

    for (from, name) in BESIDE {
        fs::copy(paths::root().join(from), out.join(name)).with_context(|| format!("can't copy {from}"))?;
    }
    let manifest = fs::read_to_string(paths::root().join("models/manifest.toml"))?;
    write_json(&out.join("models.json"), &models(&manifest, &version)?)?;
    bills_of_materials(&out)?;
    let sums = sums(&out)?;
    fs::write(out.join("SHA256SUMS"), &sums)?;
    println!("{sums}Version {version} is in {}.", paths::shown(&out));
    Ok(())
}

fn git(arguments: &[&str]) -> Result<String> {
    let output = Command::new("git")
        .current_dir(paths::root())
        .args(arguments)
        .output()
        .context("can't run git, which a release is made of")?;
    if !output.status.success() {
        bail!(
            "git {} failed: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8(output.stdout)?)
}

fn refuse_changes(status: &str) -> Result<()> {
    if !status.is_empty() {
        bail!(
            "a release is made of a commit, and these files differ from it; commit or stash them:\n{status}"
        );
    }
    Ok(())
}

/// The workspace's version.
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

/// A model or library that travels with functions, as models.json tells it.
#[derive(Debug, Serialize, PartialEq, Eq)]
struct Shipped {
    name: String,
    /// The package that it is made from, or the file of this repository.
    from: String,
    /// That package's; of what is ours, the release's.
    version: String,
    licence: String,
    sha256: String,
    functions: Vec<String>,
}

fn models(manifest: &str, release: &str) -> Result<Vec<Shipped>> {
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
    let travelling = manifest
        .asset
        .into_iter()
        .filter(|asset| !asset.functions.is_empty());
    Ok(travelling
        .map(|asset| Shipped {
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

/// Writes `FUNCTION.cdx.json` for each function: what its program is compiled from.
fn bills_of_materials(out: &Path) -> Result<()> {
    let copy = export()?;
    let mut command = tools::CYCLONEDX.command()?;
    // It writes beside each package's Cargo.toml, and so must not do it here.
    command.current_dir(&copy);
    command.args(["--format", "json", "--spec-version", "1.5", "--target", TARGET]);
    command.args(["--override-filename", "bom", "--quiet", "--manifest-path"]);
    command.arg(copy.join("Cargo.toml"));
    command.env("SOURCE_DATE_EPOCH", git(&["log", "-1", "--format=%ct"])?.trim());
    process::run(&mut command, "writing the bills of materials", "release-sbom")?;
    let place = copy.display().to_string();
    for (folder, _) in FUNCTIONS {
        let path = copy.join("functions").join(folder).join("bom.json");
        let text = fs::read_to_string(&path)
            .with_context(|| format!("cargo-cyclonedx wrote no {folder}/bom.json"))?;
        let bill: Value = serde_json::from_str(&text.replace(&place, ROOT))?;
        write_json(&out.join(format!("{folder}.cdx.json")), &bill)?;
    }
    Ok(())
}

/// The commit's files, in a folder of their own.
fn export() -> Result<PathBuf> {
    let folder = paths::local().join("build/release-source");
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("can't remove {}", paths::shown(&folder)))?;
    }
    fs::create_dir_all(&folder)?;
    let archive = folder.join("source.tar");
    git(&["archive", "--output", &archive.display().to_string(), "HEAD"])?;
    let mut command = process::command("tar");
    command.arg("-xf").arg(&archive).arg("-C").arg(&folder);
    process::run(&mut command, "exporting the commit", "release-export")?;
    Ok(folder)
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value)?;
    fs::write(path, text + "\n").with_context(|| format!("can't write {}", paths::shown(path)))
}

/// As `sha256sum --check` reads it, sorted by name.
fn sums(folder: &Path) -> Result<String> {
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
    fn a_changed_tree_is_refused_and_its_files_are_named() {
        refuse_changes("").unwrap();
        let error = refuse_changes(" M README.md\n").unwrap_err().to_string();
        assert!(error.contains("README.md") && error.contains("commit"), "{error}");
    }

    #[test]
    fn what_the_document_deploys_from_a_release_is_in_it() {
        for (from, _) in BESIDE {
            assert!(paths::root().join(from).is_file(), "{from}");
        }
        let document = fs::read_to_string(paths::root().join("docs/DEPLOY.md")).unwrap();
        let section = document.split("**Without a compiler**").nth(1).unwrap();
        let section = section.split("**From a CDK app**").next().unwrap();
        for (_, name) in BESIDE {
            assert!(section.contains(&format!("`{name}`")), "{name}");
        }
    }

    #[test]
    fn the_version_is_the_workspaces() {
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
    fn models_are_told_with_version_licence_and_hash() {
        let text = fs::read_to_string(paths::root().join("models/manifest.toml")).unwrap();
        let shipped = models(&text, "1.2.3").unwrap();
        let library = shipped
            .iter()
            .find(|one| one.name == "lib/libonnxruntime.so")
            .unwrap();
        assert_eq!(library.from, "onnxruntime");
        assert_ne!(library.version, "1.2.3");
        let ours = shipped
            .iter()
            .find(|one| one.name == "models/sentiment/model.ort");
        assert_eq!(ours.unwrap().version, "1.2.3");
        assert!(
            shipped
                .iter()
                .all(|one| one.sha256.len() == 64 && !one.licence.is_empty())
        );
        // Sample pictures and sounds travel with no function.
        assert!(shipped.iter().all(|one| !one.name.starts_with("testdata/")));
    }

    #[test]
    fn sums_are_sorted_and_in_the_form_that_sha256sum_checks() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b", "a"] {
            fs::write(dir.path().join(name), name).unwrap();
        }
        let expected = format!("{}  a\n{}  b\n", hash::bytes(b"a"), hash::bytes(b"b"));
        assert_eq!(sums(dir.path()).unwrap(), expected);
    }
}
