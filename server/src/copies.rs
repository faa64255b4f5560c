//! The commands that copy and check a data folder. They print what they found, and fail if something is not whole.

use std::path::Path;

use mesh_embedded::Report;

use crate::app::ServeError;

pub(crate) fn backup(data: &Path, folder: &Path) -> Result<(), ServeError> {
    let report = mesh_embedded::backup(data, folder)?;
    print(&report);
    let counts = counts(&report);
    if report.damage.is_empty() {
        println!("{} contains {counts}", folder.display());
        return Ok(());
    }
    let (data, folder) = (data.display(), folder.display());
    Err(
        format!("{folder} contains {counts}, but not the files above: {data} does not have them any more")
            .into(),
    )
}

pub(crate) fn restore(backup: &Path, data: &Path) -> Result<(), ServeError> {
    let report = mesh_embedded::restore(backup, data)?;
    print(&report);
    if report.damage.is_empty() {
        println!("{} contains {}", data.display(), counts(&report));
        return Ok(());
    }
    let (backup, mark) = (backup.display(), data.join(mesh_embedded::INCOMPLETE));
    let mark = mark.display();
    Err(
        format!("{backup} is damaged: restore another backup, or delete {mark} to use what was restored")
            .into(),
    )
}

pub(crate) fn check(data: &Path) -> Result<(), ServeError> {
    let report = mesh_embedded::check(data)?;
    print(&report);
    if report.damage.is_empty() {
        println!("{} is whole: {}", data.display(), counts(&report));
        return Ok(());
    }
    let data = data.display();
    Err(format!("{data} is damaged: move it away, and restore a backup with `mesh-server restore BACKUP --data {data}`").into())
}

fn counts(report: &Report) -> String {
    format!("{} tasks and {} payloads", report.tasks, report.payloads)
}

fn print(report: &Report) {
    for damage in &report.damage {
        println!("damaged: {damage}");
    }
    for file in &report.stray {
        println!("without a record, the server deletes it: payloads/{file}");
    }
}
