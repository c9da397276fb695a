//! The workspace as `cargo metadata` describes it: members, their targets and dependencies, the resolved graph.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::run::{Cmd, Failure, Result};

/// The package with the benchmark programs.
pub(crate) const BENCHES: &str = "tsdb-benches";
/// The package with the binary.
pub(crate) const CLI: &str = "tsdb-cli";
/// The package with the tests of the whole workspace.
pub(crate) const TESTS: &str = "tsdb-tests";
/// The package whose place is in the tests of the others.
pub(crate) const TESTKIT: &str = "tsdb-testkit";

/// Everything the steps ask about the workspace.
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    pub(crate) target: PathBuf,
    /// The members, a package after all members it depends on.
    pub(crate) members: Vec<Package>,
    /// Every package of the resolved graph by its id, members and others.
    pub(crate) names: HashMap<String, String>,
    /// The licence that each declares, by its id.
    pub(crate) licences: HashMap<String, String>,
    pub(crate) resolved: Vec<Node>,
}

impl Workspace {
    /// Asks cargo. The current directory doesn't matter.
    pub(crate) fn load() -> Result<Self> {
        let manifest_dir =
            std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from("xtask"), PathBuf::from);
        let root = manifest_dir.parent().unwrap_or(Path::new("."));
        let json = Cmd::cargo(root).args(["metadata", "--format-version", "1"]).read()?;
        let metadata: Metadata =
            serde_json::from_str(&json).map_err(|error| Failure::doing("reading `cargo metadata`", error))?;
        Ok(Self::from_metadata(metadata))
    }

    fn from_metadata(metadata: Metadata) -> Self {
        let names = metadata.packages.iter().map(|p| (p.id.clone(), p.name.clone())).collect();
        let licence = |p: &Package| (p.id.clone(), p.license.clone().unwrap_or_default());
        let licences = metadata.packages.iter().map(licence).collect();
        let (members, _others): (Vec<_>, Vec<_>) =
            metadata.packages.into_iter().partition(|p| metadata.workspace_members.contains(&p.id));
        Self {
            root: metadata.workspace_root,
            target: metadata.target_directory,
            members: lowest_first(members),
            names,
            licences,
            resolved: metadata.resolve.nodes,
        }
    }

    pub(crate) fn cargo(&self) -> Cmd {
        Cmd::cargo(&self.root)
    }

    pub(crate) fn member(&self, name: &str) -> Result<&Package> {
        self.members.iter().find(|member| member.name == name).ok_or_else(|| {
            let known: Vec<_> = self.members.iter().map(|member| member.name.as_str()).collect();
            Failure::new(format!("no package `{name}` in the workspace; there are {}", known.join(", ")))
        })
    }
}

/// Orders packages so that each comes after those it depends on, and the crates before what is beside them.
/// Dev-dependencies don't count, for they may lead back.
fn lowest_first(mut packages: Vec<Package>) -> Vec<Package> {
    packages.sort_by(|a, b| (!a.is_crate(), &a.name).cmp(&(!b.is_crate(), &b.name)));
    let mut ordered: Vec<Package> = Vec::with_capacity(packages.len());
    while !packages.is_empty() {
        let ready = packages
            .iter()
            .position(|p| {
                p.dependencies.iter().all(|d| d.is_dev() || !packages.iter().any(|o| o.name == d.name))
            })
            // Cargo refuses cycles of normal dependencies; should it ever not, any order will do.
            .unwrap_or(0);
        ordered.push(packages.remove(ready));
    }
    ordered
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_members: Vec<String>,
    workspace_root: PathBuf,
    target_directory: PathBuf,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
pub(crate) struct Package {
    id: String,
    pub(crate) name: String,
    pub(crate) manifest_path: PathBuf,
    license: Option<String>,
    pub(crate) dependencies: Vec<Dependency>,
    pub(crate) targets: Vec<Target>,
}

impl Package {
    pub(crate) fn dir(&self) -> &Path {
        self.manifest_path.parent().unwrap_or(Path::new("."))
    }

    /// Whether it lies in `crates/`, among those that are meant to be used.
    pub(crate) fn is_crate(&self) -> bool {
        self.dir().parent().is_some_and(|parent| parent.ends_with("crates"))
    }

    /// Names of the targets of one kind: `lib`, `bin`, `example`, `bench`, `test`.
    pub(crate) fn targets_of(&self, kind: &str) -> impl Iterator<Item = &str> {
        self.targets.iter().filter(move |t| t.kind.iter().any(|k| k == kind)).map(|t| t.name.as_str())
    }

    pub(crate) fn is_library(&self) -> bool {
        self.targets_of("lib").next().is_some()
    }
}

/// A dependency as a manifest declares it.
#[derive(Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) kind: Option<String>,
    pub(crate) req: String,
    pub(crate) features: Vec<String>,
    pub(crate) uses_default_features: bool,
}

impl Dependency {
    pub(crate) fn is_dev(&self) -> bool {
        self.kind.as_deref() == Some("dev")
    }
}

#[derive(Deserialize)]
pub(crate) struct Target {
    pub(crate) name: String,
    pub(crate) kind: Vec<String>,
}

/// A package of the resolved graph with the packages it uses.
#[derive(Deserialize)]
pub(crate) struct Node {
    pub(crate) id: String,
    pub(crate) deps: Vec<NodeDep>,
}

#[derive(Deserialize)]
pub(crate) struct NodeDep {
    pub(crate) pkg: String,
    dep_kinds: Vec<DepKind>,
}

impl NodeDep {
    /// Whether the dependency reaches those who use the package: normal or build, not only dev.
    pub(crate) fn is_shipped(&self) -> bool {
        self.dep_kinds.iter().any(|kind| kind.kind.as_deref() != Some("dev"))
    }
}

#[derive(Deserialize)]
struct DepKind {
    kind: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(path: &str, uses: &[(&str, Option<&str>)]) -> Package {
        let (dir, name) = path.split_once('/').unwrap();
        let dependencies = uses
            .iter()
            .map(|(to, kind)| Dependency {
                name: (*to).to_owned(),
                kind: kind.map(str::to_owned),
                req: String::new(),
                features: Vec::new(),
                uses_default_features: true,
            })
            .collect();
        Package {
            id: name.to_owned(),
            name: name.to_owned(),
            manifest_path: PathBuf::from(format!("/ws/{dir}/{name}/Cargo.toml")),
            license: None,
            dependencies,
            targets: Vec::new(),
        }
    }

    #[test]
    fn members_come_after_what_they_use_and_dev_edges_may_lead_back() {
        let packages = vec![
            package("beside/a-tests", &[("a-top", Some("dev"))]),
            package("crates/a-top", &[("middle", None), ("serde", None)]),
            package("crates/kit", &[("z-base", None)]),
            package("crates/middle", &[("z-base", None), ("kit", Some("dev"))]),
            package("crates/z-base", &[("kit", Some("dev"))]),
        ];
        let names: Vec<_> = lowest_first(packages).into_iter().map(|p| p.name).collect();
        assert_eq!(names, ["z-base", "kit", "middle", "a-top", "a-tests"]);
    }
}
