//! COMPRESS (RFC 4978 section 3).

use super::{Done, Started, Then};
use crate::codec::{Cursor, ParseError};
use crate::session::Context;
use crate::types::ResponseCode;
use crate::wording::{self, Status};

/// `compress = "COMPRESS" SP algorithm`
pub(super) fn start(cursor: &mut Cursor<'_>, cx: &mut Context) -> Result<Started, ParseError> {
    cursor.space()?;
    if !cursor.eat_word("DEFLATE") {
        return Err(ParseError::Expected("DEFLATE"));
    }
    cursor.end()?;
    if cx.is_compressed {
        let active = "DEFLATE is active already";
        return Started::done(Status::no(ResponseCode::CompressionActive, active));
    }
    cx.is_compressed = true;
    Ok(Started::Done(Done {
        status: Status::ok(wording::COMPRESS),
        then: Then::Compress,
    }))
}
