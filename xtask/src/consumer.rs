//! The libraries as a stranger uses them: outside the workspace, one at a time.
//!
//! For each library crate a package is generated whose only dependencies are that crate and, where the example
//! names them, `tempfile` and `tokio`; its program is the crate's `examples/alone.rs`. So a feature that only a
//! sibling or a dev-dependency turned on is missing here, and shows.
//!
//! The packages share one generated workspace with the lock file and the build profiles of ours, and our target
//! directory: third-party crates come in the same versions, and those with the same features are not built again.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::run::{Failure, Result};
use crate::workspace::{Package, TESTKIT, Workspace};

/// What an example may use besides its crate and the standard library.
const HELPERS: &[&str] = &["tempfile", "tokio"];

/// Builds and runs the consumers of the named crates, or of all libraries that are meant for others.
pub(crate) fn run(workspace: &Workspace, names: &[String]) -> Result<()> {
    let dir = workspace.target.join("consumer");
    let libraries: Vec<&Package> = workspace.members.iter().filter(|member| is_for_others(member)).collect();
    let chosen = choose(&libraries, names)?;
    generate(workspace, &dir, &chosen)?;
    for library in chosen {
        workspace
            .cargo()
            .args(["run", "--quiet", "--manifest-path"])
            .arg(dir.join("Cargo.toml"))
            .args(["-p", &package_name(library)])
            .env("CARGO_TARGET_DIR", &workspace.target)
            .run()?;
    }
    Ok(())
}

/// A library under `crates/`, other than the one that only tests use.
fn is_for_others(package: &Package) -> bool {
    package.is_library() && package.name != TESTKIT && package.is_crate()
}

fn choose<'a>(libraries: &[&'a Package], names: &[String]) -> Result<Vec<&'a Package>> {
    if names.is_empty() {
        return Ok(libraries.to_vec());
    }
    let find = |name: &String| {
        let found = libraries.iter().find(|library| library.name == *name).copied();
        found.ok_or_else(|| Failure::new(format!("`{name}` is not a library that others use")))
    };
    names.iter().map(find).collect()
}

fn package_name(library: &Package) -> String {
    format!("{}-alone", library.name)
}

fn generate(workspace: &Workspace, dir: &Path, libraries: &[&Package]) -> Result<()> {
    let manifest = read(&workspace.root.join("Cargo.toml"))?;
    write(&dir.join("Cargo.toml"), &workspace_manifest(libraries, &profiles(&manifest)))?;
    write(&dir.join("Cargo.lock"), &read(&workspace.root.join("Cargo.lock"))?)?;
    for library in libraries {
        let program = library.dir().join("examples").join("alone.rs");
        let source = read(&program)?;
        let package_dir = dir.join(&library.name);
        write(&package_dir.join("Cargo.toml"), &package_manifest(library, &program, &source)?)?;
    }
    Ok(())
}

fn workspace_manifest(libraries: &[&Package], profiles: &str) -> String {
    let members: Vec<_> = libraries.iter().map(|library| format!("{:?}", library.name)).collect();
    format!("[workspace]\nresolver = \"3\"\nmembers = [{}]\n\n{profiles}", members.join(", "))
}

