//! The binary form in which stores keep our values: versioned, little, and read
//! back without trust.

use thiserror::Error;

/// Why octets could not be read back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PackError {
    /// The octets end too early or a value is out of range.
    #[error("the stored value is damaged")]
    Damaged,
    /// Written by a newer version.
    #[error("the stored value has version {0}, newer than this program reads")]
    Version(u8),
}

/// Writes values one after the other. Numbers are LEB128, texts and octets
/// have their length before them.
#[derive(Debug)]
pub struct Packer(Vec<u8>);

impl Packer {
    /// Starts a value of this version.
    pub fn new(version: u8) -> Self {
        Self(vec![version])
    }

    /// A number, short when small.
    pub fn u64(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.0.push((value & 0x7f) as u8);
    }

    /// A signed number, short when near 0.
    pub fn i64(&mut self, value: i64) {
        self.u64(((value << 1) ^ (value >> 63)).cast_unsigned());
    }

    /// An id.
    pub fn u128(&mut self, value: u128) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    /// Octets.
    pub fn octets(&mut self, octets: &[u8]) {
        self.u64(octets.len() as u64);
        self.0.extend_from_slice(octets);
    }

    /// A text.
    pub fn text(&mut self, text: &str) {
        self.octets(text.as_bytes());
    }

    /// A value that may be absent.
    pub fn option<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        match value {
            None => self.0.push(0),
            Some(value) => {
                self.0.push(1);
                write(self, value);
            }
        }
    }

    /// Values in order.
    pub fn list<T>(&mut self, values: &[T], mut write: impl FnMut(&mut Self, &T)) {
        self.u64(values.len() as u64);
        values.iter().for_each(|value| write(self, value));
    }

    /// The octets.
    pub fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// Reads what a [`Packer`] wrote.
#[derive(Debug)]
pub struct Unpacker<'a>(&'a [u8]);

impl<'a> Unpacker<'a> {
    /// Starts to read a value of at most version `newest`.
    ///
    /// # Errors
    /// [`PackError`].
    pub fn new(octets: &'a [u8], newest: u8) -> Result<Self, PackError> {
        match octets.split_first() {
            None => Err(PackError::Damaged),
            Some((&version, _)) if version == 0 || version > newest => {
                Err(PackError::Version(version))
            }
            Some((_, rest)) => Ok(Self(rest)),
        }
    }

    /// What is not read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.0
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], PackError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(PackError::Damaged)?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, PackError> {
        let (&byte, rest) = self.0.split_first().ok_or(PackError::Damaged)?;
        self.0 = rest;
        Ok(byte)
    }

    /// A number.
    ///
    /// # Errors
    /// [`PackError::Damaged`], as for all below.
    pub fn u64(&mut self) -> Result<u64, PackError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(PackError::Damaged)
    }

    /// A signed number.
    ///
    /// # Errors
    /// [`PackError::Damaged`].
    pub fn i64(&mut self) -> Result<i64, PackError> {
        let value = self.u64()?;
        Ok((value >> 1).cast_signed() ^ -((value & 1).cast_signed()))
    }

    /// An id.
    ///
    /// # Errors
    /// [`PackError::Damaged`].
    pub fn u128(&mut self) -> Result<u128, PackError> {
        let octets = self.take(16)?.try_into().map_err(|_| PackError::Damaged)?;
        Ok(u128::from_be_bytes(octets))
    }

    /// Octets.
    ///
    /// # Errors
    /// [`PackError::Damaged`].
    pub fn octets(&mut self) -> Result<&'a [u8], PackError> {
        let count = usize::try_from(self.u64()?).map_err(|_| PackError::Damaged)?;
        self.take(count)
    }

    /// A text.
    ///
    /// # Errors
    /// [`PackError::Damaged`].
    pub fn text(&mut self) -> Result<&'a str, PackError> {
        std::str::from_utf8(self.octets()?).map_err(|_| PackError::Damaged)
    }

    /// A value that may be absent.
    ///
    /// # Errors
    /// [`PackError::Damaged`].
    pub fn option<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, PackError>,
    ) -> Result<Option<T>, PackError> {
        match self.byte()? {
            0 => Ok(None),
            1 => read(self).map(Some),
            _ => Err(PackError::Damaged),
        }
    }

    /// Values in order. A count larger than the octets left is damage, so that
    /// no count can ask for memory that the input does not have.
    ///
    /// # Errors
    /// [`PackError::Damaged`].
    pub fn list<T>(
        &mut self,
        mut read: impl FnMut(&mut Self) -> Result<T, PackError>,
    ) -> Result<Vec<T>, PackError> {
        let count = usize::try_from(self.u64()?).map_err(|_| PackError::Damaged)?;
        if count > self.0.len() {
            return Err(PackError::Damaged);
        }
        (0..count).map(|_| read(self)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_reads_back(a: u64, b: i64, c: u128, d: Vec<u8>, e: Option<String>, f: Vec<String>) {
            let mut out = Packer::new(3);
            out.u64(a);
            out.i64(b);
            out.u128(c);
            out.octets(&d);
            out.option(e.as_deref(), |out, text| out.text(text));
            out.list(&f, |out, text| out.text(text));
            let octets = out.finish();
            let mut from = Unpacker::new(&octets, 3).unwrap();
            prop_assert_eq!(from.u64().unwrap(), a);
            prop_assert_eq!(from.i64().unwrap(), b);
            prop_assert_eq!(from.u128().unwrap(), c);
            prop_assert_eq!(from.octets().unwrap(), &d[..]);
            prop_assert_eq!(from.option(|from| from.text().map(str::to_owned)).unwrap(), e);
            prop_assert_eq!(from.list(|from| from.text().map(str::to_owned)).unwrap(), f);
            prop_assert!(from.rest().is_empty());
            prop_assert_eq!(Unpacker::new(&octets, 2).unwrap_err(), PackError::Version(3));
        }
    }
}
