//! The documentation, run: every command and snippet of README.md and `docs/guide/`, in the order in which a reader meets
//! them, with the binary, DuckDB and Python on the path.
//!
//! | block | what is done with it |
//! |---|---|
//! | `console` | commands after `$ `, continued after `> `; what they print must be what is shown |
//! | `sh` | run; a command that fails fails the document |
//! | `python`, `sql` | run, the latter by DuckDB; an `output` block right after it shows what is printed |
//! | `rust` | compiled and run by `cargo xtask doctest`, for which `tests/lib.rs` must include the document |
//! | `text`, `json`, `yaml`, `toml`, `promql` | data: nothing |
//!
//! In what is shown, `...` stands for anything: alone on a line for any number of lines, inside one for any part of it. A
//! command must succeed, unless a line that begins with `error:` is shown. A block that cannot be run has a line
//! `<!-- not run: REASON -->` above it. All blocks of a document share one shell in one empty directory; what it leaves
//! running is ended with it. The server's usual address is replaced by one that is free.

mod blocks;
mod compare;
mod session;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::binary;
use crate::python;
use crate::run::{Failure, Result};
use crate::workspace::Workspace;

use blocks::{Block, Kind};
use session::{Session, Step};

/// The documents, relative to the root, besides those in [`GUIDE`].
const README: &str = "README.md";
const GUIDE: &str = "docs/guide";
/// Where documents with Rust are included, to be tested as documentation.
const INCLUDED_IN: &str = "tests/lib.rs";

/// Runs the named documents, or all.
pub(crate) fn run(workspace: &Workspace, files: &[PathBuf]) -> Result<()> {
    let documents = if files.is_empty() { all(workspace)? } else { files.to_vec() };
    let session = Session::new(workspace, &binary::tsdb(workspace)?, &python::environment(workspace)?)?;
    let mut wrong = Vec::new();
    for document in &documents {
        let found = check(workspace, &session, document)?;
        let name = document.display();
        eprintln!("docs: {name}: {}", if found.is_empty() { "as shown" } else { "NOT as shown" });
        wrong.extend(found.into_iter().map(|finding| format!("{name}:{finding}")));
    }
    for finding in &wrong {
        eprintln!("\n{finding}");
    }
    match wrong.len() {
        0 => Ok(()),
        n => Err(Failure::new(format!("{n} blocks of the documentation are not true"))),
    }
}

/// README.md and the guide, in the order of their names.
fn all(workspace: &Workspace) -> Result<Vec<PathBuf>> {
    let failed = |error| Failure::doing(format!("reading {GUIDE}"), error);
    let mut guide = Vec::new();
    for entry in fs::read_dir(workspace.root.join(GUIDE)).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        if Path::new(&name).extension().is_some_and(|extension| extension == "md") {
            guide.push(Path::new(GUIDE).join(name));
        }
    }
    guide.sort();
    guide.insert(0, README.into());
    Ok(guide)
}

/// What is wrong in a document: `line: what`.
fn check(workspace: &Workspace, session: &Session, document: &Path) -> Result<Vec<String>> {
    let read = |path: &Path| {
        let text = fs::read_to_string(workspace.root.join(path));
        text.map_err(|error| Failure::doing(format!("reading {}", path.display()), error))
    };
    let text = read(document)?;
    if text.contains("curl ") && Command::new("curl").arg("--version").output().is_err() {
        let name = document.display();
        return Err(Failure::new(format!(
            "{name} is run with curl, which is not on the path: install Debian's package curl"
        )));
    }
    let blocks = match blocks::parse(&text) {
        Ok(blocks) => blocks,
        Err(findings) => return Ok(findings),
    };
    let skipped = blocks.iter().filter(|block| block.not_run.is_some()).count();
    if skipped > 0 {
        eprintln!("docs: {}: {skipped} blocks are not run, each for its reason", document.display());
    }
    let mut wrong = Vec::new();
    let rust = blocks.iter().find(|block| block.kind == Kind::Rust && block.not_run.is_none());
    if let Some(Block { line, .. }) = rust
        && !read(Path::new(INCLUDED_IN))?.contains(&format!("../{}\"", document.display()))
    {
        wrong.push(format!("{line}: Rust that nothing compiles: include the document in {INCLUDED_IN}"));
    }
    let steps: Vec<Step> = blocks.iter().filter(|block| block.not_run.is_none()).flat_map(Step::of).collect();
    if !steps.is_empty() {
        let name = document.file_stem().unwrap_or_default();
        wrong.extend(session.run(Path::new(name), &steps)?);
    }
    Ok(wrong)
}
