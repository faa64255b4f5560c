//! The per-user cache of what is slow to build: downloaded packages, Python environments, tools and models.
//!
//! The path of an entry is `<root>/<kind>/<key>`. The key is a hash of all inputs, so an entry never changes. It is
//! built in place, since a Python environment can't be moved. It is valid once its marker file exists, which is
//! written last. The next build removes an entry that an interrupted build left.

use std::env;
use std::fs;
use std::os::unix::fs::symlink;
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
        bail!("no folder for the cache, since HOME is not set: set AI_MESH_CACHE to a folder");
    };
    Ok(root)
}

/// The entry's folder. `build` fills it first if the entry is not cached.
pub(crate) fn entry(kind: &str, key: &str, build: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    entry_in(&root()?, kind, key, build)
}

/// The entry's folder, if the entry is cached.
pub(crate) fn existing(kind: &str, key: &str) -> Result<Option<PathBuf>> {
    let dir = root()?.join(kind).join(key);
    Ok(dir.join(MARKER).is_file().then_some(dir))
}

/// Invalidates the entry, so that the next call of [`entry`] rebuilds it.
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
    // Another process may have built it while this one waited for the lock.
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

/// Points a symbolic link at an entry. Readers see the old target or the new one.
pub(crate) fn link(link: &Path, target: &Path) -> Result<()> {
    if fs::read_link(link).is_ok_and(|current| current == target) {
        return Ok(());
    }
    let dir = link.parent().context("the link has no parent folder")?;
    fs::create_dir_all(dir)?;
    // Another thread may be moving another link of the folder.
    let name = link.file_name().unwrap_or_default().to_string_lossy();
    let new_link = dir.join(format!(".{name}.{}", std::process::id()));
    symlink(target, &new_link).with_context(|| format!("can't make {}", new_link.display()))?;
    fs::rename(&new_link, link).with_context(|| format!("can't replace {}", link.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_comes_from_the_first_variable_that_is_set() {
        let root = |names: &'static [(&str, &str)]| {
            root_from(|name| {
                names
                    .iter()
                    .find(|(n, _)| *n == name)
                    .map(|(_, value)| PathBuf::from(value))
            })
        };
        assert_eq!(
            root(&[("AI_MESH_CACHE", "/a"), ("HOME", "/h")]).unwrap(),
            Path::new("/a")
        );
        assert_eq!(
            root(&[("XDG_CACHE_HOME", "/x"), ("HOME", "/h")]).unwrap(),
            Path::new("/x/ai-mesh")
        );
        assert_eq!(
            root(&[("XDG_CACHE_HOME", "x"), ("HOME", "/h")]).unwrap(),
            Path::new("/h/.cache/ai-mesh")
        );
        assert!(root(&[]).is_err());
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
    fn a_failed_build_leaves_no_valid_entry() {
        let root = tempfile::tempdir().unwrap();
        let half = |dir: &Path| {
            fs::write(dir.join("half"), "")?;
            bail!("no")
        };
        assert!(entry_in(root.path(), "k", "1", half).is_err());
        let dir = entry_in(root.path(), "k", "1", |_| Ok(())).unwrap();
        assert!(!dir.join("half").exists());
    }

    #[test]
    fn a_link_can_be_moved_to_another_target() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("assets");
        for target in ["one", "two", "two"] {
            link(&path, &dir.path().join(target)).unwrap();
            assert_eq!(fs::read_link(&path).unwrap(), dir.path().join(target));
        }
    }
}
