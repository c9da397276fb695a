//! Compressing one page at a time, with the compressor's memory kept from page to page.

use std::fmt;

use parquet::basic::{Compression as Codec, ZstdLevel};

use crate::{Compression, Error, Result};

/// A page compressor.
pub(super) enum PageCodec {
    None,
    Snappy(Box<snap::raw::Encoder>),
    Lz4,
    Zstd(zstd::bulk::Compressor<'static>, ZstdLevel),
}

impl PageCodec {
    pub(super) fn new(compression: Compression) -> Result<Self> {
        Ok(match compression {
            Compression::None => Self::None,
            Compression::Snappy => Self::Snappy(Box::new(snap::raw::Encoder::new())),
            Compression::Lz4 => Self::Lz4,
            Compression::Zstd(level) => {
                let invalid = |e: &dyn fmt::Display| Error::InvalidConfig(format!("ZSTD level {level}: {e}"));
                let checked = ZstdLevel::try_new(level).map_err(|e| invalid(&e))?;
                Self::Zstd(zstd::bulk::Compressor::new(level).map_err(|e| invalid(&e))?, checked)
            }
        })
    }

    /// As Parquet names it.
    pub(super) fn codec(&self) -> Codec {
        match self {
            Self::None => Codec::UNCOMPRESSED,
            Self::Snappy(_) => Codec::SNAPPY,
            Self::Lz4 => Codec::LZ4_RAW,
            Self::Zstd(_, level) => Codec::ZSTD(*level),
        }
    }

    /// Leaves `page`, compressed, in `out`.
    pub(super) fn compress(&mut self, page: &[u8], out: &mut Vec<u8>) -> Result<()> {
        out.clear();
        match self {
            Self::None => out.extend_from_slice(page),
            Self::Snappy(encoder) => {
                out.resize(snap::raw::max_compress_len(page.len()), 0);
                let len = encoder.compress(page, out).map_err(std::io::Error::from)?;
                out.truncate(len);
            }
            Self::Lz4 => {
                out.resize(lz4_flex::block::get_maximum_output_size(page.len()), 0);
                let len = lz4_flex::block::compress_into(page, out).map_err(std::io::Error::other)?;
                out.truncate(len);
            }
            Self::Zstd(compressor, _) => {
                out.resize(zstd::zstd_safe::compress_bound(page.len()), 0);
                let len = compressor.compress_to_buffer(page, &mut out[..])?;
                out.truncate(len);
            }
        }
        Ok(())
    }
}

impl fmt::Debug for PageCodec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.codec(), f)
    }
}
