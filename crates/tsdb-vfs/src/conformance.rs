//! What every [`Vfs`] must do, as checks that any implementation can run.
//!
//! Only what can be seen without pulling the plug: durability itself is checked where a disk can be simulated.

use std::io::{self, ErrorKind};
use std::path::Path;

use crate::Vfs;

type Check = fn(&dyn Vfs, &Path) -> io::Result<()>;

const CHECKS: &[(&str, Check)] = &[
    ("create_is_exclusive", create_is_exclusive),
    ("appends_are_read_back", appends_are_read_back),
    ("an_open_file_can_be_cut_back", an_open_file_can_be_cut_back),
    ("reserved_space_is_written_over", reserved_space_is_written_over),
    ("reads_are_exact", reads_are_exact),
    ("maps_are_whole", maps_are_whole),
    ("lists_are_sorted", lists_are_sorted),
    ("renames_replace", renames_replace),
    ("links_never_replace", links_never_replace),
    ("removed_files_stay_readable", removed_files_stay_readable),
    ("truncation_only_shortens", truncation_only_shortens),
    ("directories_nest", directories_nest),
    ("locks_exclude", locks_exclude),
    ("missing_things_are_not_found", missing_things_are_not_found),
];

/// Runs every check below `root`, an empty or missing directory of `vfs`, each in a directory of its own.
///
/// # Errors
/// An operation failed that should have succeeded.
///
/// # Panics
/// With the expectation that was not met, if `vfs` breaks the contract.
pub fn conformance(vfs: &dyn Vfs, root: &Path) -> io::Result<()> {
    for (name, check) in CHECKS {
        let dir = root.join(name);
        vfs.create_dir_all(&dir)?;
        check(vfs, &dir).map_err(|e| io::Error::new(e.kind(), format!("{name}: {e}")))?;
    }
    Ok(())
}

fn create_is_exclusive(vfs: &dyn Vfs, dir: &Path) -> io::Result<()> {
    let file = vfs.create(&dir.join("a"))?;
    assert!(file.is_empty(), "a new file is empty");
    expect_error(vfs.create(&dir.join("a")), ErrorKind::AlreadyExists, "a");
    expect_error(vfs.create(&dir.join("missing/a")), ErrorKind::NotFound, "missing/a");
    Ok(())
}

fn appends_are_read_back(vfs: &dyn Vfs, dir: &Path) -> io::Result<()> {
    let path = dir.join("a");
    let file = vfs.create(&path)?;
    file.append(b"one")?;
    assert_eq!(vfs.read(&path)?, b"one", "a read sees what is not synced");
    file.sync()?;
    file.append(b"")?;
    file.append(b"two")?;
    assert_eq!((file.len(), vfs.file_len(&path)?), (6, 6), "both lengths count every byte");
    drop(file);
    assert_eq!(vfs.read(&path)?, b"onetwo", "a dropped handle loses nothing");
    let mut buffer = b"what was there before".to_vec();
    vfs.read_into(&path, &mut buffer)?;
    assert_eq!(buffer, b"onetwo", "a buffer is used again, and holds nothing of before");
    Ok(())
}

fn an_open_file_can_be_cut_back(vfs: &dyn Vfs, dir: &Path) -> io::Result<()> {
    let path = dir.join("a");
    let file = vfs.create(&path)?;
    file.append(b"whole,half")?;
    file.truncate(6)?;
    assert_eq!(file.len(), 6, "the handle knows its new length");
    file.append(b"again")?;
    file.sync()?;
    assert_eq!(vfs.read(&path)?, b"whole,again", "the next append goes to the new end");
    expect_error(file.truncate(100), ErrorKind::InvalidInput, "a");
    assert_eq!(file.len(), 11, "a refused truncation changes nothing");
    Ok(())
}

