//! Bodies of requests, and the memory that they may take.
//!
//! Every byte of a body is counted before it is kept: against the limit of its kind, and against one budget for all requests.
//! Nothing is taken at its word. A length that is announced is refused when it is too long, but held only as far as bytes have
//! come, so that a thousand slow senders hold what they have sent, and no more. The decompressed length, which a snappy block
//! says first, is looked at before any memory is asked for.

use std::sync::Arc;

use axum::body::{Body, HttpBody};
use axum::http::StatusCode;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use snap::raw::{Decoder, decompress_len};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::ServerOptions;
use crate::buffers::{Buffer, Buffers};
use crate::reply::Refusal;

/// Most bytes that one byte of a snappy block can stand for, rounded up: a copy of 64 bytes takes three.
const SNAPPY_RATIO_MAX: usize = 22;

/// The memory that the bodies of all requests share.
#[derive(Debug)]
pub(crate) struct BodyBudget {
    bytes: Arc<Semaphore>,
    buffers: Buffers,
}

/// A part of the budget, given back when it is dropped.
pub(crate) type HeldBytes = OwnedSemaphorePermit;

impl BodyBudget {
    pub(crate) fn new(options: &ServerOptions) -> Self {
        let bytes = options.in_flight_bytes_max.min(Semaphore::MAX_PERMITS);
        Self { bytes: Arc::new(Semaphore::new(bytes)), buffers: Buffers::default() }
    }

    /// Bytes that no body holds.
    pub(crate) fn free_bytes(&self) -> usize {
        self.bytes.available_permits()
    }

    pub(crate) fn hold(&self, bytes: usize, options: &ServerOptions) -> Result<HeldBytes, Refusal> {
        let held =
            u32::try_from(bytes).ok().and_then(|b| Arc::clone(&self.bytes).try_acquire_many_owned(b).ok());
        // Not waited for: requests that each hold a part and wait for the rest would wait for each other.
        held.ok_or_else(|| {
            let reason = "the requests under way hold all the memory that they may: come again later";
            Refusal::busy(StatusCode::SERVICE_UNAVAILABLE, reason, options.retry_after)
        })
    }

    /// The whole of a body, in time and within `bytes_max`.
    pub(crate) async fn read(
        &self,
        body: Body,
        bytes_max: usize,
        options: &ServerOptions,
    ) -> Result<(Bytes, HeldBytes), Refusal> {
        let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
        // What can never be held is not told to come again.
        let bytes_max = bytes_max.min(options.in_flight_bytes_max);
        if announced > bytes_max {
            return Err(too_large(announced, bytes_max));
        }
        match timeout(options.body_time_max, self.collect(body, bytes_max, options)).await {
            Ok(read) => read,
            // A 4xx would have a sender drop what a better moment would let through.
            Err(_) => {
                let reason = format!("the body did not come within {:?}", options.body_time_max);
                Err(Refusal::busy(StatusCode::SERVICE_UNAVAILABLE, reason, options.retry_after))
            }
        }
    }

    async fn collect(
        &self,
        mut body: Body,
        bytes_max: usize,
        options: &ServerOptions,
    ) -> Result<(Bytes, HeldBytes), Refusal> {
        let mut held = self.hold(0, options)?;
        let (mut first, mut all) = (Bytes::new(), BytesMut::new());
        while let Some(frame) = body.frame().await {
            let frame =
                frame.map_err(|error| Refusal::bad_request(format!("the body broke off: {error}")))?;
            let Ok(data) = frame.into_data() else { continue };
            let length = first.len() + all.len() + data.len();
            if length > bytes_max {
                return Err(too_large(length, bytes_max));
            }
            held.merge(self.hold(data.len(), options)?);
            // Most bodies come in one piece, which needs no copy.
            if first.is_empty() && all.is_empty() {
                first = data;
                continue;
            }
            if !first.is_empty() {
                all.extend_from_slice(&std::mem::take(&mut first));
            }
            all.extend_from_slice(&data);
        }
        Ok((if all.is_empty() { first } else { all.freeze() }, held))
    }

    /// What a snappy block holds, within `bytes_max`.
    pub(crate) fn decompress(
        &self,
        block: &[u8],
        bytes_max: usize,
        options: &ServerOptions,
    ) -> Result<(Buffer<'_>, HeldBytes), Refusal> {
        let length = decompress_len(block).map_err(|error| not_snappy(&error.to_string()))?;
        let bytes_max = bytes_max.min(options.in_flight_bytes_max.saturating_sub(block.len()));
        if length > bytes_max {
            let reason = format!("the body has {length} bytes decompressed; the limit is {bytes_max}");
            return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, reason));
        }
        if length > block.len().saturating_mul(SNAPPY_RATIO_MAX) {
            return Err(not_snappy(&format!("{} bytes cannot hold the {length} they announce", block.len())));
        }
        let held = self.hold(length, options)?;
        let mut buffer = self.buffers.take(length);
        Decoder::new().decompress(block, &mut buffer).map_err(|error| not_snappy(&error.to_string()))?;
        Ok((buffer, held))
    }
}

fn too_large(bytes: usize, bytes_max: usize) -> Refusal {
    let reason = format!("the body has {bytes} bytes or more; the limit is {bytes_max}");
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, reason)
}

fn not_snappy(why: &str) -> Refusal {
    Refusal::bad_request(format!("the body is no snappy block (not the framed format): {why}"))
}
