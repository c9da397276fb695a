//! Formatting, clippy and rustdoc: the checks that cargo brings, with warnings denied.

use crate::run::Result;
use crate::workspace::Workspace;

pub(crate) fn format(workspace: &Workspace) -> Result<()> {
    workspace.cargo().args(["fmt", "--all", "--check"]).run()
}

pub(crate) fn clippy(workspace: &Workspace) -> Result<()> {
    workspace.cargo().args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]).run()
}

pub(crate) fn rustdoc(workspace: &Workspace) -> Result<()> {
    let doc = workspace.cargo().args(["doc", "--workspace", "--no-deps"]);
    doc.env("RUSTDOCFLAGS", "-D warnings").run()
}
