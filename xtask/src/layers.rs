//! The layers, as a check: a dependency between members must be an arrow that is drawn here, and some third-party
//! crates must not be reachable from the lower layers at all.
//!
//! [`RULES`] is the drawing of `ARCHITECTURE.md` as a table. A new crate or a new arrow goes into both, with a
//! reason in the change. Dev-dependencies follow the same arrows, and may reach `tsdb-testkit` besides.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::run::{Failure, Result};
use crate::workspace::{Node, TESTKIT, Workspace};

/// What one member may use.
struct Rule {
    package: &'static str,
    /// Members it may depend on, as a normal, build or dev-dependency.
    may_use: &'static [&'static str],
    /// Third-party crates it must not reach, however far down: `arrow` also stands for `arrow-array` and the like.
    must_not_reach: &'static [&'static str],
}

const fn rule(
    package: &'static str,
    may_use: &'static [&'static str],
    must_not_reach: &'static [&'static str],
) -> Rule {
    Rule { package, may_use, must_not_reach }
}

/// What belongs to the cold side or to async code.
const COLD_ONLY: &[&str] = &["arrow", "parquet", "object_store", "tokio", "futures"];
/// The core opens no files and maps none, either.
const PURE: &[&str] = &["arrow", "parquet", "object_store", "tokio", "futures", "memmap2", "tempfile"];
/// Every library that tests and benchmarks may look at.
const LIBRARIES: &[&str] = &[
    "tsdb-core",
    "tsdb-vfs",
    "tsdb-text",
    "tsdb-workload",
    TESTKIT,
    "tsdb-schema",
    "tsdb-parquet-io",
    "tsdb-hot",
    "tsdb-cold",
    "tsdb-engine",
    "tsdb-server",
];

const RULES: &[Rule] = &[
    rule("tsdb-core", &[], PURE),
    rule("tsdb-vfs", &[], COLD_ONLY),
    rule("tsdb-schema", &["tsdb-core"], &["parquet", "object_store", "tokio", "memmap2"]),
    rule("tsdb-parquet-io", &["tsdb-schema", "tsdb-core"], &[]),
    rule("tsdb-hot", &["tsdb-vfs", "tsdb-core"], COLD_ONLY),
    rule("tsdb-cold", &["tsdb-parquet-io", "tsdb-schema", "tsdb-vfs", "tsdb-core"], &[]),
    // Of Arrow the engine has the table that a scan gives; of Parquet it knows nothing.
    rule("tsdb-engine", &["tsdb-hot", "tsdb-cold", "tsdb-schema", "tsdb-vfs", "tsdb-core"], &[]),
    // The workload for its tests only.
    rule("tsdb-text", &["tsdb-workload", "tsdb-core"], PURE),
    rule("tsdb-server", &["tsdb-engine", "tsdb-text", "tsdb-core"], &[]),
    rule(
        "tsdb-cli",
        // What opens a store goes by the engine; a Parquet file that belongs to none (`inspect`, `query --file`) does not.
        &[
            "tsdb-server",
            "tsdb-text",
            "tsdb-engine",
            "tsdb-cold",
            "tsdb-parquet-io",
            "tsdb-vfs",
            "tsdb-core",
            "tsdb-workload",
        ],
        &[],
    ),
    // Beside the layers.
    rule("tsdb-workload", &["tsdb-core"], PURE),
    rule(TESTKIT, &["tsdb-core", "tsdb-vfs", "tsdb-workload"], &["arrow", "parquet"]),
    rule("tsdb-tests", LIBRARIES, &[]),
    rule("tsdb-benches", LIBRARIES, &[]),
    rule("xtask", &[], COLD_ONLY),
];

/// Members whose place is beside the crates: they may not be shipped inside one.
const MAY_SHIP_TESTKIT: &[&str] = &["tsdb-tests", "tsdb-benches"];

pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let graph = Graph::of(workspace);
    let violations = violations(RULES, &graph);
    for violation in &violations {
        eprintln!("layers: {violation}");
    }
    if violations.is_empty() {
        eprintln!("layers: {} members, {} arrows, all of them drawn", graph.members.len(), graph.edges.len());
        return Ok(());
    }
    Err(Failure::new(format!(
        "{} dependencies break the layers; the rules and their reasons are in xtask/src/layers.rs and ARCHITECTURE.md",
        violations.len()
    )))
}

