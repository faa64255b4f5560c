//! The per-user cache of what is slow to make: downloaded packages, Python environments, tools and models.
//!
//! An entry lies at `<root>/<kind>/<key>`. The key is a hash of all that the entry is made from, so an entry never
//! changes: another input is another entry. It is built in place (a Python environment can't be moved) and counts only
//! when its marker is there, which is written last; what an interrupted build left is removed by the next.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::lock;

const MARKER: &str = ".ready";

/// `$AI_MESH_CACHE`, else `$XDG_CACHE_HOME/ai-mesh`, else `~/.cache/ai-mesh`.
pub(crate) fn root() -> Result<PathBuf> {
    root_from(|name| {
        env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    })
}

fn root_from(variable: impl Fn(&str) -> Option<PathBuf>) -> Result<PathBuf> {
    let root = if let Some(own) = variable("AI_MESH_CACHE") {
        std::path::absolute(own)?
    } else if let Some(xdg) = variable("XDG_CACHE_HOME").filter(|path| path.is_absolute()) {
        xdg.join("ai-mesh")
    } else if let Some(home) = variable("HOME") {
        home.join(".cache/ai-mesh")
    } else {
        bail!("no place for the cache: set AI_MESH_CACHE to a folder (HOME is not set either)");
    };
    Ok(root)
}

/// The entry's folder, built first if it isn't there.
pub(crate) fn entry(kind: &str, key: &str, build: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    entry_in(&root()?, kind, key, build)
}

/// The entry's folder if it is there.
pub(crate) fn existing(kind: &str, key: &str) -> Result<Option<PathBuf>> {
    let dir = root()?.join(kind).join(key);
    Ok(dir.join(MARKER).is_file().then_some(dir))
}

/// Makes the entry not count any more, so that the next call builds it anew.
pub(crate) fn invalidate(dir: &Path) -> Result<()> {
    let marker = dir.join(MARKER);
    if marker.exists() {
        fs::remove_file(&marker).with_context(|| format!("can't remove {}", marker.display()))?;
    }
    Ok(())
}

fn entry_in(root: &Path, kind: &str, key: &str, build: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let dir = root.join(kind).join(key);
    if dir.join(MARKER).is_file() {
        return Ok(dir);
    }
    let _lock = lock::acquire(&root.join(kind).join(format!("{key}.lock")))?;
    // Another process may have built it while this one waited.
    if dir.join(MARKER).is_file() {
        return Ok(dir);
    }
    if dir.exists() {
        fs::remove_dir_all(&dir).with_context(|| format!("can't remove the unfinished {}", dir.display()))?;
    }
    fs::create_dir_all(&dir).with_context(|| format!("can't make {}", dir.display()))?;
    build(&dir)?;
    fs::write(dir.join(MARKER), "").with_context(|| format!("can't mark {} as ready", dir.display()))?;
    Ok(dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_follows_the_first_variable_that_is_set() {
        let set = |names: &'static [(&str, &str)]| {
            root_from(|name| {
                names
                    .iter()
                    .find(|(n, _)| *n == name)
                    .map(|(_, value)| PathBuf::from(value))
            })
        };
        assert_eq!(
            set(&[("AI_MESH_CACHE", "/a"), ("HOME", "/h")]).unwrap(),
            Path::new("/a")
        );
        assert_eq!(
            set(&[("XDG_CACHE_HOME", "/x"), ("HOME", "/h")]).unwrap(),
            Path::new("/x/ai-mesh")
        );
        assert_eq!(
            set(&[("XDG_CACHE_HOME", "x"), ("HOME", "/h")]).unwrap(),
            Path::new("/h/.cache/ai-mesh")
        );
        assert!(set(&[]).is_err());
    }

    #[test]
    fn an_entry_is_built_once() {
        let root = tempfile::tempdir().unwrap();
        let dir = entry_in(root.path(), "k", "1", |dir| Ok(fs::write(dir.join("f"), "x")?)).unwrap();
        let again = entry_in(root.path(), "k", "1", |_| bail!("built twice")).unwrap();
        assert_eq!(dir, again);
        assert_eq!(fs::read_to_string(again.join("f")).unwrap(), "x");
    }

    #[test]
    fn a_failed_build_leaves_nothing_that_counts() {
        let root = tempfile::tempdir().unwrap();
        let half = |dir: &Path| {
            fs::write(dir.join("half"), "")?;
            bail!("no")
        };
        assert!(entry_in(root.path(), "k", "1", half).is_err());
        let dir = entry_in(root.path(), "k", "1", |_| Ok(())).unwrap();
        assert!(!dir.join("half").exists());
    }
}
