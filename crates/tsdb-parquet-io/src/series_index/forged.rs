//! Indexes whose blocks were damaged and given a right checksum again: an error or some answer, never a panic.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use tsdb_core::{Labels, MatchOp, Matcher, Postings, TimeRange};
use xxhash_rust::xxh3::xxh3_64;

use super::bytes::Place;
use super::frame::{Compressor, decompress};
use super::*;

const PLACE: Place = Place { block: BlockKind::Region, offset: 0 };

/// An index with every kind of block, and labels that are everywhere, nowhere in some series, and unique.
fn index(series: u32) -> (Vec<u8>, IndexPointer) {
    let mut builder = SeriesIndexBuilder::new();
    let mut sets: Vec<Labels> = (0..series)
        .map(|i| {
            let id = if i % 7 == 0 {
                String::new()
            } else {
                format!("{:032x}", u128::from(i) << 90 | u128::from(i * 7919))
            };
            let (job, zone) = (format!("job-{}", i % 5), format!("z{}", i % 3));
            Labels::from_pairs([("id", &*id), ("job", &*job), ("zone", &*zone), ("n", &*i.to_string())])
                .unwrap()
        })
        .collect();
    sets.sort();
    for (i, labels) in sets.iter().enumerate() {
        let time_range = TimeRange::new(i as i64, i as i64 * 3);
        builder
            .push(&SeriesEntry {
                labels,
                rows: 1 + i as u64 % 3,
                time_range,
                has_floats: true,
                has_histograms: i % 2 > 0,
            })
            .unwrap();
    }
    let rows = (0..u64::from(series)).map(|i| 1 + i % 3).sum();
    let location = PageLocation { offset: 4, length: 100, hash: 7 };
    let column = ColumnPages { dictionary: Some(location), data: vec![DataPage { location, first_row: 0 }] };
    let groups = [RowGroupPages { rows, columns: vec![column; 3] }];
    let mut region = Vec::new();
    let pointer = builder.finish(0, &groups, &mut region).unwrap().pointer;
    (region, pointer)
}

fn stored<'r>(region: &'r [u8], pointer: &IndexPointer) -> &'r [u8] {
    &region[region.len() - pointer.directory_length as usize..]
}

fn damage(raw: &mut Vec<u8>, changes: &[(Index, u8)], cut: Option<Index>) {
    if raw.is_empty() {
        return;
    }
    for (at, byte) in changes {
        let at = at.index(raw.len());
        raw[at] = *byte;
    }
    if let Some(cut) = cut {
        raw.truncate(cut.index(raw.len()));
    }
}

fn answer<L: BlockLookup>(
    mut lookup: L,
    directory: &Directory,
    blocks: &dyn Fn(BlockId) -> IndexResult<Block>,
) -> IndexResult<L::Answer> {
    // Each step needs a block more, and no block is needed by more than a few calls.
    for _ in 0..100 * (directory.blocks().len() + 1) {
        match lookup.step()? {
            Step::Done(answer) => return Ok(answer),
            Step::Need(needed) => {
                assert!(!needed.is_empty() && needed.len() <= 16);
                for id in needed {
                    lookup.supply(blocks(id)?);
                }
            }
        }
    }
    panic!("a lookup that does not end");
}

