//! Every crate that is meant for others, published without being uploaded: its manifest is complete, what it depends on is
//! published before it, and what it needs from its directory is in the package. That it builds and works outside of the
//! workspace is what `consumer` sees.

use crate::run::Result;
use crate::workspace::Workspace;

pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let arguments = ["publish", "--workspace", "--dry-run", "--no-verify", "--allow-dirty", "--quiet"];
    workspace.cargo().args(arguments).run()
}
