//! A request's head: its line and its fields (RFC 9112 sections 3 and 5).
//!
//! Strict where two readers of one message could disagree on where it ends or
//! whom it is for: that is what request smuggling is made of (section 11.2).

use std::net::Ipv6Addr;

use bytes::Bytes;
use thiserror::Error;

use crate::Status;
use crate::fields::{Framing, all, field, framing, is_token, one_field, trimmed};

/// Fields of a head.
const MAX_FIELDS: usize = 100;

/// What a request wants done (RFC 9110 section 9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Method {
    /// Shows a page.
    Get,
    /// Its head alone.
    Head,
    /// Does what the page is for.
    Post,
}

impl Method {
    /// The method's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
        }
    }
}

/// A whole request.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Request {
    /// What is to be done.
    pub method: Method,
    /// The host asked for, in lower case, without a port.
    pub host: String,
    /// The path, from `/` on, as sent: never with a `..` or an empty segment
    /// between others, however they are written.
    pub path: String,
    /// What follows `?`.
    pub query: Option<String>,
    /// The fields in order, names in lower case.
    pub fields: Vec<(String, Bytes)>,
    /// The content.
    pub body: Bytes,
}

impl Request {
    /// The first field of that name, given in lower case.
    pub fn field(&self, name: &str) -> Option<&[u8]> {
        field(&self.fields, name)
    }

    /// The value of a key of a form's content
    /// (`application/x-www-form-urlencoded`).
    pub fn form_value(&self, key: &str) -> Option<String> {
        let mut pairs = self.body.split(|octet| *octet == b'&');
        pairs.find_map(|pair| {
            let at = memchr::memchr(b'=', pair)?;
            let (name, value) = pair.split_at_checked(at)?;
            let value = value.get(1..).unwrap_or_default();
            let spaced: Vec<u8> = value
                .iter()
                .map(|octet| if *octet == b'+' { b' ' } else { *octet })
                .collect();
            (name == key.as_bytes()).then(|| percent_decoded(&spaced))?
        })
    }
}

/// Whether the connection may serve another request (RFC 9112 section 9.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Persistence {
    KeepAlive,
    Close,
}

/// A head as read.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) request: Request,
    pub(crate) framing: Framing,
    pub(crate) persistence: Persistence,
    /// The client waits for leave to send the content (RFC 9110 section
    /// 10.1.1).
    pub(crate) expects_continue: bool,
}

/// Why a head is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum HeadError {
    #[error("not HTTP")]
    Malformed,
    #[error("the request could be read in two ways")]
    Ambiguous,
    #[error("no such method here")]
    Method,
    #[error("only HTTP/1.0 and HTTP/1.1 are spoken")]
    Version,
    #[error("too many fields")]
    TooMany,
}

impl HeadError {
    pub(crate) fn status(self) -> Status {
        match self {
            Self::Malformed | Self::Ambiguous => Status::BAD_REQUEST,
            Self::Method => Status::NOT_IMPLEMENTED,
            Self::Version => Status::VERSION_NOT_SUPPORTED,
            Self::TooMany => Status::FIELDS_TOO_LARGE,
        }
    }
}

/// Reads a head, given without the empty line that ends it.
pub(crate) fn parse(head: &[u8]) -> Result<Head, HeadError> {
    let mut lines = lines(head)?.into_iter();
    let line = lines.next().ok_or(HeadError::Malformed)?;
    let (method, target, version) = request_line(line)?;
    let fields = lines.map(one_field).collect::<Result<Vec<_>, _>>()?;
    if fields.len() > MAX_FIELDS {
        return Err(HeadError::TooMany);
    }
    let framing = framing(&fields, version)?;
    let (host, target) = host(&fields, target, version)?;
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query.to_owned())),
        None => (target, None),
    };
    check_path(path)?;
    let persistence = persistence(&fields, version);
    let expects_continue = version == Version::One
        && field(&fields, "expect").is_some_and(|it| it.eq_ignore_ascii_case(b"100-continue"));
    let request = Request {
        method,
        host,
        path: path.to_owned(),
        query,
        fields,
        body: Bytes::new(),
    };
    Ok(Head {
        request,
        framing,
        persistence,
        expects_continue,
    })
}

/// The versions that are spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    /// HTTP/1.0.
    Zero,
    /// HTTP/1.1.
    One,
}

/// The lines, which end in CRLF alone; a bare CR, LF or NUL is in none.
fn lines(head: &[u8]) -> Result<Vec<&[u8]>, HeadError> {
    let mut found = Vec::new();
    let mut rest = head;
    loop {
        let end = memchr::memmem::find(rest, b"\r\n").unwrap_or(rest.len());
        let (line, after) = rest.split_at_checked(end).ok_or(HeadError::Malformed)?;
        if line.iter().any(|octet| matches!(octet, b'\r' | b'\n' | 0)) {
            return Err(HeadError::Malformed);
        }
        found.push(line);
        match after.get(2..) {
            Some(next) => rest = next,
            None => return Ok(found),
        }
    }
}

