//! Octets to grammar and back: [`framer`] finds where a command ends,
//! [`Cursor`] reads a whole command, [`Encoder`] writes responses.
//!
//! What a command means is for the files of `commands`.

mod cursor;
mod encoder;
mod fetch;
pub mod framer;
mod mutf7;
mod search;
mod sequence;

pub use cursor::{Cursor, ParseError};
pub use encoder::{Encoder, Recent};
pub use mutf7::{decode as decode_mailbox, encode as encode_mailbox};

/// How texts beyond ASCII stand on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TextForm {
    /// IMAP4rev1: names in modified UTF-7, other texts as literals.
    #[default]
    Ascii,
    /// IMAP4rev2 and `UTF8=ACCEPT`: UTF-8, between quotes, too.
    Utf8,
}

/// Levels of parentheses allowed in a command.
pub const MAX_NESTING: usize = 50;

/// `ATOM-CHAR = <any CHAR except atom-specials>`
pub fn is_atom_char(b: u8) -> bool {
    b.is_ascii_graphic() && !matches!(b, b'(' | b')' | b'{' | b'%' | b'*' | b'"' | b'\\' | b']')
}

/// `ASTRING-CHAR = ATOM-CHAR / resp-specials`
pub fn is_astring_char(b: u8) -> bool {
    is_atom_char(b) || b == b']'
}
