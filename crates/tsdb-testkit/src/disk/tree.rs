//! The directory tree: as the system shows it, and which changes of it are durable.
//!
//! The unsynced changes are kept in order. A power loss cuts each directory's changes at some point: those before
//! are there, those after are undone. A rename across directories is one change of two directories, so it happened
//! in both or in neither; and what a directory's sync makes durable includes whatever came before such a change.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::crash::Rng;
use super::file::Contents;

/// A file, whatever names it has; handles keep it alive as the names do.
pub(super) type Inode = Arc<Mutex<Contents>>;

/// What a name stands for.
#[derive(Clone, Debug)]
pub(super) enum Node {
    Dir,
    File(Inode),
}

type Entries = BTreeMap<PathBuf, Node>;

/// One change of directory entries that is not durable yet.
#[derive(Clone, Debug)]
struct Change {
    /// Each path with what it stands for from now on.
    entries: Vec<(PathBuf, Option<Node>)>,
}

impl Change {
    fn dirs(&self) -> impl Iterator<Item = &Path> {
        self.entries.iter().map(|(path, _)| parent(path))
    }

    fn apply(&self, to: &mut Entries) {
        for (path, node) in &self.entries {
            match node {
                Some(node) => to.insert(path.clone(), node.clone()),
                None => to.remove(path),
            };
        }
    }
}

/// The whole tree. The root (the empty path) always exists.
#[derive(Clone, Debug, Default)]
pub(super) struct Tree {
    current: Entries,
    durable: Entries,
    unsynced: Vec<Change>,
}

impl Tree {
    /// What the path stands for.
    pub(super) fn get(&self, path: &Path) -> io::Result<Node> {
        if path.as_os_str().is_empty() {
            return Ok(Node::Dir);
        }
        self.check_parent(path)?;
        self.current.get(path).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    pub(super) fn file(&self, path: &Path) -> io::Result<Inode> {
        match self.get(path)? {
            Node::File(inode) => Ok(inode),
            Node::Dir => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    /// The entries right below a directory, in the order of their names.
    pub(super) fn list(&self, dir: &Path) -> io::Result<impl Iterator<Item = (&Path, &Node)>> {
        self.check_dir(dir)?;
        let below = self.current.iter().filter(move |(path, _)| parent(path) == dir);
        Ok(below.map(|(path, node)| (path.as_path(), node)))
    }

    /// Gives a node a name that is free.
    pub(super) fn add(&mut self, path: &Path, node: Node) -> io::Result<()> {
        self.check_parent(path)?;
        if path.as_os_str().is_empty() || self.current.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.change(vec![(path.to_owned(), Some(node))]);
        Ok(())
    }

    pub(super) fn remove_file(&mut self, path: &Path) -> io::Result<()> {
        self.file(path)?;
        self.change(vec![(path.to_owned(), None)]);
        Ok(())
    }

    pub(super) fn rename_file(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let inode = self.file(from)?;
        self.check_parent(to)?;
        if let Some(Node::Dir) = self.current.get(to) {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        if from != to {
            self.change(vec![(from.to_owned(), None), (to.to_owned(), Some(Node::File(inode)))]);
        }
        Ok(())
    }

    /// Makes the changes of `dir` durable, and with them what they rest on.
    pub(super) fn sync(&mut self, dir: &Path) -> io::Result<()> {
        self.check_dir(dir)?;
        let mut dirs = HashSet::from([dir.to_owned()]);
        let mut synced = vec![false; self.unsynced.len()];
        for (change, synced) in self.unsynced.iter().zip(&mut synced).rev() {
            if change.dirs().any(|dir| dirs.contains(dir)) {
                dirs.extend(change.dirs().map(Path::to_owned));
                *synced = true;
            }
        }
        for (change, _) in self.unsynced.iter().zip(&synced).filter(|(_, synced)| **synced) {
            change.apply(&mut self.durable);
        }
        let mut synced = synced.into_iter();
        self.unsynced.retain(|_| !synced.next().unwrap_or_default());
        Ok(())
    }

    /// The tree after a power loss, with the files as they then are.
    pub(super) fn after_crash(&self, loss: &mut Rng) -> Self {
        let mut entries = self.durable.clone();
        let mut cut = HashSet::new();
        let share = loss.below(4);
        for change in &self.unsynced {
            let lost = loss.lose_all() || !loss.keep_all() && loss.below(4) < share;
            if lost || change.dirs().any(|dir| cut.contains(dir)) {
                cut.extend(change.dirs());
            } else {
                change.apply(&mut entries);
            }
        }
        remove_orphans(&mut entries);
        let mut copies = Copies::default();
        copies.copy_all(&mut entries, &mut |contents| contents.after_crash(loss));
        Self { current: entries.clone(), durable: entries, unsynced: Vec::new() }
    }

    /// A copy that shares nothing with this one.
    pub(super) fn fork(&self) -> Self {
        let mut fork = self.clone();
        let mut copies = Copies::default();
        let mut copy = |contents: &Contents| contents.fork();
        copies.copy_all(&mut fork.current, &mut copy);
        copies.copy_all(&mut fork.durable, &mut copy);
        for (_, node) in fork.unsynced.iter_mut().flat_map(|change| &mut change.entries) {
            if let Some(node) = node {
                copies.copy(node, &mut copy);
            }
        }
        fork
    }

    fn change(&mut self, entries: Vec<(PathBuf, Option<Node>)>) {
        let change = Change { entries };
        change.apply(&mut self.current);
        self.unsynced.push(change);
    }

    fn check_parent(&self, path: &Path) -> io::Result<()> {
        self.check_dir(parent(path))
    }

    /// Walks down, so that a file in the way is told from a missing directory.
    fn check_dir(&self, dir: &Path) -> io::Result<()> {
        let mut at = PathBuf::new();
        for component in dir.components() {
            at.push(component);
            match self.current.get(&at) {
                Some(Node::Dir) => {}
                Some(Node::File(_)) => return Err(io::ErrorKind::NotADirectory.into()),
                None => return Err(io::ErrorKind::NotFound.into()),
            }
        }
        Ok(())
    }
}

/// One copy for each file, so that its names still stand for one file.
#[derive(Default)]
struct Copies {
    by_original: HashMap<*const Mutex<Contents>, Inode>,
}

impl Copies {
    fn copy_all(&mut self, entries: &mut Entries, copy: &mut impl FnMut(&Contents) -> Contents) {
        for node in entries.values_mut() {
            self.copy(node, copy);
        }
    }

    fn copy(&mut self, node: &mut Node, copy: &mut impl FnMut(&Contents) -> Contents) {
        if let Node::File(inode) = node {
            let make = || Arc::new(Mutex::new(copy(&inode.lock())));
            *inode = self.by_original.entry(Arc::as_ptr(inode)).or_insert_with(make).clone();
        }
    }
}

/// A directory whose own entry was lost takes along what lies below it.
fn remove_orphans(entries: &mut Entries) {
    let mut dirs = HashSet::from([PathBuf::new()]);
    // Parents come before their children in the order of paths.
    entries.retain(|path, node| {
        let there = dirs.contains(parent(path));
        if there && matches!(node, Node::Dir) {
            dirs.insert(path.clone());
        }
        there
    });
}

fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}

/// One spelling for each path: relative to the root, no `.`, no `..`.
pub(super) fn normalise(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => normal.push(name),
            Component::ParentDir => {
                normal.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    normal
}
