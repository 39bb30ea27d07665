//! [`Response`]: what a page answers, and its octets (RFC 9112 section 4).

use std::fmt::Write;

use bytes::{Bytes, BytesMut};

/// A status code (RFC 9110 section 15).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Status(u16);

impl Status {
    /// Done.
    pub const OK: Self = Self(200);
    /// The page is elsewhere, to be shown by GET.
    pub const SEE_OTHER: Self = Self(303);
    /// Not a request.
    pub const BAD_REQUEST: Self = Self(400);
    /// No such page.
    pub const NOT_FOUND: Self = Self(404);
    /// The page does not do that.
    pub const METHOD_NOT_ALLOWED: Self = Self(405);
    /// The request did not come in time.
    pub const REQUEST_TIMEOUT: Self = Self(408);
    /// There was such a page.
    pub const GONE: Self = Self(410);
    /// More content than is taken.
    pub const CONTENT_TOO_LARGE: Self = Self(413);
    /// Sent to the wrong host (RFC 9110 section 15.5.20).
    pub const MISDIRECTED: Self = Self(421);
    /// A head that is too large (RFC 6585 section 5).
    pub const FIELDS_TOO_LARGE: Self = Self(431);
    /// A failure of ours.
    pub const INTERNAL_ERROR: Self = Self(500);
    /// No such method.
    pub const NOT_IMPLEMENTED: Self = Self(501);
    /// Not now.
    pub const UNAVAILABLE: Self = Self(503);
    /// Another version of HTTP.
    pub const VERSION_NOT_SUPPORTED: Self = Self(505);

    /// A code of three digits.
    pub fn new(code: u16) -> Option<Self> {
        (200..=599).contains(&code).then_some(Self(code))
    }

    /// The number.
    pub fn code(self) -> u16 {
        self.0
    }

    /// What people read.
    pub fn reason(self) -> &'static str {
        match self.0 {
            200 => "OK",
            303 => "See Other",
            400 => "Bad Request",
            404 => "Not Found",
            405 => "Method Not Allowed",
            408 => "Request Timeout",
            410 => "Gone",
            413 => "Content Too Large",
            421 => "Misdirected Request",
            431 => "Request Header Fields Too Large",
            500 => "Internal Server Error",
            501 => "Not Implemented",
            503 => "Service Unavailable",
            505 => "HTTP Version Not Supported",
            _ => "",
        }
    }
}

/// A whole response. Fields that keep browsers from guessing and from being
/// used against the reader are sent with each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    status: Status,
    media_type: &'static str,
    fields: Vec<(&'static str, String)>,
    body: Bytes,
}

impl Response {
    /// A response of this media type.
    pub fn new(status: Status, media_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            media_type,
            fields: Vec::new(),
            body: body.into(),
        }
    }

    /// Plain text.
    pub fn text(status: Status, text: impl Into<String>) -> Self {
        Self::new(status, "text/plain; charset=utf-8", text.into())
    }

    /// A page.
    pub fn html(status: Status, html: impl Into<String>) -> Self {
        Self::new(status, "text/html; charset=utf-8", html.into())
    }

    /// The status in words and nothing else.
    pub fn of(status: Status) -> Self {
        Self::text(status, format!("{}\n", status.reason()))
    }

    /// Adds a field. Control characters in the value become spaces: a value
    /// that a stranger chose must not become two fields.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        let value: String = value.into();
        let plain = |c: char| if c.is_ascii_graphic() { c } else { ' ' };
        self.fields.push((name, value.chars().map(plain).collect()));
        self
    }

    /// Its status.
    pub fn status(&self) -> Status {
        self.status
    }

    /// Its content.
    pub fn body(&self) -> &[u8] {
        &self.body
    }
}

/// Whether the content goes out with its head (RFC 9110 section 9.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    Sent,
    /// HEAD: told of only.
    Told,
}

/// What surrounds a response.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Envelope<'a> {
    /// RFC 9110 section 5.6.7.
    pub(crate) date: &'a str,
    pub(crate) content: Content,
    /// Whether the connection ends with it.
    pub(crate) closes: bool,
    /// Within TLS: browsers are told to come back by TLS only (RFC 6797).
    pub(crate) secure: bool,
}

/// Sent with every response. Nothing may be loaded from anywhere, nor a form
/// sent elsewhere; a page that needs more says so itself.
const SECURITY: [(&str, &str); 4] = [
    ("X-Content-Type-Options", "nosniff"),
    (
        "Content-Security-Policy",
        "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
    ),
    ("Referrer-Policy", "no-referrer"),
    ("Cache-Control", "no-store"),
];
const HSTS: (&str, &str) = ("Strict-Transport-Security", "max-age=31536000");

/// The response's octets.
pub(crate) fn encode(response: &Response, envelope: Envelope<'_>) -> Bytes {
    let mut out = BytesMut::new();
    let status = response.status;
    let mut line = |name: &str, value: &str| {
        // Writing to memory does not fail.
        let _ = write!(out, "{name}: {value}\r\n");
    };
    let length = response.body.len().to_string();
    line("Date", envelope.date);
    line("Content-Type", response.media_type);
    line("Content-Length", &length);
    if envelope.closes {
        line("Connection", "close");
    }
    for (name, value) in &response.fields {
        line(name, value);
    }
    let hsts = envelope.secure.then_some(HSTS);
    for (name, value) in SECURITY.into_iter().chain(hsts) {
        let own = response
            .fields
            .iter()
            .any(|(it, _)| it.eq_ignore_ascii_case(name));
        if !own {
            line(name, value);
        }
    }
    let fields = out.split();
    let _ = write!(out, "HTTP/1.1 {} {}\r\n", status.code(), status.reason());
    out.extend_from_slice(&fields);
    out.extend_from_slice(b"\r\n");
    if envelope.content == Content::Sent {
        out.extend_from_slice(&response.body);
    }
    out.freeze()
}