fn request_line(line: &[u8]) -> Result<(Method, &str, Version), HeadError> {
    let line = std::str::from_utf8(line).map_err(|_| HeadError::Malformed)?;
    let mut words = line.split(' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(HeadError::Malformed);
    };
    if !target
        .bytes()
        .all(|octet| octet.is_ascii_graphic() && octet != b'#')
    {
        return Err(HeadError::Malformed);
    }
    let version = match version {
        "HTTP/1.1" => Version::One,
        "HTTP/1.0" => Version::Zero,
        other if other.starts_with("HTTP/") => return Err(HeadError::Version),
        _ => return Err(HeadError::Malformed),
    };
    let method = match method {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "POST" => Method::Post,
        other if !other.is_empty() && other.bytes().all(is_token) => return Err(HeadError::Method),
        _ => return Err(HeadError::Malformed),
    };
    Ok((method, target, version))
}

/// Whom the request is for, and the target from its path on (RFC 9112 sections
/// 3.2 and 3.3).
fn host<'a>(
    fields: &[(String, Bytes)],
    target: &'a str,
    version: Version,
) -> Result<(String, &'a str), HeadError> {
    let mut hosts = all(fields, "host");
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => std::str::from_utf8(host).map_err(|_| HeadError::Malformed)?,
        (None, None) if version == Version::Zero => "",
        _ => return Err(HeadError::Ambiguous),
    };
    let host = host_name(host)?;
    let scheme = ["http://", "https://"];
    let absolute = scheme.iter().find_map(|it| target.strip_prefix(it));
    let Some(rest) = absolute else {
        return Ok((host, target));
    };
    let at = rest.find(['/', '?']).unwrap_or(rest.len());
    let (host, target) = rest.split_at_checked(at).ok_or(HeadError::Malformed)?;
    let target = if target.is_empty() { "/" } else { target };
    Ok((host_name(host)?, target))
}

/// The name without its port (RFC 3986 section 3.2.2).
fn host_name(host: &str) -> Result<String, HeadError> {
    let (name, port) = match host.strip_prefix('[') {
        Some(literal) => {
            let (address, rest) = literal.split_once(']').ok_or(HeadError::Malformed)?;
            let address: Ipv6Addr = address.parse().map_err(|_| HeadError::Malformed)?;
            (address.to_string(), rest)
        }
        None => {
            let at = host.find(':').unwrap_or(host.len());
            let (name, rest) = host.split_at_checked(at).ok_or(HeadError::Malformed)?;
            (name.trim_end_matches('.').to_ascii_lowercase(), rest)
        }
    };
    let of_a_name = |octet: u8| octet.is_ascii_alphanumeric() || b".-_:".contains(&octet);
    let is_port = match port.strip_prefix(':') {
        Some(digits) => digits.is_empty() || digits.parse::<u16>().is_ok(),
        None => port.is_empty(),
    };
    match name.bytes().all(of_a_name) && is_port {
        true => Ok(name),
        false => Err(HeadError::Malformed),
    }
}

/// A path that means the same to all who read it.
fn check_path(path: &str) -> Result<(), HeadError> {
    let decoded = percent_decoded(path.as_bytes()).ok_or(HeadError::Malformed)?;
    let plain = decoded.starts_with('/') && !decoded.contains('\\') && !decoded.contains("//");
    let controls = decoded.chars().any(char::is_control);
    let dots = decoded.split('/').any(|it| it == ".." || it == ".");
    match plain && !controls && !dots {
        true => Ok(()),
        false => Err(HeadError::Malformed),
    }
}

/// The text that `%` and two digits stand in; none of a malformed one.
fn percent_decoded(octets: &[u8]) -> Option<String> {
    let mut decoded = Vec::with_capacity(octets.len());
    let mut rest = octets.iter();
    while let Some(octet) = rest.next() {
        if *octet != b'%' {
            decoded.push(*octet);
            continue;
        }
        let mut digit = || char::from(*rest.next()?).to_digit(16);
        let value = digit()? * 16 + digit()?;
        decoded.push(u8::try_from(value).ok()?);
    }
    String::from_utf8(decoded).ok()
}

