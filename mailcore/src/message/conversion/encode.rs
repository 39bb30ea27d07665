//! Octets put into another form, piece by piece: [`Encoder`] (RFC 2045 sections
//! 6.7 and 6.8).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Octets of a line of encoded text without its CRLF.
const LINE: usize = 76;
/// Octets that a line of base64 stands for.
const BASE64_LINE: usize = LINE / 4 * 3;

/// What is done with the octets of one stretch of a message.
#[derive(Debug, Clone)]
pub(super) enum Encoder {
    /// Nothing.
    Copy,
    Base64(Base64),
    /// Lines of text as quoted-printable.
    Quoted(Quoted),
    /// Quoted-printable that holds what it must not.
    QuotedAnew(Quoted),
    /// Base64 that holds what it must not: whatever is not of its alphabet
    /// means nothing (RFC 2045 section 6.8) and is left out.
    Base64Anew {
        column: usize,
    },
    /// Text around the parts, which nobody reads.
    Plain(Plain),
}

impl Encoder {
    pub(super) fn push(&mut self, octets: &[u8], into: &mut Vec<u8>) {
        match self {
            Self::Copy => into.extend_from_slice(octets),
            Self::Base64(base64) => base64.push(octets, into),
            Self::Quoted(quoted) => octets.iter().for_each(|&octet| quoted.take(octet, into)),
            Self::QuotedAnew(quoted) => {
                octets.iter().for_each(|&o| quoted.take_quoted(o, into));
            }
            Self::Base64Anew { column } => {
                let known = |o: &&u8| o.is_ascii_alphanumeric() || b"+/=".contains(o);
                for &octet in octets.iter().filter(known) {
                    if *column == LINE {
                        into.extend_from_slice(b"\r\n");
                        *column = 0;
                    }
                    into.push(octet);
                    *column += 1;
                }
            }
            Self::Plain(plain) => octets.iter().for_each(|&octet| plain.take(octet, into)),
        }
    }

    pub(super) fn finish(self, into: &mut Vec<u8>) {
        match self {
            Self::Base64(base64) => base64.finish(into),
            Self::Quoted(quoted) | Self::QuotedAnew(quoted) => quoted.finish(into),
            Self::Plain(plain) => plain.finish(into),
            Self::Copy | Self::Base64Anew { .. } => {}
        }
    }
}

/// Lines of base64; no line end after the last.
#[derive(Debug, Clone, Default)]
pub(super) struct Base64 {
    /// Octets of the line to come.
    held: Vec<u8>,
    begun: bool,
}

impl Base64 {
    fn push(&mut self, octets: &[u8], into: &mut Vec<u8>) {
        let mut rest = octets;
        while self.held.len() + rest.len() >= BASE64_LINE {
            let room = BASE64_LINE - self.held.len();
            let Some((now, later)) = rest.split_at_checked(room) else {
                break;
            };
            self.held.extend_from_slice(now);
            rest = later;
            self.line(into);
        }
        self.held.extend_from_slice(rest);
    }

    fn line(&mut self, into: &mut Vec<u8>) {
        if std::mem::replace(&mut self.begun, true) {
            into.extend_from_slice(b"\r\n");
        }
        into.extend_from_slice(STANDARD.encode(&self.held).as_bytes());
        self.held.clear();
    }

    fn finish(mut self, into: &mut Vec<u8>) {
        if !self.held.is_empty() {
            self.line(into);
        }
    }
}

/// Quoted-printable whose line ends are those of the text.
#[derive(Debug, Clone, Default)]
pub(super) struct Quoted {
    column: usize,
    /// White space or CR, whose form hangs on what follows.
    held: Option<u8>,
    /// Octets of an escape still to come, which a soft break must not part.
    escape: u8,
}

impl Quoted {
    /// An octet of text.
    fn take(&mut self, octet: u8, into: &mut Vec<u8>) {
        match (self.held.take(), octet) {
            (Some(b'\r'), b'\n') => return self.end_line(into),
            (Some(space @ (b' ' | b'\t')), b'\r') => self.escaped(space, into),
            (Some(space @ (b' ' | b'\t')), _) => self.literal(space, into),
            (Some(other), _) => self.escaped(other, into),
            (None, _) => {}
        }
        match octet {
            b' ' | b'\t' | b'\r' => self.held = Some(octet),
            // A dot alone on its line ends the data of hosts that count
            // wrongly (RFC 2049 section 3).
            b'.' if self.column == 0 => self.escaped(octet, into),
            b'=' => self.escaped(octet, into),
            b'!'..=b'~' => self.literal(octet, into),
            _ => self.escaped(octet, into),
        }
    }

    /// An octet of what is quoted-printable already.
    fn take_quoted(&mut self, octet: u8, into: &mut Vec<u8>) {
        match (self.held.take(), octet) {
            // A bare LF ends a line too: after `=` it can be nothing else.
            (_, b'\n') => {
                self.escape = 0;
                return self.end_line(into);
            }
            (Some(stray), _) => self.escaped(stray, into),
            (None, _) => {}
        }
        match octet {
            b'\r' => self.held = Some(octet),
            b'=' => {
                self.make_room(3, into);
                self.escape = 2;
                into.push(octet);
                self.column += 1;
            }
            b' '..=b'~' | b'\t' if self.escape > 0 => {
                self.escape -= 1;
                into.push(octet);
                self.column += 1;
            }
            b' '..=b'~' | b'\t' => self.literal(octet, into),
            _ => self.escaped(octet, into),
        }
    }

    fn end_line(&mut self, into: &mut Vec<u8>) {
        into.extend_from_slice(b"\r\n");
        self.column = 0;
    }

    fn make_room(&mut self, octets: usize, into: &mut Vec<u8>) {
        if self.column + octets >= LINE {
            into.extend_from_slice(b"=\r\n");
            self.column = 0;
        }
    }

    fn literal(&mut self, octet: u8, into: &mut Vec<u8>) {
        self.make_room(1, into);
        into.push(octet);
        self.column += 1;
    }

    fn escaped(&mut self, octet: u8, into: &mut Vec<u8>) {
        self.make_room(3, into);
        let digit = |value: u8| b"0123456789ABCDEF".get(usize::from(value)).copied();
        into.push(b'=');
        into.extend([octet >> 4, octet & 15].into_iter().filter_map(digit));
        self.column += 3;
    }

    fn finish(mut self, into: &mut Vec<u8>) {
        if let Some(octet) = self.held.take() {
            self.escaped(octet, into);
        }
    }
}

/// Text without NUL, whose lines end with CRLF.
#[derive(Debug, Clone)]
pub(super) struct Plain {
    /// What octets above 127 become.
    pub(super) eight_bit: Option<u8>,
    pub(super) after_cr: bool,
}

impl Plain {
    fn take(&mut self, octet: u8, into: &mut Vec<u8>) {
        let after_cr = std::mem::replace(&mut self.after_cr, octet == b'\r');
        match octet {
            b'\n' => into.extend_from_slice(b"\r\n"),
            _ => {
                if after_cr {
                    into.extend_from_slice(b"\r\n");
                }
                match (octet, self.eight_bit) {
                    (0 | b'\r', _) => {}
                    (0x80.., Some(other)) => into.push(other),
                    _ => into.push(octet),
                }
            }
        }
    }

    fn finish(self, into: &mut Vec<u8>) {
        if self.after_cr {
            into.extend_from_slice(b"\r\n");
        }
    }
}