/// The `[profile...]` tables of a manifest, as they stand: with other profiles nothing built could be shared.
fn profiles(manifest: &str) -> String {
    let mut inside = false;
    let mut kept = String::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            inside = line.starts_with("[profile.");
        }
        if inside {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

/// The manifest of the package that runs `program` with nothing but `library` and the helpers it names.
fn package_manifest(library: &Package, program: &Path, source: &str) -> Result<String> {
    let mut manifest = format!(
        "[package]\nname = {name:?}\nversion = \"0.0.0\"\nedition = \"2024\"\npublish = false\n\n\
         [[bin]]\nname = {name:?}\npath = {program:?}\n\n\
         [dependencies]\n{library:?} = {{ path = {dir:?} }}\n",
        name = package_name(library),
        library = library.name,
        dir = library.dir(),
    );
    for helper in HELPERS.iter().filter(|helper| names_crate(source, helper)) {
        manifest.push_str(&helper_dependency(library, helper)?);
    }
    Ok(manifest)
}

/// Whether the program has a path into the crate `name`.
fn names_crate(source: &str, name: &str) -> bool {
    let code = source.lines().filter(|line| !line.trim_start().starts_with("//"));
    code.into_iter().any(|line| line.contains(&format!("{name}::")))
}

/// The helper with the version and the features under which the library's own manifest asks for it.
fn helper_dependency(library: &Package, helper: &str) -> Result<String> {
    let mut version = None;
    let mut features = Vec::new();
    let mut default_features = false;
    for dependency in library.dependencies.iter().filter(|d| d.name == helper) {
        version = Some(&dependency.req);
        default_features |= dependency.uses_default_features;
        features.extend(dependency.features.iter().cloned());
    }
    let Some(version) = version else {
        return Err(Failure::new(format!(
            "{}/examples/alone.rs uses `{helper}`, which its manifest doesn't list",
            library.name
        )));
    };
    features.sort();
    features.dedup();
    let mut line = String::new();
    writeln!(
        line,
        "{helper} = {{ version = {version:?}, default-features = {default_features}, features = {features:?} }}"
    )
    .map_err(|error| Failure::doing("formatting", error))?;
    Ok(line)
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(|error| Failure::doing(format!("reading {}", path.display()), error))
}

/// Writes the file, and its directory, unless it holds that text already.
fn write(path: &Path, text: &str) -> Result<()> {
    if fs::read_to_string(path).is_ok_and(|present| present == text) {
        return Ok(());
    }
    let dir = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(dir)
        .and_then(|()| fs::write(path, text))
        .map_err(|error| Failure::doing(format!("writing {}", path.display()), error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn library(dependencies: serde_json::Value) -> Package {
        serde_json::from_value(serde_json::json!({
            "id": "x", "name": "tsdb-x", "manifest_path": "/ws/crates/tsdb-x/Cargo.toml",
            "dependencies": dependencies, "targets": [{"name": "tsdb_x", "kind": ["lib"]}],
        }))
        .unwrap()
    }

    fn tokio(kind: Option<&str>, features: &[&str]) -> serde_json::Value {
        serde_json::json!({"name": "tokio", "kind": kind, "req": "^1", "features": features, "uses_default_features": false})
    }

    #[test]
    fn only_profiles_are_taken_from_our_manifest() {
        let manifest = "[workspace]\nmembers = []\n[profile.dev]\ndebug = 1\n\n[profile.release]\nlto = true\n[other]\nx = 1\n";
        assert_eq!(profiles(manifest), "[profile.dev]\ndebug = 1\n\n[profile.release]\nlto = true\n");
    }

    #[test]
    fn a_plain_example_gets_its_crate_and_nothing_else() {
        let source = "//! Needs no tokio:: runtime.\nuse tsdb_x::Thing;\n";
        let manifest = package_manifest(&library(serde_json::json!([])), Path::new("/p.rs"), source).unwrap();
        let dependencies = manifest.split_once("[dependencies]\n").unwrap().1;
        assert_eq!(dependencies, "\"tsdb-x\" = { path = \"/ws/crates/tsdb-x\" }\n");
    }

    #[test]
    fn helpers_come_with_the_features_of_the_crate_manifest() {
        let package =
            library(serde_json::json!([tokio(None, &["rt"]), tokio(Some("dev"), &["macros", "rt"])]));
        let manifest = package_manifest(&package, Path::new("/p.rs"), "tokio::spawn(x);").unwrap();
        let last = manifest.lines().last().unwrap();
        assert_eq!(
            last,
            r#"tokio = { version = "^1", default-features = false, features = ["macros", "rt"] }"#
        );
    }

    #[test]
    fn a_helper_that_the_crate_does_not_list_is_refused() {
        let package = library(serde_json::json!([]));
        let failure = package_manifest(&package, Path::new("/p.rs"), "tempfile::tempdir()").unwrap_err();
        assert_eq!(
            failure.to_string(),
            "tsdb-x/examples/alone.rs uses `tempfile`, which its manifest doesn't list"
        );
    }
}
