//! EXAMINE (RFC 3501 section 6.3.2): SELECT that changes nothing.

use super::{Started, select};
use crate::codec::{Cursor, ParseError};
use crate::session::{Access, Context};

/// `examine = "EXAMINE" SP mailbox`
pub(super) fn start(cursor: &mut Cursor<'_>, cx: &mut Context) -> Result<Started, ParseError> {
    select::begin(cursor, cx, Access::ReadOnly)
}
