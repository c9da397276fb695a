//! Cold files to fewer cold files: neighbours in sequence of one partition become one sorted file, without samples that
//! were replaced or deleted.
//!
//! [`plan`] says which; this module does it. A merge never skips a source: its inputs are contiguous in sequence among
//! everything that holds samples of the partition, unconverted blocks included, or an old value could win over a newer
//! one that lies elsewhere.

mod plan;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use object_store::ObjectStore;
use tsdb_core::{TimeRange, Tombstones};
use tsdb_parquet_io::ParquetReader;

use crate::read::file_source;
use crate::write::{ColdFileWriter, FilePlan};
use crate::{ColdFile, Error, Partition, Progress, Result};

pub use plan::CompactionOptions;
use plan::{Candidate, choose};

/// Which partitions are compacted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompactionMode {
    /// What the settings find worth it, of a partition at rest everything.
    Due,
    /// Everything, as if all partitions were at rest.
    Full,
}

/// What holds samples that a cold tier may still be given: the hot tier's sources, as far as they cannot change any more.
#[derive(Clone, Debug)]
pub struct Unconverted {
    /// Below this sequence there are no others than these, and no new one comes.
    pub live_sequence: u64,
    /// Sequence and time range of each.
    pub sources: Vec<(u64, TimeRange)>,
}

impl Default for Unconverted {
    /// Nothing, nor will there be.
    fn default() -> Self {
        Self { live_sequence: u64::MAX, sources: Vec::new() }
    }
}

impl Unconverted {
    /// The sequences of the sources that may have samples in `range`.
    fn sequences_in(&self, range: TimeRange) -> BTreeSet<u64> {
        self.sources.iter().filter(|(_, time)| time.overlaps(range)).map(|(sequence, _)| *sequence).collect()
    }
}

/// The inputs of the next merge among the live `files`, by sequence.
pub(crate) fn next_inputs(
    files: &[Arc<ColdFile>],
    tombstones: &Tombstones,
    unconverted: &Unconverted,
    options: &CompactionOptions,
    mode: CompactionMode,
    now_ms: i64,
) -> Option<Vec<Arc<ColdFile>>> {
    let mut partitions: BTreeMap<Partition, Vec<&Arc<ColdFile>>> = BTreeMap::new();
    for file in files {
        partitions.entry(file.partition).or_default().push(file);
    }
    partitions.into_iter().find_map(|(partition, mut files)| {
        files.sort_by_key(|f| f.min_sequence);
        let elsewhere = unconverted.sequences_in(partition.time_range());
        let newest_ms = files.iter().map(|f| f.path.created_ms()).max().unwrap_or(i64::MIN);
        let quiet = elsewhere.is_empty() && now_ms.saturating_sub(newest_ms) >= options.rest_after_ms;
        let at_rest = mode == CompactionMode::Full || quiet;
        let parted = |a: &&Arc<ColdFile>, b: &&Arc<ColdFile>| {
            elsewhere.range(a.max_sequence..=b.min_sequence).next().is_some()
        };
        files.chunk_by(|a, b| !parted(a, b)).find_map(|run| {
            let candidate = |file: &&Arc<ColdFile>| Candidate {
                bytes: file.bytes,
                has_deletes: !file.deletes(tombstones).is_empty(),
            };
            let candidates: Vec<_> = run.iter().map(candidate).collect();
            let chosen = choose(&candidates, options, at_rest)?;
            Some(run[chosen].iter().map(|file| Arc::clone(file)).collect())
        })
    })
}

/// Refuses inputs between whose sequences something else holds samples of their partition.
pub(crate) fn check_contiguous(
    live: &[Arc<ColdFile>],
    unconverted: &Unconverted,
    inputs: &[Arc<ColdFile>],
) -> Result<()> {
    let (Some(first), Some(last)) = (inputs.first(), inputs.last()) else { return Ok(()) };
    let between = |sequence: u64| (first.min_sequence..=last.max_sequence).contains(&sequence);
    let is_input = |file: &ColdFile| inputs.iter().any(|input| input.path == file.path);
    let file = live
        .iter()
        .filter(|f| f.partition == first.partition && !is_input(f))
        .find(|f| between(f.min_sequence) || between(f.max_sequence));
    let block = unconverted.sequences_in(first.partition.time_range()).into_iter().find(|s| between(*s));
    let detail = match (file, block) {
        (None, None) => return Ok(()),
        (Some(file), _) => format!("{} lies between {} and {}", file.path, first.path, last.path),
        (_, Some(sequence)) => {
            format!("sequence {sequence}, not converted yet, lies between {} and {}", first.path, last.path)
        }
    };
    Err(Error::Invariant { invariant: "compaction_inputs_are_contiguous", detail })
}

/// Merges `inputs`, by sequence and of one partition, into one new file; durable and verified when it returns, but part
/// of no catalog yet. `None` when no sample is left.
pub(crate) async fn merge_files(
    store: &Arc<dyn ObjectStore>,
    writer: &ColdFileWriter,
    inputs: &[Arc<ColdFile>],
    promoted: &[String],
    tombstones: &Tombstones,
    now_ms: i64,
    progress: &Progress,
) -> Result<Option<ColdFile>> {
    let (Some(first), Some(last)) = (inputs.first(), inputs.last()) else { return Ok(None) };
    let mut sources = Vec::with_capacity(inputs.len());
    let (mut names, mut has_histograms) = (Some(BTreeSet::new()), false);
    for file in inputs {
        let path = file.path.path();
        let opened = ParquetReader::open(Arc::clone(store), path.clone(), Some(file.bytes)).await;
        let reader = opened.map_err(Error::file(&path))?;
        let mapper = reader.metadata().mapper();
        has_histograms |= mapper.has_histograms();
        // Only the rows themselves know the names in a map.
        names = names.filter(|_| !mapper.has_label_map());
        if let Some(names) = &mut names {
            names.extend(mapper.label_columns().iter().map(|column| column.label.clone()));
        }
        sources.push(file_source(reader, file, file.deletes(tombstones), Arc::from([]), TimeRange::ALL));
    }
    let plan = FilePlan {
        partition: first.partition,
        min_sequence: first.min_sequence,
        max_sequence: last.max_sequence,
        level: inputs.iter().map(|f| f.level).max().unwrap_or(0) + 1,
        tombstones_below: tombstones.next_number(),
        promoted: promoted.to_vec(),
        label_names: names.map(|names| names.into_iter().collect()),
        has_histograms,
        now_ms,
    };
    let file = writer.write(plan, sources, progress).await?;
    tracing::info!(
        partition = %first.partition,
        inputs = inputs.len(),
        samples = file.as_ref().map_or(0, |f| f.samples),
        "compacted"
    );
    Ok(file)
}