/// The part of the dependency graph that the rules speak about.
#[derive(Default)]
struct Graph {
    members: BTreeSet<String>,
    /// Dependencies between members: from, to, and whether it is a dev-dependency.
    edges: BTreeSet<(String, String, bool)>,
    /// For each member and each third-party crate it ships: the way there, member first.
    reached: BTreeMap<String, BTreeMap<String, Vec<String>>>,
}

impl Graph {
    fn of(workspace: &Workspace) -> Self {
        let mut graph = Self::default();
        graph.members.extend(workspace.members.iter().map(|member| member.name.clone()));
        for member in &workspace.members {
            for dependency in member.dependencies.iter().filter(|d| graph.members.contains(&d.name)) {
                graph.edges.insert((member.name.clone(), dependency.name.clone(), dependency.is_dev()));
            }
        }
        let nodes: HashMap<&str, &Node> = workspace.resolved.iter().map(|n| (n.id.as_str(), n)).collect();
        for node in &workspace.resolved {
            let name = &workspace.names[&node.id];
            if graph.members.contains(name) {
                graph.reached.insert(name.clone(), shipped_from(node, &nodes, &workspace.names));
            }
        }
        graph
    }
}

/// Every crate that `start` ships, with the shortest way to it.
fn shipped_from(
    start: &Node,
    nodes: &HashMap<&str, &Node>,
    names: &HashMap<String, String>,
) -> BTreeMap<String, Vec<String>> {
    let mut ways = BTreeMap::new();
    let mut seen = BTreeSet::from([start.id.as_str()]);
    let mut queue = std::collections::VecDeque::from([(start, vec![names[&start.id].clone()])]);
    while let Some((node, way)) = queue.pop_front() {
        for dependency in node.deps.iter().filter(|d| d.is_shipped()) {
            if !seen.insert(&dependency.pkg) {
                continue;
            }
            let name = &names[&dependency.pkg];
            let mut longer = way.clone();
            longer.push(name.clone());
            ways.entry(name.clone()).or_insert_with(|| longer.clone());
            queue.push_back((nodes[dependency.pkg.as_str()], longer));
        }
    }
    ways
}

/// One sentence for each breach.
fn violations(rules: &[Rule], graph: &Graph) -> Vec<String> {
    let mut found = Vec::new();
    for member in &graph.members {
        if !rules.iter().any(|rule| rule.package == member) {
            found.push(format!("`{member}` is in no layer: give it a rule"));
        }
    }
    for rule in rules {
        if graph.members.contains(rule.package) {
            undrawn_edges(rule, graph, &mut found);
            forbidden_crates(rule, graph, &mut found);
        } else {
            found.push(format!("`{}` has a rule but is no member of the workspace", rule.package));
        }
    }
    found
}

fn undrawn_edges(rule: &Rule, graph: &Graph, found: &mut Vec<String>) {
    for (from, to, dev) in graph.edges.iter().filter(|(from, ..)| from == rule.package) {
        if to == TESTKIT {
            if !dev && !MAY_SHIP_TESTKIT.contains(&from.as_str()) {
                found.push(format!("`{from}` ships `{to}`, which is for tests: make it a dev-dependency"));
            }
        } else if !rule.may_use.contains(&to.as_str()) {
            let kind = if *dev { "dev-dependency" } else { "dependency" };
            found.push(format!("`{from}` -> `{to}` ({kind}) is not drawn"));
        }
    }
}

