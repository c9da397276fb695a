//! A measured process: how parent and child speak.
//!
//! The child is the same program, called as `NAME child ROLE DIR COUNT` with the benchmark's name. It prints one line, an
//! object of names and numbers. A number that this machine cannot give is left out.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::report::median;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// What a child measured, by name.
pub(crate) type Numbers = BTreeMap<String, f64>;

/// Is the child: gives the numbers of `of` for the arguments `ROLE DIR COUNT`.
pub(crate) fn run(args: &[String], of: impl FnOnce(&str, &Path, u64) -> Result<Numbers>) -> Result<()> {
    let [role, dir, count] = args else { return Err("usage: child ROLE DIR COUNT".into()) };
    let numbers = of(role, Path::new(dir), count.parse()?)?;
    println!("{}", serde_json::to_string(&numbers)?);
    Ok(())
}

/// Runs a child to its end.
pub(crate) fn call(role: &str, dir: &Path, count: u64) -> Result<Numbers> {
    let mut command = Command::new(std::env::current_exe()?);
    let name = std::env::args().nth(1).unwrap_or_default();
    numbers_of(command.args([name.as_str(), "child", role]).arg(dir).arg(count.to_string()))
        .map_err(|error| format!("the child `{role}`: {error}").into())
}

/// Runs a program that prints numbers as a child does.
pub(crate) fn numbers_of(command: &mut Command) -> Result<Numbers> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("ended with {}", output.status).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// The median of each number over the rounds.
pub(crate) fn medians(rounds: &[Numbers]) -> Numbers {
    let mut columns: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for (name, number) in rounds.iter().flatten() {
        columns.entry(name).or_default().push(*number);
    }
    columns.into_iter().map(|(name, numbers)| (name.to_owned(), median(numbers))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_are_by_name_and_a_missing_number_is_no_zero() {
        let round = |pairs: &[(&str, f64)]| -> Numbers {
            pairs.iter().map(|(name, number)| ((*name).to_owned(), *number)).collect()
        };
        let rounds = [round(&[("a", 1.0), ("b", 5.0)]), round(&[("a", 3.0)]), round(&[("a", 2.0)])];
        assert_eq!(medians(&rounds), round(&[("a", 2.0), ("b", 5.0)]));
    }
}
