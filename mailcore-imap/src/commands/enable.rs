//! ENABLE (RFC 5161).

use super::Started;
use crate::codec::{Cursor, ParseError};
use crate::session::{CondStore, Context};
use crate::wording::Status;

/// `enable = "ENABLE" 1*(SP capability)`. What is not known, or needs no
/// enabling, is passed over.
pub(super) fn start(cursor: &mut Cursor<'_>, cx: &mut Context) -> Result<Started, ParseError> {
    let mut condstore = false;
    loop {
        cursor.space()?;
        condstore |= cursor.atom()?.eq_ignore_ascii_case("CONDSTORE");
        if cursor.is_at_end() {
            break;
        }
    }
    let before = cx.condstore;
    if condstore {
        cx.enable_condstore();
    }
    let newly = before == CondStore::Off && cx.condstore == CondStore::On;
    cx.out.untagged(if newly {
        "ENABLED CONDSTORE"
    } else {
        "ENABLED"
    });
    Started::done(Status::ok("ENABLE completed"))
}
