//! Where a list continues: the last id that was read, and a digest that binds it to its list.
//!
//! The digest does not protect anything, since the token alone decides whose tasks are listed. It detects a cursor that
//! was truncated, changed or taken from another list, whose page would otherwise be a surprise.

use mesh_task::{TaskFilter, TaskId, Tenant};
use sha2::{Digest, Sha256};

const ID_BYTES: usize = 16;
const DIGEST_BYTES: usize = 8;

/// Returns the cursor that continues below an id.
pub(super) fn write(tenant: &Tenant, filter: &TaskFilter, last: TaskId) -> String {
    let mut cursor = hex::encode(last.to_bytes());
    cursor.push_str(&hex::encode(digest(tenant, filter, last)));
    cursor
}

/// Returns the id of a cursor, if it is a cursor of this list.
pub(super) fn read(tenant: &Tenant, filter: &TaskFilter, cursor: &str) -> Option<TaskId> {
    let mut bytes = [0; ID_BYTES + DIGEST_BYTES];
    hex::decode_to_slice(cursor, &mut bytes).ok()?;
    let (id, given) = bytes.split_at(ID_BYTES);
    let id: [u8; ID_BYTES] = id.try_into().ok()?;
    let id = TaskId::try_from(id).ok()?;
    (given == digest(tenant, filter, id)).then_some(id)
}

fn digest(tenant: &Tenant, filter: &TaskFilter, id: TaskId) -> [u8; DIGEST_BYTES] {
    let list = format!("{tenant}\n{id}\n{}", serde_json::json!(filter));
    let mut digest = [0; DIGEST_BYTES];
    digest.copy_from_slice(&Sha256::digest(list)[..DIGEST_BYTES]);
    digest
}

#[cfg(test)]
mod tests {
    use super::super::filter::ListQuery;
    use super::*;

    #[test]
    fn a_cursor_is_valid_for_its_own_list_only() {
        let id = TaskId::generate();
        let (ours, theirs) = (Tenant::first(), Tenant::try_from("other".to_owned()).unwrap());
        let all = TaskFilter::default();
        let failed = ListQuery::parse(vec![("status".to_owned(), "failed".to_owned())]);
        let failed = failed.unwrap().filter;
        let cursor = write(&ours, &all, id);
        assert_eq!(read(&ours, &all, &cursor), Some(id));
        assert_eq!(read(&theirs, &all, &cursor), None);
        assert_eq!(read(&ours, &failed, &cursor), None);
        for at in 0..cursor.len() {
            let mut changed = cursor.clone();
            let digit = if &cursor[at..=at] == "0" { "1" } else { "0" };
            changed.replace_range(at..=at, digit);
            assert_eq!(read(&ours, &all, &changed), None, "{changed}");
            assert_eq!(read(&ours, &all, &cursor[..at]), None);
        }
        for odd in ["", "next", "é", &format!("{cursor}00"), &id.to_string()] {
            assert_eq!(read(&ours, &all, odd), None, "{odd}");
        }
    }
}