fn reserved_space_is_written_over(vfs: &dyn Vfs, dir: &Path) -> io::Result<()> {
    let path = dir.join("a");
    let file = vfs.create(&path)?;
    file.append(b"one")?;
    file.reserve(200_000)?;
    assert_eq!(file.len(), 3, "what is reserved does not count");
    file.append(b"two")?;
    file.sync()?;
    let read = vfs.read(&path)?;
    assert!(read.starts_with(b"onetwo"), "appends go on where they were");
    assert!(read[6..].iter().all(|byte| *byte == 0), "what is reserved is zeros");
    file.reserve(1_000)?;
    assert_eq!(vfs.read(&path)?, read, "there are more than so many bytes");
    expect_error(file.truncate(7), ErrorKind::InvalidInput, "a");
    file.truncate(4)?;
    assert_eq!(vfs.read(&path)?, b"onet", "a truncation takes back what is reserved");
    file.append(b"her")?;
    file.reserve(8)?;
    file.append(b", and more")?;
    assert_eq!(vfs.read(&path)?, b"onether, and more", "an append may end behind what is reserved");
    Ok(())
}

fn reads_are_exact(vfs: &dyn Vfs, dir: &Path) -> io::Result<()> {
    let path = dir.join("a");
    vfs.create(&path)?.append(b"0123456789")?;
    let read = vfs.open(&path)?;
    assert_eq!(read.len(), 10, "the length is the file's");
    assert_eq!(&read.read_at(3, 4)?[..], b"3456", "a range is the bytes of that range");
    assert_eq!(read.read_at(10, 0)?.len(), 0, "an empty range at the end is there");
    for (offset, len) in [(10, 1), (8, 3), (11, 0), (u64::MAX, 1), (0, usize::MAX)] {
        expect_error(read.read_at(offset, len), ErrorKind::UnexpectedEof, "a");
    }
    Ok(())
}

fn maps_are_whole(vfs: &dyn Vfs, dir: &Path) -> io::Result<()> {
    let bytes: Vec<u8> = (0..20_000_u32).flat_map(u32::to_le_bytes).collect();
    for (name, bytes) in [("empty", &[][..]), ("full", &bytes[..])] {
        let file = vfs.create(&dir.join(name))?;
        file.append(bytes)?;
        file.sync()?;
        drop(file);
        let map = vfs.map(&dir.join(name))?;
        vfs.rename(&dir.join(name), &dir.join("moved"))?;
        vfs.remove_file(&dir.join("moved"))?;
        assert!(map == bytes, "a map is the contents, whatever becomes of the name");
    }
    Ok(())
}

fn lists_are_sorted(vfs: &dyn Vfs, dir: &Path) -> io::Result<()> {
    assert!(vfs.list(dir)?.is_empty(), "a new directory is empty");
    for name in ["b", "a", "c", "A"] {
        vfs.create(&dir.join(name))?.append(name.as_bytes())?;
    }
    vfs.create_dir_all(&dir.join("bb/inner"))?;
    let seen: Vec<_> = vfs.list(dir)?.into_iter().map(|e| (e.name, e.is_dir, e.len)).collect();
    let expected = [("A", false, 1), ("a", false, 1), ("b", false, 1), ("bb", true, 0), ("c", false, 1)];
    assert_eq!(seen, expected.map(|(name, is_dir, len)| (name.to_owned(), is_dir, len)));
    Ok(())
}

fn renames_replace(vfs: &dyn Vfs, dir: &Path) -> io::Result<()> {
    let (a, b) = (dir.join("a"), dir.join("b"));
    let file = vfs.create(&a)?;
    file.append(b"new")?;
    vfs.create(&b)?.append(b"old")?;
    vfs.rename(&a, &b)?;
    file.append(b"er")?;
    assert_eq!(vfs.read(&b)?, b"newer", "the handle follows the file, not the name");
    expect_error(vfs.read(&a), ErrorKind::NotFound, "a");
    vfs.create_dir_all(&dir.join("sub"))?;
    vfs.rename(&b, &dir.join("sub/c"))?;
    assert_eq!(vfs.read(&dir.join("sub/c"))?, b"newer", "a rename may cross directories");
    expect_error(vfs.rename(&a, &b), ErrorKind::NotFound, "b");
    Ok(())
}

