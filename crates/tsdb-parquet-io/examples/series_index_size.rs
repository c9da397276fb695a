//! Builds series indexes of known shapes and prints what they take: bytes a series, and the time of building and of
//! single look-ups. `cargo run --release -p tsdb-parquet-io --example series_index_size [series]`

use std::error::Error;
use std::time::Instant;

use tsdb_parquet_io::tsdb_core::{Labels, MatchOp, Matcher, TimeRange};
use tsdb_parquet_io::{
    BlockKind, BlockLookup, Directory, IndexPointer, Selection, SeriesEntry, SeriesIndexBuilder,
    SeriesLookup, Step,
};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// A series: labels, rows, first time and span in ms.
type Shape = (Labels, u64, i64, i64);

fn main() -> Result<()> {
    let series = std::env::args().nth(1).map_or(Ok(1_000_000), |arg| arg.parse())?;
    measure("unique ids", unique_ids(series)?, "request_id")?;
    measure("scrape targets", scrape_targets(series, 240)?, "instance")?;
    measure("10,000 scrape targets", scrape_targets(10_000, 240)?, "instance")
}

fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn unique_ids(series: u64) -> Result<Vec<Shape>> {
    let mut state = 1;
    let made = (0..series).map(|_| {
        let (kind, id) = (random(&mut state), (random(&mut state), random(&mut state)));
        let labels = Labels::from_pairs([
            ("__name__", "http_request_duration_seconds".to_owned()),
            ("handler", format!("/api/v1/{}", kind % 20)),
            ("instance", format!("10.0.0.{}:9090", kind / 20 % 30)),
            ("job", "api".to_owned()),
            ("namespace", format!("ns-{}", kind / 1000 % 4)),
            ("request_id", format!("{:016x}{:016x}", id.0, id.1)),
        ])?;
        let rows = 1 + kind / 7919 % 5;
        Ok((labels, rows, (random(&mut state) % 3_600_000) as i64, (rows as i64 - 1) * 15_000))
    });
    let mut made = made.collect::<Result<Vec<_>>>()?;
    made.sort();
    Ok(made)
}

/// Targets of 100 metrics each, of which every tenth is a histogram with 10 buckets.
fn scrape_targets(series: u64, rows: u64) -> Result<Vec<Shape>> {
    let mut made = Vec::new();
    for target in 0.. {
        let mut state = target;
        let start = (random(&mut state) % 15_000) as i64;
        for metric in 0..100_u64 {
            let buckets = if metric % 10 == 0 { 10 } else { 1 };
            for bucket in 0..buckets {
                let mut pairs = vec![
                    ("__name__", format!("node_metric_{:x}_total", metric.wrapping_mul(0x9e37_79b9) >> 8)),
                    ("instance", format!("host-{:04}.example.org:9100", target % 1_000)),
                    ("job", format!("node-{}", target / 1_000)),
                    ("zone", format!("eu-{}", target % 3)),
                ];
                if buckets > 1 {
                    pairs.push(("le", format!("{}", f64::from(1 << bucket) / 8.0)));
                }
                let labels = Labels::from_pairs(pairs)?;
                made.push((labels, rows, start, (rows as i64 - 1) * 15_000));
                if made.len() as u64 == series {
                    made.sort();
                    return Ok(made);
                }
            }
        }
    }
    Ok(made)
}

fn measure(what: &str, shapes: Vec<Shape>, name: &str) -> Result<()> {
    let start = Instant::now();
    let mut builder = SeriesIndexBuilder::new();
    let mut memory = 0;
    for (labels, rows, first, span) in &shapes {
        let time_range = TimeRange::new(*first, first + span);
        builder.push(&SeriesEntry {
            labels,
            rows: *rows,
            time_range,
            has_floats: true,
            has_histograms: false,
        })?;
        memory = memory.max(builder.memory_bytes());
    }
    let gathered = start.elapsed();
    let mut region = Vec::new();
    let pointer = builder.finish(0, &[], &mut region)?;
    let built = start.elapsed();
    let series = shapes.len();
    let per_series = region.len() as f64 / series as f64;
    println!("{what}: {series} series, {} bytes, {per_series:.2} a series", region.len());
    println!("  built in {built:.2?} ({gathered:.2?} of it gathering), {} MiB at most", memory >> 20);

    let directory = directory(&region, &pointer)?;
    for kind in [BlockKind::Values, BlockKind::Series] {
        let blocks = directory.blocks().iter().filter(|block| block.kind == kind);
        let (count, stored, raw) = blocks.fold((0_u64, 0_u64, 0_u64), |(count, stored, raw), block| {
            (count + 1, stored + u64::from(block.stored_len), raw + u64::from(block.raw_len))
        });
        println!(
            "  {count} blocks of {kind}: {stored} bytes ({raw} raw), {:.2} a series",
            stored as f64 / series as f64
        );
    }
    println!("  directory: {} bytes, {} in memory", pointer.directory_length, directory.memory_bytes());

    let looked_up: Vec<&Labels> = shapes.iter().map(|shape| &shape.0).step_by(series.div_ceil(200)).collect();
    let start = Instant::now();
    let mut blocks = 0;
    for labels in &looked_up {
        let matchers =
            ["__name__", "job", name].map(|name| Matcher::equal(name, labels.get(name).unwrap_or_default()));
        let found = answer(Selection::new(&directory, &matchers), &directory, &region, &mut blocks)?;
        let one = found.iter().take(1).collect();
        let lookup = SeriesLookup::new(&directory, &one, TimeRange::ALL);
        answer(lookup, &directory, &region, &mut blocks)?;
    }
    let (each, blocks) = (start.elapsed() / looked_up.len() as u32, blocks as f64 / looked_up.len() as f64);
    println!("  selecting one {name} and resolving one series: {each:.2?}, {blocks:.1} blocks decoded");

    let start = Instant::now();
    let matchers = [Matcher::new(MatchOp::Regex, name, ".*7.*")?];
    let found = answer(Selection::new(&directory, &matchers), &directory, &region, &mut 0)?;
    println!("  {name}=~\".*7.*\": {} series in {:.2?}", found.len(), start.elapsed());
    let start = Instant::now();
    let resolved =
        answer(SeriesLookup::new(&directory, &found, TimeRange::ALL), &directory, &region, &mut 0)?;
    println!("  their labels: {} in {:.2?}", resolved.len(), start.elapsed());
    Ok(())
}

fn directory(region: &[u8], pointer: &IndexPointer) -> Result<Directory> {
    let start = Instant::now();
    let directory = Directory::decode(&region[region.len() - pointer.directory_length as usize..], pointer)?;
    println!("  directory decoded in {:.2?}", start.elapsed());
    Ok(directory)
}

fn answer<L: BlockLookup>(
    mut lookup: L,
    directory: &Directory,
    region: &[u8],
    decoded: &mut usize,
) -> Result<L::Answer> {
    loop {
        match lookup.step()? {
            Step::Done(answer) => return Ok(answer),
            Step::Need(blocks) => {
                for id in blocks {
                    let range = directory.block(id).ok_or("no such block")?.range();
                    let stored = &region[range.start as usize..range.end as usize];
                    lookup.supply(directory.decode_block(id, stored)?);
                    *decoded += 1;
                }
            }
        }
    }
}