/// Asks an index everything.
fn ask(directory: &Directory, blocks: &dyn Fn(BlockId) -> IndexResult<Block>) {
    let matchers = [
        vec![],
        vec![Matcher::equal("job", "job-3"), Matcher::equal("n", "77")],
        vec![Matcher::new(MatchOp::Regex, "id", ".*7.*").unwrap()],
        vec![Matcher::new(MatchOp::Regex, "id", "0000.+").unwrap(), Matcher::equal("zone", "z1")],
        vec![Matcher::new(MatchOp::NotEqual, "id", "").unwrap()],
        vec![Matcher::equal("n", "9"), Matcher::new(MatchOp::NotRegex, "id", ".*a").unwrap()],
    ];
    for matchers in matchers {
        let _ = answer(Selection::new(directory, &matchers), directory, blocks);
    }
    let series: Postings = (0..directory.series().min(5_000)).collect();
    let _ = answer(SeriesLookup::new(directory, &series, TimeRange::ALL), directory, blocks);
    let _ = answer(RowsLookup::new(directory, &series, TimeRange::new(5, 9)), directory, blocks);
    let _ = answer(LabelNamesLookup::new(directory, &series), directory, blocks);
    let names: Vec<_> = directory.labels().iter().map(|label| label.name.clone()).collect();
    for name in names {
        let _ = answer(LabelValuesLookup::new(directory, &name, None), directory, blocks);
        let _ = answer(LabelValuesLookup::new(directory, &name, Some(&series)), directory, blocks);
    }
    for row_group in 0..directory.row_groups() {
        let _ = directory.page_table_of(row_group).map(blocks);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_forged_block_is_refused_or_harmless(
        which in any::<Index>(),
        changes in vec((any::<Index>(), any::<u8>()), 1..4),
        cut in prop::option::weighted(0.2, any::<Index>()),
    ) {
        let (region, pointer) = index(5_000);
        let mut directory = Directory::decode(stored(&region, &pointer), &pointer).unwrap();
        prop_assert!(directory.own_blocks > 1 && directory.shared_blocks > 0 && directory.row_groups() == 1);
        let which = which.index(directory.blocks().len());
        let block = directory.blocks[which];
        let mut raw = block.open(&region[block.range().start as usize..block.range().end as usize]).unwrap();
        damage(&mut raw, &changes, cut);
        let forged = Compressor::for_blocks().compress(&raw, &[]).unwrap().to_vec();
        let (stored_len, raw_len) = (forged.len() as u32, raw.len() as u32);
        directory.blocks[which] = BlockRef { stored_len, raw_len, hash: xxh3_64(&forged), ..block };
        ask(&directory, &|id| {
            let range = directory.block(id).unwrap().range();
            let is_forged = id.0 as usize == which;
            let bytes = if is_forged { &forged } else { &region[range.start as usize..range.end as usize] };
            Block::decode(bytes, id, &directory)
        });
    }

    #[test]
    fn a_forged_directory_is_refused_or_harmless(
        changes in vec((any::<Index>(), any::<u8>()), 1..4),
        cut in prop::option::weighted(0.2, any::<Index>()),
        head in any::<bool>(),
    ) {
        let (region, pointer) = index(3_000);
        let mut raw = decompress(stored(&region, &pointer), None, PLACE).unwrap();
        // Half of the damage goes to where the structure is, before the checksums.
        let mut tail = if head { raw.split_off(raw.len() / 3) } else { Vec::new() };
        damage(&mut raw, &changes, cut);
        raw.append(&mut tail);
        let forged = Compressor::for_blocks().compress(&raw, &[]).unwrap().to_vec();
        let pointer = IndexPointer {
            length: pointer.length - u64::from(pointer.directory_length) + forged.len() as u64,
            directory_length: forged.len() as u32,
            directory_hash: xxh3_64(&forged),
            ..pointer
        };
        if let Ok(directory) = Directory::decode(&forged, &pointer) {
            ask(&directory, &|id| {
                let range = directory.block(id).unwrap().range();
                Block::decode(region.get(range.start as usize..range.end as usize).unwrap_or_default(), id, &directory)
            });
        }
    }
}

#[test]
fn a_directory_reads_back() {
    for series in [0, 1, 1023, 1024, 1025, 5_000] {
        let (region, pointer) = index(series);
        let directory = Directory::decode(stored(&region, &pointer), &pointer).unwrap();
        let raw = decompress(stored(&region, &pointer), None, PLACE).unwrap();
        assert_eq!(directory.encode(&mut Vec::new()), raw);
    }
}
