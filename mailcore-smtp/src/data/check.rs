//! Whether octets that come without stuffing keep to lines: [`LineCheck`].

use memchr::memchr3;

use super::DataFault;

/// Looks for a bare CR, a bare LF and NUL in content that comes piece by piece,
/// as BDAT brings it (RFC 3030 section 3: without BINARYMIME it is lines).
///
/// Any split of the content gives the same result.
#[derive(Debug, Default)]
pub struct LineCheck {
    after_cr: bool,
}

impl LineCheck {
    /// Looks at the next piece.
    ///
    /// # Errors
    /// [`DataFault::StrayLineEnd`] or [`DataFault::Nul`], whichever comes first.
    pub fn next(&mut self, octets: &[u8]) -> Result<(), DataFault> {
        let mut rest = octets;
        while !rest.is_empty() {
            if std::mem::take(&mut self.after_cr) {
                rest = rest.strip_prefix(b"\n").ok_or(DataFault::StrayLineEnd)?;
                continue;
            }
            let Some(at) = memchr3(b'\r', b'\n', 0, rest) else {
                break;
            };
            match rest.get(at) {
                Some(b'\r') => self.after_cr = true,
                Some(b'\n') => return Err(DataFault::StrayLineEnd),
                _ => return Err(DataFault::Nul),
            }
            rest = rest.get(at + 1..).unwrap_or_default();
        }
        Ok(())
    }

    /// The content is over.
    ///
    /// # Errors
    /// [`DataFault::StrayLineEnd`] when it ended in a bare CR.
    pub fn finish(&self) -> Result<(), DataFault> {
        if self.after_cr {
            Err(DataFault::StrayLineEnd)
        } else {
            Ok(())
        }
    }
}
