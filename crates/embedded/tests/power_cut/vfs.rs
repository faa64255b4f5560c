//! A VFS of SQLite that records what it does to the recorded folders. It wraps SQLite's own one, does what that does, and only
//! leaves out the sync of the real disk. As the default VFS it is used by all connections of the process, so the backend needs
//! no setting for it.
//!
//! No maintained crate has such a VFS without further needs: `sqlite-plugin` needs libclang to build, and has no file system
//! that it could wrap.
#![allow(
    unsafe_code,
    reason = "a VFS is a table of C functions; this is a test, and no part of the product"
)]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Arc, Mutex, Once, Weak};

use rusqlite::ffi::{
    self, SQLITE_FCNTL_PRAGMA, SQLITE_OK, SQLITE_OPEN_CREATE, SQLITE_OPEN_MAIN_JOURNAL, SQLITE_OPEN_WAL,
    sqlite3_file, sqlite3_int64, sqlite3_io_methods, sqlite3_vfs,
};

use crate::journal::{Inode, Journal};

/// SQLite's own VFS.
static WRAPPED: AtomicPtr<sqlite3_vfs> = AtomicPtr::new(ptr::null_mut());
/// The recorded folders.
static RECORDED: Mutex<Vec<(PathBuf, Weak<Journal>)>> = Mutex::new(Vec::new());

/// Records the databases below the journal's folder from now on.
pub(crate) fn record(journal: &Arc<Journal>) {
    static REGISTERED: Once = Once::new();
    REGISTERED.call_once(|| {
        // SAFETY: the default VFS lives as long as the process. Its copy does too, since it is leaked, and has the functions of
        // the original, none of which depends on the structure that it is called with, except for xOpen: that is replaced.
        let registered = unsafe {
            let wrapped = ffi::sqlite3_vfs_find(ptr::null());
            WRAPPED.store(wrapped, Ordering::SeqCst);
            let vfs = Box::leak(Box::new(*wrapped));
            vfs.zName = c"recorded".as_ptr();
            vfs.szOsFile += c_int::try_from(size_of::<RecordedFile>()).unwrap();
            vfs.xOpen = Some(open);
            vfs.xDelete = Some(delete);
            ffi::sqlite3_vfs_register(vfs, 1)
        };
        assert_eq!(registered, SQLITE_OK);
    });
    let mut recorded = RECORDED.lock().unwrap();
    recorded.retain(|(_, journal)| journal.strong_count() > 0);
    recorded.push((journal.folder().to_owned(), Arc::downgrade(journal)));
}

/// A recorded file as SQLite knows it. The file of the wrapped VFS follows it in memory.
#[repr(C)]
struct RecordedFile {
    base: sqlite3_file,
    recording: *mut Recording,
}

struct Recording {
    journal: Arc<Journal>,
    path: PathBuf,
    file: Inode,
    /// The first sync of a new journal or log also syncs its folder, as SQLite's own VFS does it.
    syncs_folder: bool,
}

static METHODS: sqlite3_io_methods = sqlite3_io_methods {
    iVersion: 3,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: Some(fetch),
    xUnfetch: Some(unfetch),
};

/// The file of the wrapped VFS.
unsafe fn wrapped(file: *mut sqlite3_file) -> *mut sqlite3_file {
    // SAFETY: SQLite allocates szOsFile bytes: both structures, one after the other.
    unsafe { file.cast::<RecordedFile>().add(1).cast() }
}

unsafe fn recording<'a>(file: *mut sqlite3_file) -> &'a mut Recording {
    // SAFETY: `open` has set it, and only one thread uses a file at a time.
    unsafe { &mut *(*file.cast::<RecordedFile>()).recording }
}

/// Functions that the wrapped file's do.
macro_rules! forward {
    ($($name:ident: $method:ident($($argument:ident: $type:ty),*) $(-> $returned:ty)?;)+) => {
        $(unsafe extern "C" fn $name(file: *mut sqlite3_file, $($argument: $type),*) $(-> $returned)? {
            // SAFETY: the wrapped file is open, and has all methods of version 3, as `open` has checked.
            unsafe {
                let file = wrapped(file);
                ((*(*file).pMethods).$method.unwrap())(file, $($argument),*)
            }
        })+
    };
}

forward! {
    read: xRead(buffer: *mut c_void, bytes: c_int, offset: sqlite3_int64) -> c_int;
    write_wrapped: xWrite(buffer: *const c_void, bytes: c_int, offset: sqlite3_int64) -> c_int;
    truncate_wrapped: xTruncate(size: sqlite3_int64) -> c_int;
    close_wrapped: xClose() -> c_int;
    file_size: xFileSize(size: *mut sqlite3_int64) -> c_int;
    lock: xLock(level: c_int) -> c_int;
    unlock: xUnlock(level: c_int) -> c_int;
    check_reserved_lock: xCheckReservedLock(is_reserved: *mut c_int) -> c_int;
    control_wrapped: xFileControl(operation: c_int, argument: *mut c_void) -> c_int;
    sector_size: xSectorSize() -> c_int;
    device_characteristics: xDeviceCharacteristics() -> c_int;
    shm_map: xShmMap(region: c_int, size: c_int, extend: c_int, mapped: *mut *mut c_void) -> c_int;
    shm_lock: xShmLock(offset: c_int, count: c_int, flags: c_int) -> c_int;
    shm_barrier: xShmBarrier();
    shm_unmap: xShmUnmap(deletes: c_int) -> c_int;
    fetch: xFetch(offset: sqlite3_int64, bytes: c_int, mapped: *mut *mut c_void) -> c_int;
    unfetch: xUnfetch(offset: sqlite3_int64, mapped: *mut c_void) -> c_int;
}

