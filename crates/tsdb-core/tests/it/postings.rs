//! Postings against ordered sets, and `select` over an index against looking at every series.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use tsdb_core::{LabelIndex, Labels, Matcher, Postings, parse_selector, select};
use tsdb_testkit::strategies;

/// Sets of every form: a few ordinals, dozens, dense ranges, and everything scattered.
fn ordinals() -> impl Strategy<Value = BTreeSet<u32>> {
    prop_oneof![
        btree_set(0..10_u32, 0..5),
        btree_set(0..200_u32, 0..90),
        btree_set(any::<u32>(), 0..200),
        (0..70_000_u32, 0..3_000_u32).prop_map(|(first, count)| (first..first + count).collect()),
        (1..90_u32, 0..700_u32).prop_map(|(step, count)| (0..count).map(|i| i * step).collect()),
    ]
}

fn check(postings: &Postings, expected: &BTreeSet<u32>) -> Result<(), TestCaseError> {
    prop_assert_eq!(postings.iter().collect::<Vec<_>>(), expected.iter().copied().collect::<Vec<_>>());
    prop_assert_eq!(postings.len(), expected.len());
    prop_assert_eq!(postings.iter().len(), expected.len());
    prop_assert_eq!(postings.is_empty(), expected.is_empty());
    prop_assert_eq!(postings, &expected.iter().copied().collect::<Postings>());
    prop_assert!(expected.iter().all(|&ordinal| postings.contains(ordinal)));
    prop_assert!(postings.len() > 3 || postings.heap_bytes() == 0);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn algebra_is_that_of_sets(a in ordinals(), b in ordinals()) {
        let of = |set: &BTreeSet<u32>| set.iter().copied().collect::<Postings>();
        let both: [(fn(&mut Postings, &Postings), BTreeSet<u32>); 3] = [
            (Postings::intersect, &a & &b),
            (Postings::union, &a | &b),
            (Postings::subtract, &a - &b),
        ];
        for (operation, expected) in both {
            let mut result = of(&a);
            operation(&mut result, &of(&b));
            check(&result, &expected)?;
        }
        prop_assert_eq!(of(&a) == of(&b), a == b);
    }

    #[test]
    fn inserts_and_removes_in_any_order(
        start in ordinals(),
        steps in vec((any::<bool>(), 0..300_u32), 0..400),
    ) {
        let mut postings: Postings = start.iter().copied().collect();
        let mut expected = start;
        for (insert, ordinal) in steps {
            if insert {
                prop_assert_eq!(postings.insert(ordinal), expected.insert(ordinal));
            } else {
                prop_assert_eq!(postings.remove(ordinal), expected.remove(&ordinal));
            }
            prop_assert_eq!(postings.contains(ordinal), insert);
        }
        check(&postings, &expected)?;
    }

    #[test]
    fn select_is_looking_at_every_series(
        (sets, matchers) in strategies::distinct_label_sets(1..40)
            .prop_flat_map(|sets| { let matchers = strategies::matchers_for(&sets); (Just(sets), matchers) })
    ) {
        let index = Index::new(&sets);
        let expected: Vec<u32> = (0..sets.len() as u32)
            .filter(|&series| Matcher::all_match(&matchers, &sets[series as usize]))
            .collect();
        let found = select(&index, &matchers).unwrap();
        prop_assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{:?}", matchers);
    }
}

/// The plainest index there can be; counts what it is asked.
#[derive(Default)]
struct Index {
    series: u32,
    values: BTreeMap<(String, String), Postings>,
    scanned: Cell<usize>,
    started_from_all: Cell<usize>,
}

impl Index {
    fn new(sets: &[Labels]) -> Self {
        let mut index = Self { series: sets.len() as u32, ..Self::default() };
        for (series, labels) in sets.iter().enumerate() {
            for (name, value) in labels.iter() {
                index.values.entry((name.into(), value.into())).or_default().insert(series as u32);
            }
        }
        index
    }
}

impl LabelIndex for Index {
    type Error = Infallible;

    fn all(&self) -> Result<Postings, Infallible> {
        self.started_from_all.set(self.started_from_all.get() + 1);
        Ok(Postings::all(self.series))
    }

    fn postings(&self, name: &str, value: &str) -> Result<Postings, Infallible> {
        assert!(!value.is_empty(), "an index has no empty values");
        Ok(self.values.get(&(name.into(), value.into())).cloned().unwrap_or_default())
    }

    fn postings_matching(
        &self,
        name: &str,
        prefix: &str,
        test: &mut dyn FnMut(&str) -> bool,
    ) -> Result<Postings, Infallible> {
        let mut union = Postings::new();
        for ((_, value), postings) in self.values.iter().filter(|((other, _), _)| other == name) {
            if value.starts_with(prefix) {
                self.scanned.set(self.scanned.get() + 1);
                if test(value) {
                    union.union(postings);
                }
            }
        }
        Ok(union)
    }
}

/// A hundred series: `id` unique, `job` one of four, `zone` on every second.
fn hundred() -> Index {
    let sets: Vec<Labels> = (0..100)
        .map(|i| {
            let (id, job) = (format!("id-{i:03}"), format!("job{}", i % 4));
            let zone = if i % 2 == 0 { "z" } else { "" };
            Labels::from_pairs([("id", id.as_str()), ("job", &job), ("zone", zone)]).unwrap()
        })
        .collect();
    Index::new(&sets)
}

#[test]
fn only_subtracting_matchers_start_from_all() {
    for (selector, from_all, count) in [
        ("{}", 1, 100),
        (r#"{job!="job0"}"#, 1, 75),
        (r#"{zone=""}"#, 1, 50),
        (r#"{zone=~".*"}"#, 1, 100),
        (r#"{zone!="",job!="job0"}"#, 0, 25),
        (r#"{job="job1",zone=""}"#, 0, 25),
        (r#"{job=~"job1|job2",id!~"id-00.*"}"#, 0, 45),
        (r#"{zone=~".+"}"#, 0, 50),
        (r#"{zone!~".+"}"#, 1, 50),
        (r#"{job!~"job[0-9]"}"#, 1, 0),
    ] {
        let index = hundred();
        let found = select(&index, &parse_selector(selector).unwrap()).unwrap();
        assert_eq!((found.len(), index.started_from_all.get()), (count, from_all), "{selector}");
    }
}

#[test]
fn an_empty_intersection_ends_the_work_before_any_scan() {
    for (selector, scanned) in [
        (r#"{id=~".*7",job="absent"}"#, 0),
        (r#"{id!~".*7",job="job1",zone="z"}"#, 0),
        (r#"{id=~"id-00.*",job="job1"}"#, 10),
        (r#"{id=~".*7",job="job1"}"#, 100),
    ] {
        let index = hundred();
        select(&index, &parse_selector(selector).unwrap()).unwrap();
        assert_eq!(index.scanned.get(), scanned, "{selector}");
    }
}
