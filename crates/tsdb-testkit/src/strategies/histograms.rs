//! Valid native histograms: integer and float, exponential and custom buckets, one at a time and as series have them.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use tsdb_core::{Buckets, CUSTOM_BUCKETS_SCHEMA, CustomBounds, Histogram, ResetHint, Span};

use super::float_value;

/// Which buckets there are: what the histograms of a series share until its layout changes.
#[derive(Clone, Debug)]
struct Layout {
    schema: i32,
    zero_threshold: f64,
    positive_spans: Vec<Span>,
    negative_spans: Vec<Span>,
    custom_bounds: CustomBounds,
    is_float: bool,
}

/// One valid histogram; now and then a stale one.
pub fn histogram() -> impl Strategy<Value = Histogram> + Clone {
    let lively = (layout(), any::<u64>(), reset_hint(), sum()).prop_map(|(layout, seed, reset_hint, sum)| {
        let counts = counts(&layout, seed);
        fill(&layout, &counts, reset_hint, sum)
    });
    prop_oneof![12 => lively, 1 => any::<bool>().prop_map(Histogram::stale)]
}

/// The histograms of one series in the order of time, up to `max_len`: counts grow; now and then they reset, the
/// layout changes, or the series goes stale.
pub fn histogram_run(max_len: usize) -> impl Strategy<Value = Vec<Histogram>> + Clone {
    let event = prop_oneof![
        16 => Just(Event::Grow),
        1 => Just(Event::Reset),
        1 => layout().prop_map(Event::Layout),
        1 => any::<bool>().prop_map(Event::Stale),
    ];
    let steps = vec((event, any::<u64>(), reset_hint(), sum()), 0..=max_len);
    (layout(), steps).prop_map(|(mut layout, steps)| {
        let mut total = vec![0; bucket_count(&layout)];
        let mut run = Vec::with_capacity(steps.len());
        for (event, seed, hint, sum) in steps {
            match event {
                Event::Stale(is_float) => {
                    run.push(Histogram::stale(is_float));
                    continue;
                }
                Event::Layout(new) => {
                    layout = new;
                    total = vec![0; bucket_count(&layout)];
                }
                Event::Reset => total.fill(0),
                Event::Grow => {}
            }
            for (i, total) in total.iter_mut().enumerate() {
                // Most buckets of most steps do not change.
                *total += ((seed >> (i % 64)) & 1) * ((seed >> 32) % 1000);
            }
            run.push(fill(&layout, &total, hint, sum));
        }
        run
    })
}

#[derive(Clone, Debug)]
enum Event {
    Grow,
    Reset,
    Layout(Layout),
    Stale(bool),
}

fn layout() -> impl Strategy<Value = Layout> + Clone {
    let threshold = select(&[0.0, f64::MIN_POSITIVE, 2.938_735_877_055_719e-39, 0.001, 1.0][..]);
    let exponential = (-4..=8_i32, threshold, spans(true), spans(true), any::<bool>()).prop_map(
        |(schema, zero_threshold, positive_spans, negative_spans, is_float)| Layout {
            schema,
            zero_threshold,
            positive_spans,
            negative_spans,
            custom_bounds: CustomBounds::default(),
            is_float,
        },
    );
    let custom = (spans(false), 0..3_usize, -1000..1000_i32, any::<bool>()).prop_map(
        |(positive_spans, spare, first, is_float)| {
            let end: i64 = positive_spans.iter().map(|s| i64::from(s.offset) + i64::from(s.length)).sum();
            // The last bucket, up to +Inf, needs no bound.
            let bounds = usize::try_from(end - 1).unwrap_or(0) + spare;
            Layout {
                schema: CUSTOM_BUCKETS_SCHEMA,
                zero_threshold: 0.0,
                positive_spans,
                negative_spans: Vec::new(),
                custom_bounds: (0..bounds)
                    .map(|i| f64::from(first) / 8.0 + i as f64 * 0.25)
                    .collect::<Arc<[f64]>>(),
                is_float,
            }
        },
    );
    prop_oneof![3 => exponential, 1 => custom]
}

/// Up to five spans, some of them empty or directly after the one before, as real clients send them.
fn spans(negative_start: bool) -> impl Strategy<Value = Vec<Span>> + Clone {
    let first = if negative_start { -50..50_i32 } else { 0..5_i32 };
    let span =
        |offset: BoxedStrategy<i32>| (offset, 0..6_u32).prop_map(|(offset, length)| Span { offset, length });
    let rest = vec(span((0..8_i32).boxed()), 0..5);
    prop_oneof![
        1 => Just(Vec::new()),
        6 => (span(first.boxed()), rest).prop_map(|(first, rest)| std::iter::once(first).chain(rest).collect()),
    ]
}

fn reset_hint() -> impl Strategy<Value = ResetHint> + Clone {
    select(&[ResetHint::Unknown, ResetHint::Reset, ResetHint::NoReset, ResetHint::Gauge][..])
}

/// Sums are floats like any other; the staleness marker is left to where a stale histogram is meant.
fn sum() -> impl Strategy<Value = f64> + Clone {
    float_value().prop_map(|sum| if tsdb_core::is_stale_nan(sum) { f64::NAN } else { sum })
}

/// The zero bucket, the positive ones, the negative ones.
fn bucket_count(layout: &Layout) -> usize {
    let spans = layout.positive_spans.iter().chain(&layout.negative_spans);
    1 + spans.map(|span| span.length as usize).sum::<usize>()
}

/// Counts as different as small ones, none, and ones that no float holds; together they fit an integer.
fn counts(layout: &Layout, seed: u64) -> Vec<u64> {
    let count = |i: usize| {
        let random = seed.rotate_left(i as u32 * 7).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        match random >> 62 {
            0 => 0,
            1 => random & 0xf,
            2 => random & 0xffff,
            _ => (1 << 53) + (random & 0xffff),
        }
    };
    (0..bucket_count(layout)).map(count).collect()
}

/// A histogram of the layout with these counts: of the zero bucket first, then the positive, then the negative ones.
fn fill(layout: &Layout, counts: &[u64], reset_hint: ResetHint, sum: f64) -> Histogram {
    let has_zero_bucket = layout.schema != CUSTOM_BUCKETS_SCHEMA;
    let zero_count = if has_zero_bucket { counts[0] } else { 0 };
    let positives = layout.positive_spans.iter().map(|span| span.length as usize).sum();
    let (positive, negative) = counts[1..].split_at(positives);
    // Observations that are NaN are in the count and in no bucket.
    let in_buckets = zero_count + counts[1..].iter().sum::<u64>();
    let count = in_buckets + if sum.is_nan() { counts[0] % 3 } else { 0 };
    let buckets = if layout.is_float {
        // Not whole, so that nobody gets away with storing integers.
        let float = |n: u64| n as f64 * 0.75;
        Buckets::Float {
            count: float(count),
            zero_count: float(zero_count),
            positive: positive.iter().copied().map(float).collect(),
            negative: negative.iter().copied().map(float).collect(),
        }
    } else {
        Buckets::Int { count, zero_count, positive: positive.to_vec(), negative: negative.to_vec() }
    };
    Histogram {
        reset_hint,
        schema: layout.schema,
        zero_threshold: layout.zero_threshold,
        sum,
        positive_spans: layout.positive_spans.clone(),
        negative_spans: layout.negative_spans.clone(),
        buckets,
        custom_bounds: layout.custom_bounds.clone(),
    }
}
