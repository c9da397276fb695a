//! Tombstones: what is written is read, damage is an error, and what they delete is what an oracle deletes.

use proptest::prelude::*;
use tsdb_core::{Error, TimeRange, Tombstone};
use tsdb_testkit::strategies::{matchers_for, script, time_range};
use tsdb_testkit::{Oracle, assert_series_eq};

proptest! {
    #[test]
    fn what_is_written_is_read_and_deletes_what_it_says(
        (script, matchers) in script(1..8, 0..80).prop_flat_map(|script| {
            let matchers = matchers_for(&script.series);
            (Just(script), matchers)
        }),
        range in time_range(),
        below_sequence in any::<u64>(),
    ) {
        let tombstone = Tombstone { below_sequence, range, matchers: matchers.clone() };
        let read = Tombstone::decode(&tombstone.encode()).unwrap();
        prop_assert_eq!((read.below_sequence, read.range), (below_sequence, range));
        prop_assert_eq!(&read.matchers, &matchers);

        let mut oracle = Oracle::new();
        script.iter().for_each(|(labels, t, value)| oracle.append(labels, t, value.clone()));
        let mut series = oracle.all();
        oracle.delete(&matchers, range);
        series.iter_mut().for_each(|series| read.apply(&series.labels, &mut series.samples));
        series.retain(|series| !series.samples.is_empty());
        assert_series_eq(&series, &oracle.all());
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        prop_assert!(Tombstone::decode(&bytes).is_err());
    }
}

#[test]
fn every_flipped_byte_and_every_cut_is_an_error() {
    let matchers = tsdb_core::parse_selector(r#"up{job=~"a|b",pod!=""}"#).unwrap();
    let tombstone = Tombstone { below_sequence: 7, range: TimeRange::new(-5, 5), matchers };
    let bytes = tombstone.encode();
    for at in 0..bytes.len() {
        assert!(Tombstone::decode(&bytes[..at]).is_err(), "cut at {at}");
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        let error = Tombstone::decode(&damaged).unwrap_err();
        assert!(matches!(error, Error::Corrupt { what: "tombstone", .. }), "{at}: {error}");
    }
    assert!(Tombstone::decode(&[bytes.as_slice(), &[0]].concat()).is_err());
}

#[test]
fn it_concerns_lower_sequences_that_it_overlaps() {
    let tombstone = Tombstone { below_sequence: 7, range: TimeRange::new(10, 20), matchers: Vec::new() };
    for (sequence, range, concerns) in [
        (6, TimeRange::new(0, 10), true),
        (7, TimeRange::new(0, 10), false),
        (6, TimeRange::new(0, 9), false),
        (0, TimeRange::new(20, 30), true),
        (0, TimeRange::EMPTY, false),
    ] {
        assert_eq!(tombstone.concerns(sequence, range), concerns, "{sequence} {range:?}");
    }
}
