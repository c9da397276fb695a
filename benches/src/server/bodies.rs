//! Bodies of remote write 1.0, compressed beforehand: one sample of each of up to 2,000 series.
//!
//! The series are dealt into lanes of 2,000. A lane is sent by one sender, in order of time, so that no series is reordered however
//! many senders there are.

use std::collections::VecDeque;

use snap::raw::Encoder;
use tsdb_core::{Labels, Series};
use tsdb_workload::{Mixed, STEP_MS, high_cardinality};

use crate::scrapes::Scrapes;

/// Series of a lane, and the most samples of a body.
const LANE: usize = 2000;

/// One body.
pub(super) struct Body {
    pub(super) lane: usize,
    pub(super) samples: u64,
    pub(super) bytes: Vec<u8>,
}

/// All bodies of a case, in order of time.
pub(super) struct Bodies {
    pub(super) bodies: Vec<Body>,
    /// Some of the series, for remote read.
    pub(super) some: Vec<Labels>,
}

impl Bodies {
    /// The mixed workload, scrape after scrape.
    pub(super) fn mixed(series: usize, scrapes: usize) -> Self {
        let data = Scrapes::mixed(series, scrapes);
        let heads: Vec<Vec<u8>> = data.labels().iter().map(encode_labels).collect();
        let mut encoder = Lanes::new();
        for (scrape, values) in data.values().enumerate() {
            for (i, value) in values.iter().enumerate() {
                encoder.add(i / LANE, &heads[i], data.timestamp_ms(scrape, i), *value);
            }
            encoder.end_body();
        }
        Self {
            bodies: encoder.bodies,
            some: data.labels().iter().step_by((series / 100).max(1)).cloned().collect(),
        }
    }

    /// Series of which each has an identifier of its own and one to five samples, beginning within an hour.
    pub(super) fn high_cardinality(series: usize) -> Self {
        let mut to_come = high_cardinality(series, 1).enumerate().peekable();
        let start_ms = Mixed::default().start_ms;
        let scrape_of =
            |series: &Series, sample: usize| (series.samples.timestamps_ms[sample] - start_ms) / STEP_MS;
        // The series of which samples are to come, each with its number, its labels and its next sample.
        let mut live: VecDeque<(usize, Vec<u8>, Series, usize)> = VecDeque::new();
        let (mut encoder, mut some, mut scrape) = (Lanes::new(), Vec::new(), 0);
        while !live.is_empty() || to_come.peek().is_some() {
            while let Some((i, series)) = to_come.next_if(|(_, series)| scrape_of(series, 0) <= scrape) {
                if some.len() < 100 {
                    some.push(series.labels.clone());
                }
                live.push_back((i, encode_labels(&series.labels), series, 0));
            }
            for (i, head, series, next) in &mut live {
                if scrape_of(series, *next) <= scrape {
                    encoder.add(
                        *i / LANE,
                        head,
                        series.samples.timestamps_ms[*next],
                        series.samples.values[*next],
                    );
                    *next += 1;
                }
            }
            encoder.end_body();
            live.retain(|(_, _, series, next)| *next < series.samples.values.len());
            scrape += 1;
        }
        Self { bodies: encoder.bodies, some }
    }

    pub(super) fn samples(&self) -> u64 {
        self.bodies.iter().map(|body| body.samples).sum()
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bodies.iter().map(|body| body.bytes.len() as u64).sum()
    }
}

/// Makes bodies of samples that come lane after lane.
struct Lanes {
    bodies: Vec<Body>,
    lane: usize,
    samples: u64,
    message: Vec<u8>,
    encoder: Encoder,
}

impl Lanes {
    fn new() -> Self {
        Self { bodies: Vec::new(), lane: 0, samples: 0, message: Vec::new(), encoder: Encoder::new() }
    }

    /// Adds a sample of a series whose labels are encoded.
    fn add(&mut self, lane: usize, labels: &[u8], timestamp_ms: i64, value: f64) {
        if lane != self.lane {
            self.end_body();
            self.lane = lane;
        }
        let mut sample = vec![0x09];
        sample.extend_from_slice(&value.to_le_bytes());
        sample.push(0x10);
        put_varint(&mut sample, timestamp_ms as u64);
        self.samples += 1;
        self.message.push(0x0a);
        put_varint(&mut self.message, (labels.len() + sample.len() + 2) as u64);
        self.message.extend_from_slice(labels);
        put_field(&mut self.message, 0x12, &sample);
    }

    fn end_body(&mut self) {
        if self.samples > 0 {
            let bytes = self.encoder.compress_vec(&self.message).expect("invariant: a body is small");
            self.bodies.push(Body { lane: self.lane, samples: self.samples, bytes });
            self.message.clear();
            self.samples = 0;
        }
    }
}

/// The labels as fields of a series.
fn encode_labels(labels: &Labels) -> Vec<u8> {
    let mut encoded = Vec::new();
    for (name, value) in labels.iter() {
        let mut label = Vec::new();
        put_field(&mut label, 0x0a, name.as_bytes());
        put_field(&mut label, 0x12, value.as_bytes());
        put_field(&mut encoded, 0x0a, &label);
    }
    encoded
}

fn put_field(out: &mut Vec<u8>, key: u8, bytes: &[u8]) {
    out.push(key);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_is_in_one_body_and_a_body_in_one_lane() {
        let mixed = Bodies::mixed(4200, 3);
        assert_eq!((mixed.samples(), mixed.bodies.len()), (4200 * 3, 3 * 3));
        let many = Bodies::high_cardinality(9000);
        let want: usize = high_cardinality(9000, 1).map(|series| series.samples.len()).sum();
        assert_eq!(many.samples(), want as u64);
        assert!(many.bodies.iter().all(|body| body.lane <= 4 && body.samples <= LANE as u64));
    }
}
