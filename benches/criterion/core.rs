//! The cases of `bench core` under criterion, for statistics and comparisons over time:
//! `cargo bench -p tsdb-benches --bench core`.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use tsdb_benches::core::{block, chunks, matchers};

fn floats(criterion: &mut Criterion) {
    let mut floats = chunks::Floats::generate(200);
    let mut tsz = chunks::Tsz::default();
    let mut chronix = chunks::Chronix::default();
    tsz.append(&floats);
    chronix.append(&floats);
    let mut group = criterion.benchmark_group("float chunk");
    group.throughput(Throughput::Elements(floats.samples() as u64));
    group.bench_function("append", |bencher| bencher.iter(|| floats.append()));
    group.bench_function("append by scrape", |bencher| bencher.iter(|| floats.append_by_scrape()));
    group.bench_function("decode", |bencher| bencher.iter(|| floats.decode()));
    group.bench_function("tsz append", |bencher| bencher.iter(|| tsz.append(&floats)));
    group.bench_function("tsz decode", |bencher| bencher.iter(|| tsz.decode()));
    group.bench_function("chronix append", |bencher| bencher.iter(|| chronix.append(&floats)));
    group.bench_function("chronix decode", |bencher| bencher.iter(|| chronix.decode()));
}

fn histograms(criterion: &mut Criterion) {
    for (name, is_float) in [("int histogram chunk", false), ("float histogram chunk", true)] {
        let mut histograms = chunks::Histograms::generate(480, is_float);
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Elements(480));
        group.bench_function("append", |bencher| bencher.iter(|| histograms.append()));
        group.bench_function("decode", |bencher| bencher.iter(|| histograms.decode()));
    }
}

fn merges(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("merge");
    group.throughput(Throughput::Elements(10_000));
    for (name, run) in [("alternating", 1), ("runs of 100", 100), ("disjoint", 5000)] {
        let buffers = chunks::interleaved(10_000, run);
        group.bench_function(name, |bencher| {
            let setup = || buffers.clone();
            bencher.iter_batched(
                setup,
                |(mut older, newer)| {
                    older.merge_newer(newer);
                    older
                },
                BatchSize::SmallInput,
            );
        });
    }
}

fn blocks(criterion: &mut Criterion) {
    let sealed = block::Sealed::generate(1000, 120);
    criterion.bench_function("block write, 1000 series", |bencher| bencher.iter(|| sealed.write()));
}

fn matching(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("matcher over 10,000 values");
    for shape in [matchers::Shape::Uuid, matchers::Shape::Host] {
        let values = matchers::Values::generate(shape, 10_000);
        for case in matchers::CASES.iter().filter(|case| case.shape == shape) {
            let matcher = case.matcher();
            group.bench_function(format!("{shape:?}/{}", case.name), |bencher| {
                bencher.iter(|| values.count(&matcher));
            });
        }
    }
}

criterion_group!(cases, floats, histograms, merges, blocks, matching);
criterion_main!(cases);
