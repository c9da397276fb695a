//! Look-ups over the live files, by their indexes: what labels there are, without samples.
//!
//! A file in which something is deleted, and not yet gone from its bytes, is read through: only its samples tell whether a
//! series has any left. So is one without an index.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use tsdb_core::{Labels, Matcher, SampleBuffer, Series, TimeRange};

use super::ColdView;
use crate::open::Opener;
use crate::{ColdFile, Error, Result, SeriesSource};

impl ColdView {
    /// The label names of the series that satisfy all `matchers` and have a sample in `range`.
    ///
    /// # Errors
    /// [`Error::File`].
    pub async fn label_names(&self, matchers: &Arc<[Matcher]>, range: TimeRange) -> Result<BTreeSet<String>> {
        let mut found = BTreeSet::new();
        let opener = self.opener(matchers, range, &Arc::default());
        for file in self.live.index.candidates(range) {
            if self.is_untouched(file) {
                let Some(reader) = opener.open(file).await? else { continue };
                let names = reader.label_names(matchers, range).await;
                found.extend(names.map_err(Error::file(&file.path.path()))?);
                continue;
            }
            let mut series = self.labels_of(file, matchers, range, &opener);
            while let Some(labels) = series.try_next().await? {
                labels.iter().for_each(|(name, _)| insert(&mut found, name));
            }
        }
        Ok(found)
    }

    /// The values that label `name` has in the series that satisfy all `matchers` and have a sample in `range`.
    ///
    /// # Errors
    /// [`Error::File`].
    pub async fn label_values(
        &self,
        name: &str,
        matchers: &Arc<[Matcher]>,
        range: TimeRange,
    ) -> Result<BTreeSet<String>> {
        let mut found = BTreeSet::new();
        let opener = self.opener(matchers, range, &Arc::default());
        for file in self.live.index.candidates(range) {
            if self.is_untouched(file) {
                let Some(reader) = opener.open(file).await? else { continue };
                let values = reader.label_values(name, matchers, range).await;
                found.extend(values.map_err(Error::file(&file.path.path()))?);
                continue;
            }
            let mut series = self.labels_of(file, matchers, range, &opener);
            while let Some(labels) = series.try_next().await? {
                labels.get(name).into_iter().for_each(|value| insert(&mut found, value));
            }
        }
        Ok(found)
    }

    /// The live files that overlap `range`, each as a source of the series that match and have a sample in `range`: their
    /// labels, without samples.
    pub fn series_labels<E>(
        &self,
        matchers: &Arc<[Matcher]>,
        range: TimeRange,
    ) -> Vec<SeriesSource<'static, E>>
    where
        E: From<Error> + Send + 'static,
    {
        let opener = self.opener(matchers, range, &Arc::default());
        let source = |file: &Arc<ColdFile>| {
            let series = self.labels_of(file, matchers, range, &opener);
            let series = series.map_ok(|labels| Series { labels, samples: SampleBuffer::default() });
            SeriesSource { sequence: file.max_sequence, series: series.map_err(E::from).boxed() }
        };
        self.live.index.candidates(range).map(source).collect()
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
            let labels = reader.series_labels(matchers, range);
            // The stream holds on to the file, so that its bytes stay.
            Ok::<_, Error>(labels.map_err(move |error| Error::file(&file.path.path())(error)).boxed())
        };
        stream::once(open).try_flatten().boxed()
    }
}

fn insert(found: &mut BTreeSet<String>, text: &str) {
    if !found.contains(text) {
        found.insert(text.to_owned());
    }
}