fn forbidden_crates(rule: &Rule, graph: &Graph, found: &mut Vec<String>) {
    let Some(reached) = graph.reached.get(rule.package) else { return };
    for (name, way) in reached {
        let is_of = |family: &&str| {
            name.strip_prefix(*family).is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '_']))
        };
        if rule.must_not_reach.iter().any(is_of) {
            found.push(format!("`{}` must not reach `{name}`: {}", rule.package, way.join(" -> ")));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MADE_UP: &[Rule] = &[
        rule("base", &[], &["arrow"]),
        rule("middle", &["base"], &[]),
        rule("top", &["middle"], &[]),
        rule(TESTKIT, &["base"], &[]),
    ];

    /// Checks `edges` (from, to, dev) against the made-up layers `top -> middle -> base` and the testkit.
    fn check(edges: &[(&str, &str, bool)], expected: &[&str]) {
        let graph = Graph {
            members: ["base", "middle", "top", TESTKIT].map(str::to_owned).into(),
            edges: edges.iter().map(|(from, to, dev)| ((*from).to_owned(), (*to).to_owned(), *dev)).collect(),
            reached: BTreeMap::new(),
        };
        assert_eq!(violations(MADE_UP, &graph), expected);
    }

    #[test]
    fn drawn_edges_pass() {
        check(&[("top", "middle", false), ("middle", "base", false), ("middle", "base", true)], &[]);
    }

    #[test]
    fn an_undrawn_edge_fails_whatever_its_kind() {
        check(&[("base", "top", false)], &["`base` -> `top` (dependency) is not drawn"]);
        check(&[("top", "base", false)], &["`top` -> `base` (dependency) is not drawn"]);
        check(&[("base", "middle", true)], &["`base` -> `middle` (dev-dependency) is not drawn"]);
    }

    #[test]
    fn the_testkit_is_for_tests() {
        check(&[("base", TESTKIT, true), (TESTKIT, "base", false)], &[]);
        check(
            &[("base", TESTKIT, false)],
            &["`base` ships `tsdb-testkit`, which is for tests: make it a dev-dependency"],
        );
    }

    #[test]
    fn each_member_needs_a_rule_and_each_rule_a_member() {
        let graph = Graph { members: ["base", "stray"].map(str::to_owned).into(), ..Graph::default() };
        let found = violations(&[rule("base", &[], &[]), rule("gone", &[], &[])], &graph);
        assert_eq!(
            found,
            ["`stray` is in no layer: give it a rule", "`gone` has a rule but is no member of the workspace"]
        );
    }

    #[test]
    fn a_forbidden_crate_is_found_with_the_way_to_it() {
        let mut graph = Graph { members: BTreeSet::from(["base".to_owned()]), ..Graph::default() };
        let ways = [
            ("arrow-array".to_owned(), ["base", "bytes", "arrow-array"].map(str::to_owned).to_vec()),
            ("arrowhead".to_owned(), ["base", "arrowhead"].map(str::to_owned).to_vec()),
        ];
        graph.reached.insert("base".to_owned(), ways.into());
        let found = violations(&[rule("base", &[], &["arrow"])], &graph);
        assert_eq!(found, ["`base` must not reach `arrow-array`: base -> bytes -> arrow-array"]);
    }

    #[test]
    fn dev_dependencies_are_not_shipped() {
        let node = |id: &str, deps: &[(&str, Option<&str>)]| -> Node {
            let deps: Vec<_> = deps
                .iter()
                .map(|(to, kind)| serde_json::json!({"pkg": to, "dep_kinds": [{"kind": kind}]}))
                .collect();
            serde_json::from_value(serde_json::json!({"id": id, "deps": deps})).unwrap()
        };
        let all = [
            node("a", &[("b", None), ("d", Some("dev"))]),
            node("b", &[("c", Some("build"))]),
            node("c", &[]),
            node("d", &[]),
        ];
        let nodes = all.iter().map(|node| (node.id.as_str(), node)).collect();
        let names = ["a", "b", "c", "d"].iter().map(|n| ((*n).to_owned(), (*n).to_owned())).collect();
        let ways = shipped_from(&all[0], &nodes, &names);
        assert_eq!(
            ways.into_iter().collect::<Vec<_>>(),
            [
                ("b".to_owned(), vec!["a".to_owned(), "b".to_owned()]),
                ("c".to_owned(), vec!["a".to_owned(), "b".to_owned(), "c".to_owned()]),
            ]
        );
    }

    #[test]
    fn nothing_may_use_the_binary_the_tests_or_the_benchmarks() {
        for rule in RULES {
            for leaf in ["tsdb-cli", "tsdb-tests", "tsdb-benches", "xtask"] {
                assert!(!rule.may_use.contains(&leaf), "{} may use {leaf}", rule.package);
            }
        }
    }

    #[test]
    fn hot_and_cold_know_nothing_of_each_other() {
        let may_use = |package: &str| RULES.iter().find(|rule| rule.package == package).unwrap().may_use;
        assert!(!may_use("tsdb-hot").contains(&"tsdb-cold"));
        assert!(!may_use("tsdb-cold").contains(&"tsdb-hot"));
    }
}