fn links_never_replace(vfs: &dyn Vfs, dir: &Path) -> io::Result<()> {
    let (a, b) = (dir.join("a"), dir.join("b"));
    vfs.create(&a)?.append(b"a")?;
    vfs.hard_link(&a, &b)?;
    expect_error(vfs.hard_link(&a, &b), ErrorKind::AlreadyExists, "b");
    expect_error(vfs.hard_link(&dir.join("missing"), &dir.join("c")), ErrorKind::NotFound, "c");
    vfs.remove_file(&a)?;
    assert_eq!(vfs.read(&b)?, b"a", "the second name outlives the first");
    Ok(())
}

fn removed_files_stay_readable(vfs: &dyn Vfs, dir: &Path) -> io::Result<()> {
    let path = dir.join("a");
    let file = vfs.create(&path)?;
    file.append(b"abc")?;
    let read = vfs.open(&path)?;
    vfs.remove_file(&path)?;
    assert_eq!(&read.read_at(0, 3)?[..], b"abc", "an open handle keeps the bytes");
    expect_error(vfs.open(&path), ErrorKind::NotFound, "a");
    vfs.create(&path)?.append(b"xyz")?;
    assert_eq!(&read.read_at(0, 3)?[..], b"abc", "a new file of the same name is another file");
    Ok(())
}

fn truncation_only_shortens(vfs: &dyn Vfs, dir: &Path) -> io::Result<()> {
    let path = dir.join("a");
    vfs.create(&path)?.append(b"0123456789")?;
    vfs.truncate(&path, 4)?;
    assert_eq!(vfs.read(&path)?, b"0123");
    expect_error(vfs.truncate(&path, 5), ErrorKind::InvalidInput, "a");
    assert_eq!(vfs.read(&path)?, b"0123", "a refused truncation changes nothing");
    Ok(())
}

fn directories_nest(vfs: &dyn Vfs, dir: &Path) -> io::Result<()> {
    let deep = dir.join("a/b/c");
    vfs.create_dir_all(&deep)?;
    vfs.create_dir_all(&deep)?;
    vfs.create(&deep.join("file"))?;
    vfs.sync_dir(&deep)?;
    assert!(vfs.create_dir_all(&deep.join("file")).is_err(), "a file is not a directory");
    assert!(vfs.create_dir_all(&deep.join("file/below")).is_err(), "nothing lies below a file");
    Ok(())
}

fn locks_exclude(vfs: &dyn Vfs, dir: &Path) -> io::Result<()> {
    let path = dir.join("LOCK");
    let guard = vfs.lock(&path)?;
    expect_error(vfs.lock(&path), ErrorKind::WouldBlock, "LOCK");
    let _other = vfs.lock(&dir.join("LOCK2"))?;
    drop(guard);
    drop(vfs.lock(&path)?);
    assert_eq!(vfs.file_len(&path)?, 0, "the file stays when the lock ends");
    Ok(())
}

fn missing_things_are_not_found(vfs: &dyn Vfs, dir: &Path) -> io::Result<()> {
    let gone = dir.join("gone");
    expect_error(vfs.read(&gone), ErrorKind::NotFound, "gone");
    expect_error(vfs.map(&gone), ErrorKind::NotFound, "gone");
    expect_error(vfs.open(&gone), ErrorKind::NotFound, "gone");
    expect_error(vfs.metadata(&gone), ErrorKind::NotFound, "gone");
    expect_error(vfs.list(&gone), ErrorKind::NotFound, "gone");
    expect_error(vfs.remove_file(&gone), ErrorKind::NotFound, "gone");
    expect_error(vfs.truncate(&gone, 0), ErrorKind::NotFound, "gone");
    expect_error(vfs.sync_dir(&gone), ErrorKind::NotFound, "gone");
    expect_error(vfs.lock(&gone.join("LOCK")), ErrorKind::NotFound, "gone/LOCK");
    Ok(())
}

/// The error has the kind and names the path.
fn expect_error<T>(result: io::Result<T>, kind: ErrorKind, path: &str) {
    match result {
        Ok(_) => panic!("expected {kind:?} for {path}, got success"),
        Err(e) => {
            assert_eq!(e.kind(), kind, "{e}");
            assert!(e.to_string().contains(path), "the message names the path {path}: {e}");
        }
    }
}
