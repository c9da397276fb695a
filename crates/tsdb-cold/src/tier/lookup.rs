//! Look-ups over the live files, by their indexes: what labels there are, without samples.
//!
//! A file in which something is deleted, and not yet gone from its bytes, is read through: only its samples tell whether a
//! series has any left. So is one without an index.
//!
//! Files are looked at one after the other, each when it is asked for, so that whoever asks can stop in between.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use tsdb_core::{Labels, Matcher, SampleBuffer, Series, TimeRange};
use tsdb_parquet_io::ParquetReader;

use super::ColdView;
use crate::open::Opener;
use crate::{ColdFile, ColdReads, Error, Result, SeriesSource};

/// What of the labels of a series is looked up.
#[derive(Clone, Debug)]
enum Part {
    Names,
    Values { name: String },
}

impl ColdView {
    /// The label names of the series that satisfy all `matchers` and have a sample in `range`: of each live file that overlaps
    /// it, an item, sorted by bytes. What is read is counted in `reads`.
    pub fn label_names(
        &self,
        matchers: &Arc<[Matcher]>,
        range: TimeRange,
        reads: &Arc<ColdReads>,
    ) -> BoxStream<'static, Result<Vec<String>>> {
        self.look_up(&Part::Names, matchers, range, reads)
    }

    /// The values that label `name` has in the series that satisfy all `matchers` and have a sample in `range`: of each live
    /// file that overlaps it, an item, sorted by bytes. What is read is counted in `reads`.
    pub fn label_values(
        &self,
        name: &str,
        matchers: &Arc<[Matcher]>,
        range: TimeRange,
        reads: &Arc<ColdReads>,
    ) -> BoxStream<'static, Result<Vec<String>>> {
        self.look_up(&Part::Values { name: name.to_owned() }, matchers, range, reads)
    }

    /// The live files that overlap `range`, each as a source of the series that match and have a sample in `range`: their
    /// labels, without samples. What is read is counted in `reads`.
    pub fn series_labels<E>(
        &self,
        matchers: &Arc<[Matcher]>,
        range: TimeRange,
        reads: &Arc<ColdReads>,
    ) -> Vec<SeriesSource<'static, E>>
    where
        E: From<Error> + Send + 'static,
    {
        let opener = self.opener(matchers, range, reads);
        let source = |file: &Arc<ColdFile>| {
            let series = self.labels_of(file, matchers, range, &opener);
            let series = series.map_ok(|labels| Series { labels, samples: SampleBuffer::default() });
            SeriesSource { sequence: file.max_sequence, series: series.map_err(E::from).boxed() }
        };
        self.considered(range, reads).iter().map(source).collect()
    }

    /// The number of distinct series, where it is known without a look into files: there is none, or one in which nothing is
    /// deleted.
    #[must_use]
    pub fn known_series_count(&self) -> Option<u64> {
        let mut files = self.live.index.candidates(TimeRange::ALL);
        match (files.next(), files.next()) {
            (None, _) => Some(0),
            (Some(file), None) if self.is_untouched(file) => Some(file.series),
            _ => None,
        }
    }

    /// The files to look at, counted.
    fn considered(&self, range: TimeRange, reads: &ColdReads) -> Vec<Arc<ColdFile>> {
        let files: Vec<_> = self.live.index.candidates(range).map(Arc::clone).collect();
        reads.consider(&self.cache, self.live.index.len(), files.len());
        files
    }

    fn look_up(
        &self,
        part: &Part,
        matchers: &Arc<[Matcher]>,
        range: TimeRange,
        reads: &Arc<ColdReads>,
    ) -> BoxStream<'static, Result<Vec<String>>> {
        let files = self.considered(range, reads);
        let opener = self.opener(matchers, range, reads);
        let (view, part, matchers) = (self.clone(), part.clone(), Arc::clone(matchers));
        let look_up = move |file: Arc<ColdFile>| {
            let (view, part) = (view.clone(), part.clone());
            let (matchers, opener) = (Arc::clone(&matchers), opener.clone());
            async move { view.look_up_in(&file, part, matchers, range, &opener).await }
        };
        stream::iter(files).then(look_up).boxed()
    }

    async fn look_up_in(
        &self,
        file: &Arc<ColdFile>,
        part: Part,
        matchers: Arc<[Matcher]>,
        range: TimeRange,
        opener: &Opener,
    ) -> Result<Vec<String>> {
        if self.is_untouched(file) {
            let Some(reader) = opener.open(file).await? else { return Ok(Vec::new()) };
            let looked_up = stream::once(part.of_reader(reader.clone(), matchers, range)).boxed();
            let found = opener.reads().counted(&reader, looked_up).try_concat().await;
            return found.map_err(Error::file(&file.path.path()));
        }
        let mut found = BTreeSet::new();
        let mut series = self.labels_of(file, &matchers, range, opener);
        while let Some(labels) = series.try_next().await? {
            part.of_labels(&labels, &mut found);
        }
        Ok(found.into_iter().collect())
    }

    /// Whether nothing is deleted in what a file holds.
    fn is_untouched(&self, file: &ColdFile) -> bool {
        file.deletes(&self.live.tombstones).is_empty()
    }

    fn labels_of(
        &self,
        file: &Arc<ColdFile>,
        matchers: &Arc<[Matcher]>,
        range: TimeRange,
        opener: &Opener,
    ) -> BoxStream<'static, Result<Labels>> {
        let deletes = file.deletes(&self.live.tombstones);
        if !deletes.is_empty() {
            let source = self.source::<Error>(file, deletes, matchers, range, opener);
            return source.series.map_ok(|series| series.labels).boxed();
        }
        let (file, matchers, opener) = (Arc::clone(file), Arc::clone(matchers), opener.clone());
        let open = async move {
            let Some(reader) = opener.open(&file).await? else { return Ok(stream::empty().boxed()) };
            let labels = opener.reads().counted(&reader, reader.series_labels(matchers, range));
            // The stream holds on to the file, so that its bytes stay.
            Ok::<_, Error>(labels.map_err(move |error| Error::file(&file.path.path())(error)).boxed())
        };
        stream::once(open).try_flatten().boxed()
    }
}

impl Part {
    /// Looks it up in a file.
    async fn of_reader(
        self,
        reader: ParquetReader,
        matchers: Arc<[Matcher]>,
        range: TimeRange,
    ) -> tsdb_parquet_io::Result<Vec<String>> {
        match self {
            Self::Names => reader.label_names(&matchers, range).await,
            Self::Values { name } => reader.label_values(&name, &matchers, range).await,
        }
    }

    /// Puts what it is in one series to what was `found`.
    fn of_labels(&self, labels: &Labels, found: &mut BTreeSet<String>) {
        let mut insert = |text: &str| {
            if !found.contains(text) {
                found.insert(text.to_owned());
            }
        };
        match self {
            Self::Names => labels.iter().for_each(|(name, _)| insert(name)),
            Self::Values { name } => labels.get(name).into_iter().for_each(insert),
        }
    }
}
