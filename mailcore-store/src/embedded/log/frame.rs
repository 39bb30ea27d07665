//! Frames: the unit of the log and of extents, a 64-octet header with a
//! checksum of its own, then the payload with another.
//!
//! What a payload means is not known here; `docs/storage.md` gives the layout
//! octet by octet.

use bytes::{Buf, BufMut};
use thiserror::Error;

/// Octets of a frame header.
pub(crate) const HEADER_LEN: usize = 64;
/// Frames start at multiples of this, so that a search after damage is quick.
pub(crate) const ALIGNMENT: u64 = 8;
/// The longest payload of any frame: bounds what a reader allocates.
pub(crate) const MAX_PAYLOAD: usize = 16 << 20;
/// Octets of content in one body block.
pub(crate) const BLOCK: usize = 64 << 10;

const MAGIC: u32 = u32::from_le_bytes(*b"MCf1");
const CHECKED: usize = HEADER_LEN - 4;
/// Zeros between the last field and the checksum.
const RESERVED: usize = 12;

/// A log sequence number: counts frame groups from 1 over all segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Lsn(pub u64);

impl Lsn {
    /// The number of the group after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl std::fmt::Display for Lsn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// The store's identity: random, in every file's header, and mixed into each
/// frame header's checksum. It is never shown to peers, so no mail can be made
/// to look like a frame to a reader that searches after damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreId(pub [u8; 16]);

impl StoreId {
    fn seed(self) -> u32 {
        crc32c::crc32c(&self.0)
    }

    pub(crate) fn checksum(self, data: &[u8]) -> u32 {
        crc32c::crc32c_append(self.seed(), data)
    }
}

/// What a frame holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FrameKind {
    /// Content of a message, before the record that names it.
    Body,
    /// The record that ends a group and makes it count.
    Record,
    /// Content of a message in an extent file.
    Extent,
}

impl FrameKind {
    fn code(self) -> u8 {
        match self {
            Self::Body => 1,
            Self::Record => 2,
            Self::Extent => 3,
        }
    }

    fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Body),
            2 => Some(Self::Record),
            3 => Some(Self::Extent),
            _ => None,
        }
    }
}

/// A frame's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    pub(crate) kind: FrameKind,
    /// 0: stored as it is. Other values are reserved for compression.
    pub(crate) compression: u8,
    /// 0: not encrypted. Other values are reserved for encryption at rest.
    pub(crate) key_id: u16,
    /// The segment or extent the frame was written for.
    pub(crate) file_id: u64,
    /// The group; 0 in extents.
    pub(crate) lsn: Lsn,
    /// The frame's place in its group or extent, from 0.
    pub(crate) index: u32,
    /// Octets of payload in the file.
    pub(crate) stored_len: u32,
    /// Octets of payload once decompressed and decrypted.
    pub(crate) plain_len: u32,
    pub(crate) payload_checksum: u32,
    /// Every group up to this one was on stable storage when this was written.
    pub(crate) synced: Lsn,
}

/// Why octets are not a sound frame of this file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum FrameError {
    #[error("no frame header with a valid checksum")]
    Header,
    #[error("the frame needs a newer version of this software")]
    Newer,
    #[error("the payload does not match its checksum")]
    Payload,
}

impl FrameHeader {
    /// A header for `payload`, stored as it is.
    pub(crate) fn plain(kind: FrameKind, payload: &[u8]) -> Self {
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        Self {
            kind,
            compression: 0,
            key_id: 0,
            file_id: 0,
            lsn: Lsn(0),
            index: 0,
            stored_len: length,
            plain_len: length,
            payload_checksum: crc32c::crc32c(payload),
            synced: Lsn(0),
        }
    }

    /// Octets the frame takes in the file, padding included.
    pub(crate) fn span(&self) -> u64 {
        span(self.stored_len as usize)
    }

    /// Appends the header's octets to `out`.
    pub(crate) fn encode(&self, store: StoreId, out: &mut Vec<u8>) {
        let start = out.len();
        out.put_u32_le(MAGIC);
        out.put_u8(self.kind.code());
        out.put_u8(self.compression);
        out.put_u16_le(self.key_id);
        out.put_u64_le(self.file_id);
        out.put_u64_le(self.lsn.0);
        out.put_u32_le(self.index);
        out.put_u32_le(self.stored_len);
        out.put_u32_le(self.plain_len);
        out.put_u32_le(self.payload_checksum);
        out.put_u64_le(self.synced.0);
        out.put_bytes(0, RESERVED);
        let checksum = store.checksum(out.get(start..).unwrap_or_default());
        out.put_u32_le(checksum);
    }

