//! Matchers over an index: which series does a list of matchers select?
//!
//! Of each matcher the *pattern* (the matcher without its negation) gives P, the series with a non-empty
//! value that the pattern matches; H are the series that have the label at all. Since a missing label equals
//! `""`, a matcher is one of four set operations:
//!
//! | matcher            | pattern does not match `""` | pattern matches `""` |
//! |--------------------|-----------------------------|----------------------|
//! | `=`, `=~`          | intersect with P            | subtract H − P       |
//! | `!=`, `!~`         | subtract P                  | intersect with H − P |
//!
//! Only subtracting matchers start from all series. Cheap lookups run first and the smallest set goes first
//! into the intersection, so that an empty result ends the work before any regex runs over many values. When
//! few series are left, an index may look at their labels instead ([`LabelIndex::retain_series`]).

use crate::matcher::Candidates;
use crate::{Matcher, Postings};

/// A place that keeps label values with their postings, and can answer for them.
pub trait LabelIndex {
    /// Why a lookup can fail (damage, I/O).
    type Error;

    /// Every series.
    ///
    /// # Errors
    /// When the index cannot be read.
    fn all(&self) -> Result<Postings, Self::Error>;

    /// The series whose label `name` has exactly `value` (never empty).
    ///
    /// # Errors
    /// When the index cannot be read.
    fn postings(&self, name: &str, value: &str) -> Result<Postings, Self::Error>;

    /// The union over those values of label `name` that start with `prefix` and pass `test`.
    ///
    /// # Errors
    /// When the index cannot be read.
    fn postings_matching(
        &self,
        name: &str,
        prefix: &str,
        test: &mut dyn FnMut(&str) -> bool,
    ) -> Result<Postings, Self::Error>;

    /// The series that have the label `name`. An index that keeps this set overrides it.
    ///
    /// # Errors
    /// When the index cannot be read.
    fn postings_having(&self, name: &str) -> Result<Postings, Self::Error> {
        self.postings_matching(name, "", &mut |_| true)
    }

    /// Looks at the label `name` of each of `series`, where that is cheaper than going through the label's
    /// values: keeps those whose value (`""` without the label) passes `test`, and returns true. Otherwise
    /// returns false and has done nothing, which is all that an index without a way from series to labels can do.
    ///
    /// # Errors
    /// When the index cannot be read.
    fn retain_series(
        &self,
        series: &mut Postings,
        name: &str,
        test: &mut dyn FnMut(&str) -> bool,
    ) -> Result<bool, Self::Error> {
        let _ = (series, name, test);
        Ok(false)
    }
}

/// The series that satisfy all `matchers`; an empty list selects everything.
///
/// # Errors
/// Those of the index.
pub fn select<I: LabelIndex>(index: &I, matchers: &[Matcher]) -> Result<Postings, I::Error> {
    let mut plan: Vec<Step<'_>> =
        matchers.iter().filter(|matcher| !matcher.matches_everything()).map(Step::new).collect();
    plan.sort_by_key(|step| (step.subtracts, step.cost));
    let lookups = plan.iter().take_while(|step| !step.subtracts && step.cost <= Cost::Having).count();
    let (lookups, rest) = plan.split_at_mut(lookups);

    let mut selected = intersect_smallest_first(index, lookups)?;
    if selected.is_some() {
        rest.sort_by_key(|step| step.cost);
    }
    for step in rest {
        match &mut selected {
            Some(selected) if selected.is_empty() => break,
            Some(selected) => step.apply(index, selected)?,
            None if step.subtracts => {
                let mut all = index.all()?;
                all.subtract(&step.series(index)?);
                selected = Some(all);
            }
            None => selected = Some(step.series(index)?),
        }
    }
    selected.map_or_else(|| index.all(), Ok)
}

/// The intersection of the steps' series, `None` for no steps.
fn intersect_smallest_first<I: LabelIndex>(
    index: &I,
    steps: &[Step<'_>],
) -> Result<Option<Postings>, I::Error> {
    let mut sets = Vec::with_capacity(steps.len());
    for step in steps {
        let series = step.series(index)?;
        if series.is_empty() {
            return Ok(Some(series));
        }
        sets.push(series);
    }
    sets.sort_by_key(Postings::len);
    Ok(sets.into_iter().reduce(|mut smallest, set| {
        smallest.intersect(&set);
        smallest
    }))
}

/// What finding a step's series takes, cheapest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Cost {
    /// One lookup for each literal.
    Lookups,
    /// The set of all series that have the label, less a few lookups.
    Having,
    /// A run of values.
    Prefix,
    /// Every value of the label.
    Scan,
}

/// One matcher as a set operation.
struct Step<'a> {
    matcher: &'a Matcher,
    negated: bool,
    /// The step's series are H − P rather than P.
    complement: bool,
    subtracts: bool,
    cost: Cost,
}

impl<'a> Step<'a> {
    fn new(matcher: &'a Matcher) -> Self {
        let negated = matcher.op().is_negated();
        let subtracts = matcher.matches_empty();
        let complement = negated != subtracts;
        let cost = match matcher.candidates() {
            Candidates::Literals(_) if complement => Cost::Having,
            Candidates::Literals(_) => Cost::Lookups,
            _ if is_any_value(matcher) => Cost::Having,
            Candidates::Prefix(_) if !complement => Cost::Prefix,
            _ => Cost::Scan,
        };
        Self { matcher, negated, complement, subtracts, cost }
    }

    /// Whether the matcher's pattern, not negated, matches `value`.
    fn pattern_matches(&self, value: &str) -> bool {
        self.matcher.matches(value) != self.negated
    }

    /// Leaves of `selected` what the matcher accepts.
    fn apply<I: LabelIndex>(&self, index: &I, selected: &mut Postings) -> Result<(), I::Error> {
        let test = &mut |value: &str| self.matcher.matches(value);
        if self.cost >= Cost::Prefix && index.retain_series(selected, self.matcher.name(), test)? {
            return Ok(());
        }
        let series = self.series(index)?;
        if self.subtracts {
            selected.subtract(&series);
        } else {
            selected.intersect(&series);
        }
        Ok(())
    }

    /// P, or H − P for a complement.
    fn series<I: LabelIndex>(&self, index: &I) -> Result<Postings, I::Error> {
        let name = self.matcher.name();
        match self.matcher.candidates() {
            Candidates::Literals(values) => {
                let mut found = Postings::new();
                for value in values.iter().filter(|value| !value.is_empty()) {
                    found.union(&index.postings(name, value)?);
                }
                if self.complement {
                    let mut having = index.postings_having(name)?;
                    having.subtract(&found);
                    found = having;
                }
                Ok(found)
            }
            _ if is_any_value(self.matcher) => index.postings_having(name),
            Candidates::Prefix(prefix) if !self.complement => {
                index.postings_matching(name, prefix, &mut |value| self.pattern_matches(value))
            }
            _ => {
                let wanted = !self.complement;
                index.postings_matching(name, "", &mut |value| self.pattern_matches(value) == wanted)
            }
        }
    }
}

/// Whether the pattern is the one way in which "has the label" is usually written; others are found by looking.
fn is_any_value(matcher: &Matcher) -> bool {
    matcher.op().is_regex() && matcher.value() == ".+"
}
