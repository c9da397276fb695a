//! Pages of the stock writer, taken apart here, give what the stock decoder gives; forged ones give an error or some
//! numbers.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::data_type::Int64Type;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use parquet::file::properties::WriterProperties;
use parquet::file::reader::FileReader;
use parquet::file::serialized_reader::SerializedFileReader;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::hybrid::References;
use super::*;

/// A file with one column chunk.
fn write(numbers: &[Option<i64>], nullable: bool, encoding: Option<Encoding>, codec: Compression) -> Bytes {
    let repetition = if nullable { "optional" } else { "required" };
    let schema = parse_message_type(&format!("message m {{ {repetition} int64 n; }}")).unwrap();
    let properties = WriterProperties::builder()
        .set_compression(codec)
        .set_dictionary_enabled(encoding.is_none())
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_write_batch_size(PAGE_ROWS);
    let properties = match encoding {
        Some(encoding) => properties.set_encoding(encoding),
        None => properties,
    };
    let mut file =
        SerializedFileWriter::new(Vec::new(), Arc::new(schema), Arc::new(properties.build())).unwrap();
    let mut group = file.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    let levels: Vec<i16> = numbers.iter().map(|number| i16::from(number.is_some())).collect();
    let there: Vec<i64> = numbers.iter().flatten().copied().collect();
    let levels = nullable.then_some(&levels[..]);
    column.typed::<Int64Type>().write_batch(&there, levels, None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    file.into_inner().unwrap().into()
}

const PAGE_ROWS: usize = 500;

/// The pages of the only column chunk: a dictionary, and data pages with their rows.
struct Pages {
    dictionary: Option<Range<usize>>,
    data: Vec<(Range<usize>, Range<usize>)>,
}

fn pages(file: &Bytes) -> Pages {
    let reader = ParquetMetaDataReader::new().with_page_index_policy(PageIndexPolicy::Required);
    let metadata: ParquetMetaData = reader.parse_and_finish(file).unwrap();
    let chunk = metadata.row_group(0).column(0);
    let locations = metadata.offset_index().unwrap()[0][0].page_locations();
    let dictionary = chunk.dictionary_page_offset().map(|at| at as usize..locations[0].offset as usize);
    let rows = metadata.row_group(0).num_rows();
    let ends = locations.iter().skip(1).map(|page| page.first_row_index).chain([rows]);
    let data = locations.iter().zip(ends).map(|(page, end)| {
        let at = page.offset as usize;
        (at..at + page.compressed_page_size as usize, page.first_row_index as usize..end as usize)
    });
    Pages { dictionary, data: data.collect() }
}

/// What the stock decoder reads of the chunk.
fn stock(file: &Bytes, rows: usize) -> Vec<Option<i64>> {
    let reader = SerializedFileReader::new(file.clone()).unwrap();
    let mut column = parquet::column::reader::get_typed_column_reader::<Int64Type>(
        reader.get_row_group(0).unwrap().get_column_reader(0).unwrap(),
    );
    let (mut levels, mut numbers) = (Vec::new(), Vec::new());
    let (read, ..) = column.read_records(rows, Some(&mut levels), None, &mut numbers).unwrap();
    assert_eq!(read, rows);
    let mut numbers = numbers.into_iter();
    if levels.is_empty() {
        return numbers.map(Some).collect();
    }
    levels.into_iter().map(|level| if level > 0 { numbers.next() } else { None }).collect()
}

/// Decodes all pages and compares rows of each, from every so manieth one on.
fn check(
    numbers: &[Option<i64>],
    nullable: bool,
    encoding: Option<Encoding>,
    codec: Compression,
    step: usize,
) {
    let file = write(numbers, nullable, encoding, codec);
    assert_eq!(stock(&file, numbers.len()), numbers);
    let Pages { dictionary, data } = pages(&file);
    let mut reader = PageReader::default();
    let dictionary =
        dictionary.map(|range| NumberPage::dictionary(&reader.read(&file[range], codec).unwrap()).unwrap());
    for (range, rows) in data {
        let numbers = &numbers[rows];
        let raw = reader.read(&file[range], codec).unwrap();
        let page = NumberPage::data(raw, numbers.len(), nullable, dictionary.as_ref()).unwrap();
        let mut out: Vec<u64> = Vec::new();
        for start in (0..numbers.len()).step_by(step) {
            for end in [start, start + 1, start + 7, start + 100, numbers.len()] {
                let rows = start..end.min(numbers.len());
                out.clear();
                let taken = page.take(rows.clone(), &mut out);
                let expected: Option<Vec<u64>> =
                    numbers[rows.clone()].iter().map(|number| number.map(i64::cast_unsigned)).collect();
                match expected {
                    Some(expected) => {
                        assert_eq!(taken, Ok(()), "{rows:?}");
                        assert_eq!(out, expected, "{rows:?}");
                    }
                    None => assert!(taken.is_err(), "{rows:?} of {numbers:?}"),
                }
            }
        }
        let beyond = numbers.len() - 1..numbers.len() + 1;
        assert!(page.take(beyond, &mut out).is_err());
    }
}

fn encodings() -> impl Strategy<Value = Option<Encoding>> {
    select(vec![
        None,
        Some(Encoding::PLAIN),
        Some(Encoding::DELTA_BINARY_PACKED),
        Some(Encoding::BYTE_STREAM_SPLIT),
    ])
}

fn codecs() -> impl Strategy<Value = Compression> {
    select(vec![
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::LZ4_RAW,
        Compression::ZSTD(ZstdLevel::default()),
    ])
}

/// Numbers of so many bits, in runs and alone.
fn numbers(nullable: bool) -> impl Strategy<Value = Vec<Option<i64>>> {
    let number = (0..=64_u32, any::<u64>()).prop_flat_map(move |(bits, base)| {
        let mask = u64::MAX.checked_shr(64 - bits).unwrap_or(0);
        let number = any::<u64>().prop_map(move |number| (number & mask).wrapping_add(base).cast_signed());
        let count = prop_oneof![6 => 1..3_usize, 1 => 1..40_usize, 1 => 1..700_usize];
        let has = prop::bool::weighted(if nullable { 0.8 } else { 1.0 });
        vec((number, count, has), 1..300)
    });
    number.prop_map(|runs| {
        let runs = runs.into_iter();
        runs.flat_map(|(number, count, has)| std::iter::repeat_n(has.then_some(number), count))
            .take(3_000)
            .collect()
    })
}

/// Packs `numbers` into Parquet's hybrid: `runs` says of each stretch how long it is, and whether it is of one number.
fn hybrid(numbers: &[u32], width: u8) -> Vec<u8> {
    let mut out = vec![width];
    let varint = |out: &mut Vec<u8>, mut number: usize| {
        while number >= 0x80 {
            out.push(number as u8 | 0x80);
            number >>= 7;
        }
        out.push(number as u8);
    };
    let mut rest = numbers;
    while let Some(&first) = rest.first() {
        let same = rest.iter().take_while(|&&number| number == first).count();
        if same >= 9 {
            varint(&mut out, same << 1);
            out.extend_from_slice(&first.to_le_bytes()[..usize::from(width).div_ceil(8)]);
            rest = &rest[same..];
            continue;
        }
        // One group or two of eight, filled up with zeros at the end.
        let groups = if rest.len() > 8 { 2 } else { 1 };
        varint(&mut out, groups << 1 | 1);
        let (packed, after) = rest.split_at(rest.len().min(8 * groups));
        let mut bits = vec![0_u8; groups * usize::from(width)];
        for (index, number) in packed.iter().enumerate() {
            for bit in (0..usize::from(width)).filter(|bit| number >> bit & 1 > 0) {
                let at = index * usize::from(width) + bit;
                bits[at / 8] |= 1 << (at % 8);
            }
        }
        out.extend_from_slice(&bits);
        rest = after;
    }
    out
}

proptest! {
    #[test]
    fn numbers_of_any_encoding_are_those_of_the_stock_decoder(
        numbers in numbers(false), nullable in any::<bool>(), encoding in encodings(), codec in codecs(),
        step in 1..60_usize,
    ) {
        check(&numbers, nullable, encoding, codec, step);
    }

    #[test]
    fn nulls_are_where_the_stock_decoder_has_them(
        numbers in numbers(true), encoding in encodings(), codec in codecs(), step in 1..60_usize,
    ) {
        check(&numbers, true, encoding, codec, step);
    }

    #[test]
    fn references_of_any_width_are_taken_from_any_place(
        width in 0..=32_u8,
        runs in vec((prop_oneof![9 => 0..4_096_u32, 1 => any::<u32>()], prop_oneof![4 => Just(1_usize), 1 => 1..60_usize]), 1..80),
        ranges in vec((any::<Index>(), any::<Index>()), 20),
    ) {
        let mask = u32::MAX.checked_shr(32 - u32::from(width)).unwrap_or(0);
        let numbers: Vec<u32> =
            runs.into_iter().flat_map(|(number, count)| std::iter::repeat_n(number & mask, count)).collect();
        let body = hybrid(&numbers, width);
        let references = References::new(body.clone(), 0, numbers.len()).unwrap();
        for (a, b) in ranges {
            let (a, b) = (a.index(numbers.len() + 1), b.index(numbers.len() + 1));
            let range = a.min(b)..a.max(b);
            let expected: Vec<u64> = numbers[range.clone()].iter().map(|&n| u64::from(n) ^ 5).collect();
            // A dictionary for small references only; in it, each number is another one.
            let dictionary: Vec<u64> = (0..1_u64 << width.min(12)).map(|n| n ^ 5).collect();
            let mut out: Vec<u64> = Vec::new();
            let taken = references.take(range.clone(), &dictionary, &mut out);
            if numbers[range].iter().all(|&number| (number as usize) < dictionary.len()) {
                prop_assert_eq!(taken, Ok(()));
                prop_assert_eq!(out, expected);
            } else {
                prop_assert!(taken.is_err());
            }
        }
        if width > 0 {
            prop_assert!(References::new(body[..body.len() - 1].to_vec(), 0, numbers.len()).is_err());
        }
    }

    #[test]
    fn a_forged_page_is_refused_or_harmless(
        numbers in numbers(true), encoding in encodings(), codec in codecs(),
        changes in vec((any::<Index>(), any::<u8>(), any::<bool>()), 1..5),
        rows in prop_oneof![Just(PAGE_ROWS), 0..2 * PAGE_ROWS, any::<usize>()],
        nullable in prop::bool::weighted(0.9),
        takes in vec((any::<Index>(), any::<Index>()), 5),
    ) {
        let file = write(&numbers, true, encoding, codec);
        let Pages { dictionary, data } = pages(&file);
        let forge = |range: Range<usize>| {
            let mut bytes = file[range].to_vec();
            for (at, byte, in_header) in &changes {
                // The header takes some 20 bytes.
                let at = at.index(if *in_header { bytes.len().min(24) } else { bytes.len() });
                bytes[at] = *byte;
            }
            bytes
        };
        let mut reader = PageReader::default();
        let whole = dictionary.clone().map(|range| {
            NumberPage::dictionary(&reader.read(&file[range], codec).unwrap()).unwrap()
        });
        if let Some(range) = dictionary && let Ok(raw) = reader.read(&forge(range), codec) {
            let _ = NumberPage::dictionary(&raw);
        }
        for (range, of_page) in data.into_iter().take(2) {
            let rows = if rows == PAGE_ROWS { of_page.len() } else { rows };
            let page = reader
                .read(&forge(range), codec)
                .and_then(|raw| NumberPage::data(raw, rows, nullable, whole.as_ref()));
            let Ok(page) = page else { continue };
            for (a, b) in &takes {
                let _ = page.take(a.index(rows + 1)..b.index(rows + 1), &mut Vec::<u64>::new());
            }
        }
    }

    #[test]
    fn a_forged_header_is_refused_or_harmless(bytes in vec(any::<u8>(), 0..60)) {
        let _ = PageHeader::parse(&bytes);
    }
}

/// A page whose header and content say that it has `rows` numbers.
fn page_of(rows: usize, encoding: i64, body: Vec<u8>) -> RawPage {
    let header = PageHeader { values: rows, encoding, ..PageHeader::default() };
    RawPage { header, body }
}

#[test]
fn no_room_is_made_for_numbers_that_cannot_be_there() {
    for rows in [1 << 33, 1 << 40, 1 << 60, usize::MAX] {
        // Blocks of 128 differences in 4 parts, `rows` numbers, the first of them 0, and nothing behind it.
        let mut body = vec![0x80, 0x01, 4];
        let mut rest = rows;
        while rest >= 0x80 {
            body.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        body.extend([rest as u8, 0]);
        assert!(NumberPage::data(page_of(rows, 5, body), rows, false, None).is_err(), "{rows}");
        // One reference of no bits, as often as there are rows.
        let dictionary: Arc<[u64]> = Arc::from([7]);
        let body = vec![0, 0xfe, 0xff, 0xff, 0xff, 0xff, 0x7f];
        assert!(NumberPage::data(page_of(rows, 8, body), rows, false, Some(&dictionary)).is_err(), "{rows}");
    }
}