    /// Reads a header.
    ///
    /// # Errors
    /// [`FrameError::Header`] or [`FrameError::Newer`].
    pub(crate) fn decode(store: StoreId, octets: &[u8]) -> Result<Self, FrameError> {
        let checked = octets.get(..CHECKED).ok_or(FrameError::Header)?;
        let mut rest = octets.get(..HEADER_LEN).ok_or(FrameError::Header)?;
        if rest.get_u32_le() != MAGIC {
            return Err(FrameError::Header);
        }
        let mut tail = octets.get(CHECKED..HEADER_LEN).ok_or(FrameError::Header)?;
        if tail.get_u32_le() != store.checksum(checked) {
            return Err(FrameError::Header);
        }
        let kind = FrameKind::from_code(rest.get_u8()).ok_or(FrameError::Newer)?;
        let header = Self {
            kind,
            compression: rest.get_u8(),
            key_id: rest.get_u16_le(),
            file_id: rest.get_u64_le(),
            lsn: Lsn(rest.get_u64_le()),
            index: rest.get_u32_le(),
            stored_len: rest.get_u32_le(),
            plain_len: rest.get_u32_le(),
            payload_checksum: rest.get_u32_le(),
            synced: Lsn(rest.get_u64_le()),
        };
        if header.compression != 0 || header.key_id != 0 {
            return Err(FrameError::Newer);
        }
        match header.stored_len as usize <= MAX_PAYLOAD {
            true => Ok(header),
            false => Err(FrameError::Header),
        }
    }

    /// Checks a payload against the header.
    ///
    /// # Errors
    /// [`FrameError::Payload`].
    pub(crate) fn verify(&self, payload: &[u8]) -> Result<(), FrameError> {
        match payload.len() == self.stored_len as usize
            && crc32c::crc32c(payload) == self.payload_checksum
        {
            true => Ok(()),
            false => Err(FrameError::Payload),
        }
    }
}

/// Octets a frame with such a payload takes in the file, padding included.
pub(crate) fn span(payload_len: usize) -> u64 {
    (HEADER_LEN as u64 + payload_len as u64).next_multiple_of(ALIGNMENT)
}

/// Appends a whole frame, padded, to `out`.
pub(crate) fn push(store: StoreId, header: &FrameHeader, payload: &[u8], out: &mut Vec<u8>) {
    header.encode(store, out);
    out.extend_from_slice(payload);
    let padding = header.span() - (HEADER_LEN as u64 + payload.len() as u64);
    out.put_bytes(0, usize::try_from(padding).unwrap_or(0));
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORE: StoreId = StoreId([7; 16]);

    #[test]
    fn a_frame_reads_back_and_any_changed_bit_is_found() {
        let payload = b"Subject: x\r\n\r\nbody";
        let header = FrameHeader {
            file_id: 3,
            lsn: Lsn(9),
            index: 1,
            synced: Lsn(8),
            ..FrameHeader::plain(FrameKind::Body, payload)
        };
        let mut frame = Vec::new();
        push(STORE, &header, payload, &mut frame);
        assert_eq!(frame.len() as u64, header.span());
        assert_eq!(FrameHeader::decode(STORE, &frame), Ok(header));
        for bit in 0..(HEADER_LEN + payload.len()) * 8 {
            let mut bad = frame.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let sound = FrameHeader::decode(STORE, &bad)
                .and_then(|it| it.verify(&bad[HEADER_LEN..HEADER_LEN + payload.len()]));
            assert!(sound.is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_frame_of_another_store_is_not_ours() {
        let mut frame = Vec::new();
        push(
            STORE,
            &FrameHeader::plain(FrameKind::Record, b"x"),
            b"x",
            &mut frame,
        );
        assert_eq!(
            FrameHeader::decode(StoreId([8; 16]), &frame),
            Err(FrameError::Header)
        );
    }
}
