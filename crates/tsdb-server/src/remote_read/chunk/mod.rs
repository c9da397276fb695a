//! Prometheus' chunks: the form in which a streamed remote read hands samples over.
//!
//! They are written here, and read by Prometheus: our own chunks have another form. [`Chunks`] cuts a series' samples into
//! runs of one kind; `float` and `histogram` are the encodings, over [`bits`] and [`xor`]. Invariants: a chunk has one to
//! [`SAMPLES_MAX`] samples, and each sample is in exactly one chunk, in order of time.

mod bits;
mod float;
mod histogram;
mod layout;
mod xor;

#[cfg(test)]
mod tests;

use tsdb_core::SampleBuffer;

use super::proto;

/// Most samples in a chunk, as in Prometheus. (The format could hold 65,535.)
pub(super) const SAMPLES_MAX: usize = 120;

/// The chunks of one series, made one at a time.
pub(super) struct Chunks {
    samples: SampleBuffer,
    /// How many floats, and how many histograms, are done.
    floats: usize,
    histograms: usize,
}

impl Chunks {
    pub(super) fn of(samples: SampleBuffer) -> Self {
        Self { samples, floats: 0, histograms: 0 }
    }
}

impl Iterator for Chunks {
    type Item = proto::Chunk;

    fn next(&mut self) -> Option<proto::Chunk> {
        let timestamps_ms = &self.samples.timestamps_ms[self.floats..];
        let histograms = &self.samples.histograms[self.histograms..];
        // A run ends where a sample of the other kind comes next.
        let next_float_ms = timestamps_ms.first().copied().unwrap_or(i64::MAX);
        let next_histogram_ms = histograms.first().map_or(i64::MAX, |histogram| histogram.0);
        if next_float_ms < next_histogram_ms {
            let run = &timestamps_ms[..timestamps_ms.len().min(SAMPLES_MAX)];
            let run = &run[..run.partition_point(|&timestamp_ms| timestamp_ms < next_histogram_ms)];
            let data = float::encode(run, &self.samples.values[self.floats..][..run.len()]);
            self.floats += run.len();
            Some(chunk(proto::Encoding::Xor, run[0], run[run.len() - 1], data))
        } else {
            let run = &histograms[..histograms.partition_point(|histogram| histogram.0 < next_float_ms)];
            let run = &run[..histogram::run_length(run)];
            let (first, last) = (run.first()?, run.last()?);
            let is_float = first.1.is_float();
            let encoding =
                if is_float { proto::Encoding::FloatHistogram } else { proto::Encoding::Histogram };
            self.histograms += run.len();
            Some(chunk(encoding, first.0, last.0, histogram::encode(run)))
        }
    }
}

fn chunk(encoding: proto::Encoding, min_time_ms: i64, max_time_ms: i64, data: Vec<u8>) -> proto::Chunk {
    proto::Chunk { min_time_ms, max_time_ms, encoding: encoding.into(), data }
}

/// The number of samples, as every chunk begins with it.
fn count_bytes(count: usize) -> [u8; 2] {
    u16::try_from(count).expect("invariant: a chunk has at most SAMPLES_MAX samples").to_be_bytes()
}
