//! The series index by itself: any series, any matchers, against what the label sets say; any memory budget.

use std::collections::BTreeSet;

use proptest::prelude::*;
use tsdb_core::{Labels, MatchOp, Matcher, Postings, TimeRange};
use tsdb_parquet_io::*;
use tsdb_testkit::strategies;

/// A series as it goes into the index, with where its rows must then be.
#[derive(Clone, Debug)]
struct Known {
    labels: Labels,
    rows: SeriesRows,
}

/// A file of these label sets: rows, times and kinds vary from series to series.
fn known(sets: &BTreeSet<Labels>) -> Vec<Known> {
    let mut row = 0;
    let series = sets.iter().enumerate().map(|(ordinal, labels)| {
        let mixed = (ordinal as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let first_row = row;
        row += 1 + mixed % 5;
        let start_ms = if mixed.is_multiple_of(11) { -5_000 } else { (mixed >> 40) as i64 % 9_000 };
        Known {
            labels: labels.clone(),
            rows: SeriesRows {
                ordinal: ordinal as u32,
                rows: first_row..row,
                time_range: TimeRange::new(start_ms, start_ms + (mixed >> 8) as i64 % 3_000),
                has_floats: !mixed.is_multiple_of(3),
                has_histograms: mixed % 3 < 2,
            },
        }
    });
    series.collect()
}

/// The region of an index and what a reader has of it.
struct Built {
    region: Vec<u8>,
    pointer: IndexPointer,
    directory: Directory,
}

const REGION_OFFSET: u64 = 1_000;

fn build(series: &[Known], memory_budget_bytes: usize) -> Built {
    let mut builder = SeriesIndexBuilder::with_spill(memory_budget_bytes, Box::new(MemorySpill::default()));
    for Known { labels, rows } in series {
        let SeriesRows { rows, time_range, has_floats, has_histograms, .. } = rows.clone();
        let rows = rows.end - rows.start;
        builder.push(&SeriesEntry { labels, rows, time_range, has_floats, has_histograms }).unwrap();
    }
    let mut region = Vec::new();
    let pointer = builder.finish(REGION_OFFSET, &row_groups(series), &mut region).unwrap().pointer;
    assert_eq!(pointer.length, region.len() as u64);
    assert_eq!(IndexPointer::parse(&pointer.to_value()), Some(pointer));
    assert!(region.starts_with(b"TSIX"));
    let directory = Directory::decode(bytes(&region, pointer.directory().unwrap()), &pointer).unwrap();
    Built { region, pointer, directory }
}

fn row_groups(series: &[Known]) -> Vec<RowGroupPages> {
    let rows = series.last().map_or(0, |last| last.rows.rows.end);
    let location = |n: u64| PageLocation { offset: 4 + n * 50, length: 50, hash: n };
    let group = |rows: u64, n: u64| {
        let data = (0..rows).step_by(7).map(|row| DataPage { location: location(n + row), first_row: row });
        let dictionary = n.is_multiple_of(2).then(|| location(n));
        RowGroupPages { rows, columns: vec![ColumnPages { dictionary, data: data.collect() }; 2] }
    };
    if rows < 10 { Vec::new() } else { vec![group(rows - 9, 0), group(9, 101)] }
}

fn bytes(region: &[u8], range: std::ops::Range<u64>) -> &[u8] {
    &region[(range.start - REGION_OFFSET) as usize..(range.end - REGION_OFFSET) as usize]
}

/// How the blocks come that a lookup needs.
#[derive(Clone, Copy, Debug)]
enum Feed {
    All,
    /// Only the last one, however many were asked for.
    LastOnly,
}

impl Built {
    fn block(&self, id: BlockId) -> IndexResult<Block> {
        let range = self.directory.block(id).expect("a block that is asked for").range();
        Block::decode(bytes(&self.region, range), id, &self.directory)
    }

    /// The answer, and how many blocks it took.
    fn answer<L: BlockLookup>(&self, mut lookup: L, feed: Feed) -> IndexResult<(L::Answer, usize)> {
        let mut fed = 0;
        loop {
            match lookup.step()? {
                Step::Done(answer) => return Ok((answer, fed)),
                Step::Need(blocks) => {
                    assert!(
                        blocks.is_sorted_by(|a, b| a < b) && (1..=16).contains(&blocks.len()),
                        "{blocks:?}"
                    );
                    let skipped = if matches!(feed, Feed::LastOnly) { blocks.len() - 1 } else { 0 };
                    for id in blocks.into_iter().skip(skipped) {
                        lookup.supply(self.block(id)?);
                        fed += 1;
                    }
                    assert!(fed < 100_000, "a lookup that does not end");
                }
            }
        }
    }

    fn select(&self, matchers: &[Matcher]) -> Postings {
        let selection = Selection::new(&self.directory, matchers);
        self.answer(selection, Feed::All).unwrap().0
    }
}

/// Asks for the series of these matchers and everything that is known of them, and compares with the label sets.
fn check(built: &Built, series: &[Known], matchers: &[Matcher], feed: Feed) {
    let directory = &built.directory;
    let expected: Vec<&Known> =
        series.iter().filter(|series| Matcher::all_match(matchers, &series.labels)).collect();
    let (selected, _) = built.answer(Selection::new(directory, matchers), feed).unwrap();
    assert_eq!(
        selected.iter().collect::<Vec<_>>(),
        expected.iter().map(|series| series.rows.ordinal).collect::<Vec<_>>(),
        "{matchers:?}"
    );

    let range = TimeRange::new(0, 4_000);
    let in_range = || expected.iter().filter(|series| series.rows.time_range.overlaps(range));
    let (rows, _) = built.answer(RowsLookup::new(directory, &selected, range), feed).unwrap();
    assert_eq!(rows, in_range().map(|series| series.rows.clone()).collect::<Vec<_>>());
    let (resolved, _) = built.answer(SeriesLookup::new(directory, &selected, range), feed).unwrap();
    assert_eq!(resolved.len(), rows.len());
    for (resolved, expected) in resolved.iter().zip(in_range()) {
        assert_eq!((&resolved.labels, &resolved.rows), (&expected.labels, &expected.rows));
    }

    let names: BTreeSet<&str> = expected.iter().flat_map(|s| s.labels.iter().map(|(name, _)| name)).collect();
    let (found, _) = built.answer(LabelNamesLookup::new(directory, &selected), feed).unwrap();
    assert_eq!(found, names.iter().copied().collect::<Vec<_>>());
    for name in names.into_iter().chain(["no such label"]) {
        let values: BTreeSet<&str> = expected.iter().filter_map(|series| series.labels.get(name)).collect();
        let lookup = LabelValuesLookup::new(directory, name, Some(&selected));
        assert_eq!(built.answer(lookup, feed).unwrap().0, values.into_iter().collect::<Vec<_>>());
        let values: BTreeSet<&str> = series.iter().filter_map(|series| series.labels.get(name)).collect();
        let lookup = LabelValuesLookup::new(directory, name, None);
        assert_eq!(built.answer(lookup, feed).unwrap().0, values.into_iter().collect::<Vec<_>>());
    }
}

fn check_directory(built: &Built, series: &[Known]) {
    let directory = &built.directory;
    assert_eq!(directory.series() as usize, series.len());
    assert_eq!(directory.rows(), series.last().map_or(0, |last| last.rows.rows.end));
    let hull = series.iter().fold(TimeRange::EMPTY, |hull, series| hull.hull(series.rows.time_range));
    assert_eq!(directory.time_range(), hull);
    let names: BTreeSet<&str> = series.iter().flat_map(|s| s.labels.iter().map(|(name, _)| name)).collect();
    assert_eq!(
        directory.labels().iter().map(|label| &*label.name).collect::<Vec<_>>(),
        Vec::from_iter(names)
    );
    for label in directory.labels() {
        let having: Vec<&str> = series.iter().filter_map(|series| series.labels.get(&label.name)).collect();
        assert_eq!(label.series as usize, having.len());
        assert_eq!(label.values as usize, having.iter().collect::<BTreeSet<_>>().len());
    }
    let groups = row_groups(series);
    assert_eq!(directory.row_groups() as usize, groups.len());
    for (number, group) in groups.iter().enumerate() {
        let id = directory.page_table_of(number as u32).unwrap();
        let Block::Pages(pages) = built.block(id).unwrap() else { panic!("no page table") };
        assert_eq!(pages.pages(), group);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn any_series_are_found_by_any_matchers_whatever_the_budget(
        (sets, matchers) in strategies::distinct_label_sets(1..60).prop_flat_map(|sets| {
            let matchers = proptest::collection::vec(strategies::matchers_for(&sets), 1..6);
            (Just(sets), matchers)
        }),
        budget in 0..20_000_usize,
    ) {
        let series = known(&sets.into_iter().collect());
        let built = build(&series, usize::MAX);
        for budget in [0, budget] {
            prop_assert!(build(&series, budget).region == built.region, "other bytes with a budget of {budget}");
        }
        check_directory(&built, &series);
        for matchers in matchers {
            for feed in [Feed::All, Feed::LastOnly] {
                check(&built, &series, &matchers, feed);
            }
        }
    }
}

/// Series with a unique label that some lack, one with few values that come again and again, and a rare one.
fn many(count: u64) -> Vec<Known> {
    let sets = (0..count).map(|i| {
        let mixed = i.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut pairs = vec![
            ("__name__", format!("metric_{}", i % 50)),
            ("instance", format!("10.0.{}.{}:9090", mixed >> 60, mixed >> 52 & 0xff)),
        ];
        if mixed % 10 > 0 {
            pairs.push(("request_id", format!("{mixed:016x}{i:016x}")));
        } else {
            pairs.push(("number", i.to_string()));
        }
        if i % 10_007 == 0 {
            pairs.push(("rare", "é".repeat(1 + i as usize % 300)));
        }
        Labels::from_pairs(pairs).unwrap()
    });
    known(&sets.collect())
}

#[test]
fn many_series_take_many_blocks_and_few_are_read() {
    let series = many(120_000);
    let built = build(&series, DEFAULT_INDEX_MEMORY_BYTES);
    assert!(build(&series, 1 << 20).region == built.region, "other bytes with another budget");
    check_directory(&built, &series);
    let equal = Matcher::equal;
    let matcher = |op, name, value| Matcher::new(op, name, value).unwrap();
    let pick = |n: usize| series.iter().filter_map(|s| s.labels.get("request_id")).nth(n).unwrap();
    let cases = [
        (vec![equal("request_id", pick(77))], 1),
        (vec![equal("request_id", pick(90_000)), equal("__name__", "metric_3")], 2),
        (vec![equal("request_id", "no such")], 1),
        (vec![equal("no such", "x")], 0),
        (vec![], 0),
        // All have it: the directory knows.
        (vec![matcher(MatchOp::Regex, "instance", ".+")], 0),
        // Not all have it: the set is in a shared block.
        (vec![matcher(MatchOp::NotEqual, "request_id", "")], 1),
        (vec![equal("request_id", "")], 1),
        (vec![equal("rare", "é"), matcher(MatchOp::Regex, "request_id", ".*a.*")], 3),
        (vec![matcher(MatchOp::Regex, "request_id", "ab.*")], 2),
    ];
    for (matchers, blocks) in cases {
        let (_, read) = built.answer(Selection::new(&built.directory, &matchers), Feed::All).unwrap();
        assert!(read <= blocks, "{read} blocks read for {matchers:?}");
        check(&built, &series, &matchers, Feed::All);
    }
    let values: Vec<&str> = (0..200).map(|n| pick(n * 500)).collect();
    for matchers in [
        vec![matcher(MatchOp::Regex, "request_id", ".*7[0-4].*"), equal("__name__", "metric_9")],
        vec![matcher(MatchOp::Regex, "request_id", &values.join("|"))],
        vec![matcher(MatchOp::NotRegex, "request_id", &values.join("|")), equal("rare", "")],
        vec![matcher(MatchOp::NotRegex, "request_id", ".*[02468]")],
    ] {
        check(&built, &series, &matchers, Feed::All);
        let selection = Selection::new(&built.directory, &matchers);
        assert_eq!(built.answer(selection, Feed::LastOnly).unwrap().0, built.select(&matchers));
    }
}

#[test]
fn a_value_longer_than_a_block_has_one_of_its_own() {
    let sets = (0..300).map(|i| {
        let long = if i % 100 == 0 { "x".repeat(300_000) } else { "long/".repeat(3_000) };
        Labels::from_pairs([("path", format!("{long}{i}"))]).unwrap()
    });
    let series = known(&sets.collect());
    let built = build(&series, usize::MAX);
    check_directory(&built, &series);
    for n in [0, 5, 150, 299] {
        check(&built, &series, &[Matcher::equal("path", series[n].labels.get("path").unwrap())], Feed::All);
    }
    check(&built, &series, &[Matcher::new(MatchOp::Regex, "path", "x.*").unwrap()], Feed::LastOnly);
}

#[test]
fn an_index_of_nothing_answers() {
    let built = build(&[], 0);
    check_directory(&built, &[]);
    check(&built, &[], &[Matcher::equal("a", "b")], Feed::All);
}

#[test]
fn no_flipped_byte_and_no_truncation_goes_unnoticed() {
    let series = many(40);
    let Built { region, pointer, directory } = build(&series, usize::MAX);
    let intact = |region: &[u8]| -> IndexResult<()> {
        let range = pointer.directory()?;
        let range = (range.start - REGION_OFFSET) as usize..(range.end - REGION_OFFSET) as usize;
        let read = Directory::decode(region.get(range).unwrap_or_default(), &pointer)?;
        assert_eq!(read, directory);
        for block in directory.blocks() {
            let range = (block.offset - REGION_OFFSET) as usize..(block.range().end - REGION_OFFSET) as usize;
            Block::decode(region.get(range).unwrap_or_default(), block.id, &directory)?;
        }
        Ok(())
    };
    intact(&region).unwrap();
    for at in 0..region.len() {
        for bit in 0..8 {
            let mut flipped = region.clone();
            flipped[at] ^= 1 << bit;
            // The version is in the pointer, too.
            let noticed =
                if at < 8 { at >= 4 || !flipped.starts_with(b"TSIX") } else { intact(&flipped).is_err() };
            assert!(noticed, "bit {bit} of byte {at}");
        }
        let error = intact(&region[..at]).unwrap_err();
        assert!(matches!(error, IndexError::Damaged { offset, .. } if offset >= REGION_OFFSET), "{error}");
    }
    let newer = IndexPointer { version: 2, ..pointer };
    let stored = &region[region.len() - pointer.directory_length as usize..];
    assert!(matches!(
        Directory::decode(stored, &newer),
        Err(IndexError::UnsupportedVersion { found: 2, .. })
    ));
}

#[test]
fn row_groups_must_have_the_rows_of_the_series() {
    let series = known(&[Labels::from_pairs([("a", "b")]).unwrap()].into());
    let mut builder = SeriesIndexBuilder::new();
    let SeriesRows { time_range, .. } = series[0].rows;
    let entry = SeriesEntry {
        labels: &series[0].labels,
        rows: 5,
        time_range,
        has_floats: true,
        has_histograms: false,
    };
    builder.push(&entry).unwrap();
    let groups = [RowGroupPages { rows: 6, columns: Vec::new() }];
    let error = builder.finish(0, &groups, &mut Vec::new()).unwrap_err();
    assert!(matches!(error, IndexError::InvalidInput(_)), "{error}");
}

#[test]
fn pages_must_follow_each_other() {
    let series = many(4);
    let sound = row_groups(&series);
    let finish = |groups: &[RowGroupPages]| {
        let mut builder = SeriesIndexBuilder::new();
        for Known { labels, rows } in &series {
            let SeriesRows { rows, time_range, has_floats, has_histograms, .. } = rows.clone();
            let rows = rows.end - rows.start;
            builder.push(&SeriesEntry { labels, rows, time_range, has_floats, has_histograms }).unwrap();
        }
        builder.finish(4, groups, &mut Vec::new())
    };
    finish(&sound).unwrap();
    let last = sound.len() - 1;
    let damages: [fn(&mut DataPage); 3] =
        [|page| page.first_row = 1, |page| page.first_row = 1 << 40, |page| page.location.offset = u64::MAX];
    for damage in damages {
        let mut groups = sound.clone();
        damage(&mut groups[last].columns[1].data[0]);
        assert!(matches!(finish(&groups), Err(IndexError::InvalidInput(_))));
    }
}

/// A spill of which one call fails.
#[derive(Debug, Default)]
struct FailingSpill {
    inner: MemorySpill,
    /// Calls until then.
    left: usize,
}

impl FailingSpill {
    fn call(&mut self) -> std::io::Result<()> {
        self.left = self.left.checked_sub(1).ok_or(std::io::ErrorKind::StorageFull)?;
        Ok(())
    }
}

impl Spill for FailingSpill {
    fn append(&mut self, bytes: &[u8]) -> std::io::Result<std::ops::Range<u64>> {
        self.call()?;
        self.inner.append(bytes)
    }

    fn read(&mut self, range: std::ops::Range<u64>, into: &mut Vec<u8>) -> std::io::Result<()> {
        self.call()?;
        self.inner.read(range, into)
    }
}

#[test]
fn a_spill_that_fails_is_an_error_whenever_it_does() {
    let series = many(300);
    let mut calls = 0;
    loop {
        let spill = FailingSpill { left: calls, ..FailingSpill::default() };
        let mut builder = SeriesIndexBuilder::with_spill(10_000, Box::new(spill));
        let pushed = series.iter().try_for_each(|Known { labels, rows }| {
            let SeriesRows { rows, time_range, has_floats, has_histograms, .. } = rows.clone();
            let rows = rows.end - rows.start;
            builder.push(&SeriesEntry { labels, rows, time_range, has_floats, has_histograms })
        });
        match pushed.and_then(|()| builder.finish(4, &[], &mut Vec::new())) {
            Ok(_) => break,
            Err(IndexError::Io(error)) => assert_eq!(error.kind(), std::io::ErrorKind::StorageFull),
            Err(other) => panic!("call {calls}: {other}"),
        }
        calls += 1;
    }
    assert!(calls > 10, "{calls} calls");
}