fn persistence(fields: &[(String, Bytes)], version: Version) -> Persistence {
    let says = |word: &str| {
        all(fields, "connection").any(|value| {
            let mut words = value.split(|octet| *octet == b',');
            words.any(|it| trimmed(it).eq_ignore_ascii_case(word.as_bytes()))
        })
    };
    match version {
        Version::One if !says("close") => Persistence::KeepAlive,
        Version::Zero if says("keep-alive") && !says("close") => Persistence::KeepAlive,
        _ => Persistence::Close,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn head(text: &str) -> Result<Head, HeadError> {
        parse(text.replace('\n', "\r\n").as_bytes())
    }

    #[test]
    fn host_path_and_query_are_told_apart() {
        let head = head("GET /a%20b/c?x=1 HTTP/1.1\nHost: Mail.Example.com:8080").unwrap();
        assert_eq!(head.request.host, "mail.example.com");
        assert_eq!(head.request.path, "/a%20b/c");
        assert_eq!(head.request.query.as_deref(), Some("x=1"));
        assert_eq!(head.framing, Framing::Length(0));
        let head = self::head("GET http://a.test?q HTTP/1.1\nHost: b.test").unwrap_err();
        assert_eq!(head, HeadError::Malformed, "a target without a path");
        let head = self::head("GET http://a.test/x HTTP/1.1\nHost: b.test").unwrap();
        assert_eq!(head.request.host, "a.test");
    }

    #[test]
    fn what_two_readers_could_read_in_two_ways_is_refused() {
        for fields in [
            "Content-Length: 3\nTransfer-Encoding: chunked",
            "Transfer-Encoding: chunked\nContent-Length: 3",
            "Content-Length: 3\nContent-Length: 4",
            "Content-Length: +3",
            "Content-Length: 3, 3",
            "Transfer-Encoding: gzip, chunked",
            "Transfer-Encoding: chunked\nTransfer-Encoding: chunked",
            "Transfer-Encoding: xchunked",
            "Transfer-Encoding:",
            "Host: other.test",
        ] {
            let text = format!("POST / HTTP/1.1\nHost: a.test\n{fields}");
            assert_eq!(head(&text).unwrap_err(), HeadError::Ambiguous, "{fields}");
        }
        for fields in [
            "Content-Length : 3",
            " folded: x",
            "no colon",
            ": x",
            "A: b\0",
            // What some readers take for white space, and others for a coding
            // or a length of their own.
            "Transfer-Encoding: \x0cchunked",
            "Transfer-Encoding: chunked\x0b",
            "Content-Length: 3\x0c",
            "A: \x1b[2J",
            "A: \x7f",
        ] {
            let text = format!("POST / HTTP/1.1\nHost: a.test\n{fields}");
            assert_eq!(head(&text).unwrap_err(), HeadError::Malformed, "{fields:?}");
        }
        assert!(parse(b"GET / HTTP/1.1\r\nHost: a.test\nX: y").is_err());
        assert!(head("GET / HTTP/1.1\nX: no host").is_err());
    }

    #[test]
    fn a_host_is_a_name_or_an_address_and_a_port_and_nothing_else() {
        let host =
            |host: &str| head(&format!("GET / HTTP/1.1\nHost: {host}")).map(|it| it.request.host);
        for (sent, read) in [
            ("A.test", "a.test"),
            ("a.test.", "a.test"),
            ("a.test:", "a.test"),
            ("a_b.test:80", "a_b.test"),
            ("192.0.2.1:8080", "192.0.2.1"),
            ("[2001:DB8::1]:443", "2001:db8::1"),
            ("", ""),
        ] {
            assert_eq!(host(sent).as_deref(), Ok(read), "{sent:?}");
        }
        for sent in [
            "a.test:80:evil.test",
            "a.test:x",
            "a.test:123456",
            "a.test@evil.test",
            "[::1",
            "[::1]evil.test",
            "[::1]:x",
            "[evil.test]",
            "a b",
            "a.test,b.test",
            "a/b",
        ] {
            assert_eq!(host(sent), Err(HeadError::Malformed), "{sent:?}");
        }
        let both = "GET http://a.test/ HTTP/1.1\nHost: a b";
        assert_eq!(
            head(both).unwrap_err(),
            HeadError::Malformed,
            "the field must be one, too"
        );
    }

    #[test]
    fn a_path_that_climbs_is_refused_however_it_is_written() {
        for path in [
            "/../x",
            "/a/..",
            "/%2e%2e/x",
            "/.%2E/x",
            "/a//b",
            "/a%2f%2fb",
            "/a\\..\\b",
            "/a%5cb",
            "/%00",
            "/%",
            "/%zz",
            "x",
            "*",
            "/a/./b",
        ] {
            assert!(
                head(&format!("GET {path} HTTP/1.1\nHost: a.test")).is_err(),
                "{path}"
            );
        }
    }

    #[test]
    fn a_form_is_read() {
        let mut request = head("POST / HTTP/1.1\nHost: a.test").unwrap().request;
        request.body = Bytes::from_static(b"a=1&token=x+%41%zz&b=%C3%A4");
        assert_eq!(request.form_value("a").as_deref(), Some("1"));
        assert_eq!(request.form_value("b").as_deref(), Some("\u{e4}"));
        assert_eq!(request.form_value("token"), None, "malformed");
        assert_eq!(request.form_value("c"), None);
    }

    proptest! {
        #[test]
        fn no_octets_make_it_panic(octets: Vec<u8>) {
            let _ = parse(&octets);
        }

        #[test]
        fn no_fields_make_it_panic(text in "(GET|POST) [ -~]{0,20} HTTP/1.1\r\nHost: [ -~]{0,9}(\r\n[ -~]{0,20}){0,4}") {
            if let Ok(head) = parse(text.as_bytes()) {
                prop_assert!(head.request.path.starts_with('/'));
            }
        }
    }
}
