//! Every crate that is meant for others, packed as it would be published: its manifest is complete, and what it needs from
//! its directory is in the package. That it builds and works outside of the workspace is what `consumer` sees.

use crate::run::Result;
use crate::workspace::{TESTKIT, Workspace};

pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let published = workspace.members.iter().filter(|member| member.is_crate() && member.name != TESTKIT);
    let packages = published.flat_map(|member| ["-p", member.name.as_str()]);
    workspace.cargo().args(["package", "--quiet", "--no-verify", "--allow-dirty"]).args(packages).run()
}