/// The path and its journal, if it is recorded. SQLite's temporary files have no name.
unsafe fn find_journal(name: *const c_char) -> Option<(PathBuf, Arc<Journal>)> {
    if name.is_null() {
        return None;
    }
    // SAFETY: a file's name is a C string.
    let name = unsafe { CStr::from_ptr(name) };
    let path = Path::new(name.to_str().unwrap()).to_owned();
    let recorded = RECORDED.lock().unwrap();
    let (_, journal) = recorded.iter().find(|(folder, _)| path.starts_with(folder))?;
    let journal = journal.upgrade()?;
    Some((path, journal))
}

unsafe extern "C" fn open(
    _vfs: *mut sqlite3_vfs,
    name: *const c_char,
    file: *mut sqlite3_file,
    flags: c_int,
    flags_out: *mut c_int,
) -> c_int {
    let vfs = WRAPPED.load(Ordering::SeqCst);
    // SAFETY: the arguments are SQLite's. Of a file that is not recorded it sees the wrapped one only, which needs less memory.
    unsafe {
        let open = (*vfs).xOpen.unwrap();
        let Some((path, journal)) = find_journal(name) else {
            return open(vfs, name, file, flags, flags_out);
        };
        let inner = wrapped(file);
        let opened = open(vfs, name, inner, flags, flags_out);
        if opened != SQLITE_OK {
            (*file).pMethods = ptr::null();
            return opened;
        }
        assert!((*(*inner).pMethods).iVersion >= 3);
        let is_log = flags & (SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_WAL) != 0;
        let recording = Recording {
            file: journal.open(&path),
            journal,
            path,
            syncs_folder: is_log && flags & SQLITE_OPEN_CREATE != 0,
        };
        (*file).pMethods = &raw const METHODS;
        (*file.cast::<RecordedFile>()).recording = Box::into_raw(Box::new(recording));
        SQLITE_OK
    }
}

unsafe extern "C" fn delete(_vfs: *mut sqlite3_vfs, name: *const c_char, syncs_folder: c_int) -> c_int {
    let vfs = WRAPPED.load(Ordering::SeqCst);
    // SAFETY: the arguments are SQLite's.
    unsafe {
        let deleted = (*vfs).xDelete.unwrap()(vfs, name, 0);
        if deleted == SQLITE_OK
            && let Some((path, journal)) = find_journal(name)
        {
            journal.unlink(&path);
            if syncs_folder != 0 {
                journal.sync_folder(path.parent().unwrap());
            }
        }
        deleted
    }
}

unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    // SAFETY: SQLite does not use the file any more.
    unsafe {
        let closed = close_wrapped(file);
        drop(Box::from_raw((*file.cast::<RecordedFile>()).recording));
        (*file).pMethods = ptr::null();
        closed
    }
}

unsafe extern "C" fn write(
    file: *mut sqlite3_file,
    buffer: *const c_void,
    bytes: c_int,
    offset: sqlite3_int64,
) -> c_int {
    // SAFETY: SQLite's buffer has that many bytes.
    unsafe {
        let written = write_wrapped(file, buffer, bytes, offset);
        if written == SQLITE_OK {
            let content = std::slice::from_raw_parts(buffer.cast::<u8>(), bytes.try_into().unwrap());
            let recording = recording(file);
            recording
                .journal
                .write(recording.file, offset.try_into().unwrap(), content);
        }
        written
    }
}

unsafe extern "C" fn truncate(file: *mut sqlite3_file, size: sqlite3_int64) -> c_int {
    // SAFETY: the file is open.
    unsafe {
        let truncated = truncate_wrapped(file, size);
        if truncated == SQLITE_OK {
            let recording = recording(file);
            recording
                .journal
                .truncate(recording.file, size.try_into().unwrap());
        }
        truncated
    }
}

unsafe extern "C" fn sync(file: *mut sqlite3_file, _flags: c_int) -> c_int {
    // SAFETY: the file is open.
    let recording = unsafe { recording(file) };
    recording.journal.sync(recording.file);
    if std::mem::take(&mut recording.syncs_folder) {
        recording.journal.sync_folder(recording.path.parent().unwrap());
    }
    SQLITE_OK
}

unsafe extern "C" fn file_control(file: *mut sqlite3_file, operation: c_int, argument: *mut c_void) -> c_int {
    // SAFETY: a pragma's argument is an array of strings: the second is its name, and the third its value, or null. SQLite reads
    // the value after this call, from memory of its own that it does not share.
    unsafe {
        if operation == SQLITE_FCNTL_PRAGMA && recording(file).journal.weakens_synchronous() {
            let arguments = argument.cast::<*mut c_char>();
            let value = *arguments.add(2);
            if CStr::from_ptr(*arguments.add(1)) == c"synchronous" && !value.is_null() {
                assert_eq!(CStr::from_ptr(value), c"FULL");
                // NORMAL is 1.
                ptr::copy_nonoverlapping(c"1".as_ptr(), value, 2);
            }
        }
        control_wrapped(file, operation, argument)
    }
}
