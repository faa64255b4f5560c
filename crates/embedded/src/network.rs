//! Network file systems. SQLite's write-ahead log needs memory that all its users share, and locks that hold: neither is sure there.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use procfs_core::FromBufRead;
use procfs_core::process::MountInfos;

use crate::open_error::OpenError;

/// Where Linux lists what is mounted.
const MOUNTS: &str = "/proc/self/mountinfo";
/// The types of file systems whose files are on another machine.
const NETWORK: [&str; 25] = [
    "9p",
    "afs",
    "beegfs",
    "ceph",
    "cifs",
    "coda",
    "davfs",
    "fuse.ceph",
    "fuse.curlftpfs",
    "fuse.davfs",
    "fuse.gcsfuse",
    "fuse.glusterfs",
    "fuse.goofys",
    "fuse.juicefs",
    "fuse.rclone",
    "fuse.s3fs",
    "fuse.sshfs",
    "glusterfs",
    "lustre",
    "ncpfs",
    "nfs",
    "nfs4",
    "pvfs2",
    "smb3",
    "smbfs",
];

/// Refuses a folder that is on another machine. Other systems than Linux have no such list, and nothing is refused there.
pub(crate) fn require_local(folder: &Path) -> Result<(), OpenError> {
    let Ok(mounts) = File::open(MOUNTS) else {
        return Ok(());
    };
    let mounts = MountInfos::from_buf_read(BufReader::new(mounts));
    let folder = folder.canonicalize().map_err(OpenError::at(folder))?;
    match mounts.ok().and_then(|mounts| network_type(&mounts, &folder)) {
        Some(kind) => Err(OpenError::Network { folder, kind }),
        None => Ok(()),
    }
}

/// The type of the file system of a folder, if it is a network's.
fn network_type(mounts: &MountInfos, folder: &Path) -> Option<String> {
    // As the list writes them.
    let escapes = [('\\', r"\134"), (' ', r"\040"), ('\t', r"\011"), ('\n', r"\012")];
    let mut name = folder.to_str()?.to_owned();
    for (character, escaped) in escapes {
        name = name.replace(character, escaped);
    }
    let around = mounts
        .0
        .iter()
        .filter(|mount| Path::new(&name).starts_with(&mount.mount_point));
    // The innermost one, and of several on one folder the last.
    let own = around.max_by_key(|mount| mount.mount_point.components().count())?;
    NETWORK
        .contains(&own.fs_type.as_str())
        .then(|| own.fs_type.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = r"22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
40 22 0:40 / /srv rw,relatime shared:2 - nfs4 files:/srv rw,vers=4.2
41 40 8:2 / /srv/local rw,relatime shared:3 - xfs /dev/sdb1 rw
42 22 0:42 / /mnt/my\040share rw - fuse.sshfs me@files: rw,user_id=0
43 22 0:43 / /twice rw - cifs //files/share rw
44 22 8:3 / /twice rw - ext4 /dev/sdc1 rw
45 22 0:45 / /fuse rw - fuse.mergerfs disks rw
";

    #[test]
    fn the_innermost_file_system_of_a_folder_decides() {
        let mounts = MountInfos::from_buf_read(LIST.as_bytes()).unwrap();
        for (folder, kind) in [
            ("/data", None),
            ("/srv/data", Some("nfs4")),
            ("/srv", Some("nfs4")),
            ("/srvdata", None),
            ("/srv/local/data", None),
            ("/mnt/my share/data", Some("fuse.sshfs")),
            ("/twice/data", None),
            ("/fuse/data", None),
        ] {
            assert_eq!(
                network_type(&mounts, Path::new(folder)).as_deref(),
                kind,
                "{folder}"
            );
        }
    }

    #[test]
    fn the_list_of_this_machine_is_read_and_a_refusal_names_folder_and_type() {
        require_local(&std::env::temp_dir()).unwrap();
        let refused = OpenError::Network {
            folder: "/srv/data".into(),
            kind: "nfs4".to_owned(),
        };
        let text = refused.to_string();
        assert!(
            text.contains("/srv/data") && text.contains("nfs4") && text.contains("local"),
            "{text}"
        );
    }
}
