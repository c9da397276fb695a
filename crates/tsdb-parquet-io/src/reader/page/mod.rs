//! Single pages of number columns, decoded only as far as the rows that are wanted.
//!
//! A look-up by the series index wants a few hundred rows of pages that it knows by offset and checksum. It needs no
//! decoder of whole column chunks: a page is taken apart here, and of the encodings that allow it only the wanted rows
//! are touched. Everything comes from checksummed bytes, and yet nothing is trusted: what does not fit is an error text,
//! which the caller puts beside the file's path.

mod delta;
mod header;
mod hybrid;
mod numbers;
mod split;
#[cfg(test)]
mod tests;

use std::cell::RefCell;

use parquet::basic::Compression;

use header::PageHeader;
pub(super) use numbers::{Number, NumberPage};

/// What is wrong with a page.
pub(super) type PageResult<T> = Result<T, String>;

/// The most that a page decodes to, decompressed or as numbers: a bound on what a damaged header makes a reader allocate.
const PAGE_BYTES_MAX: usize = 1 << 30;

thread_local! {
    /// A decompressor has some hundred kilobytes, which take longer to get than a small page to decompress.
    static READER: RefCell<PageReader> = RefCell::default();
}

/// Takes one page apart: its header, then its body, compressed with `codec`.
pub(super) fn read_page(bytes: &[u8], codec: Compression) -> PageResult<RawPage> {
    READER.with_borrow_mut(|reader| reader.read(bytes, codec))
}

/// Decompresses pages, with the decompressor's memory kept from page to page.
#[derive(Default)]
struct PageReader {
    zstd: Option<zstd::bulk::Decompressor<'static>>,
}

/// A page's content.
#[derive(Debug)]
pub(super) struct RawPage {
    header: PageHeader,
    /// Levels and values, decompressed.
    body: Vec<u8>,
}

impl PageReader {
    /// See [`read_page`].
    fn read(&mut self, bytes: &[u8], codec: Compression) -> PageResult<RawPage> {
        let (header, compressed) = PageHeader::parse(bytes)?;
        if compressed.len() != header.compressed_bytes || header.body_bytes > PAGE_BYTES_MAX {
            let PageHeader { compressed_bytes, body_bytes, .. } = header;
            let found = compressed.len();
            return Err(format!(
                "a page of {compressed_bytes} bytes, {body_bytes} decompressed, of which {found} are there"
            ));
        }
        if codec == Compression::UNCOMPRESSED && compressed.len() != header.body_bytes {
            let (body, found) = (header.body_bytes, compressed.len());
            return Err(format!("a page of {body} bytes, not compressed, of which {found} are there"));
        }
        let mut body = Vec::new();
        let len = match codec {
            Compression::UNCOMPRESSED => {
                body.extend_from_slice(compressed);
                body.len()
            }
            Compression::SNAPPY => {
                body.resize(header.body_bytes, 0);
                snap::raw::Decoder::new().decompress(compressed, &mut body).map_err(|e| e.to_string())?
            }
            Compression::LZ4_RAW => {
                body.resize(header.body_bytes, 0);
                lz4_flex::block::decompress_into(compressed, &mut body).map_err(|e| e.to_string())?
            }
            Compression::ZSTD(_) => {
                let zstd = match &mut self.zstd {
                    Some(zstd) => zstd,
                    none => none.insert(zstd::bulk::Decompressor::new().map_err(|e| e.to_string())?),
                };
                body.reserve_exact(header.body_bytes);
                zstd.decompress_to_buffer(compressed, &mut body).map_err(|e| e.to_string())?
            }
            other => return Err(format!("a page compressed with {other}")),
        };
        if len != header.body_bytes || body.len() != len {
            return Err(format!("a page that decompresses to {len} bytes of {}", header.body_bytes));
        }
        Ok(RawPage { header, body })
    }
}
