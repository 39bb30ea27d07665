//! `body` (RFC 5173).

use std::ops::Range;

use super::Extension;
use crate::engine::ast::Test;
use crate::engine::compile::{Args, Compile, Known, Texts};
use crate::engine::matching::{Matching, Options};
use crate::engine::mime::header::{fields, line_at};
use crate::engine::mime::html;
use crate::engine::mime::value::Structured;
use crate::engine::program::Instruction;
use crate::engine::run::{Context, Fault, Flow};
use crate::engine::{CompileError, PartKind};

/// Octets that a part to decode counts for beside its own: a message may have very
/// many that are nearly empty.
const PART: usize = 512;

pub(super) static BODY: Extension = Extension::new("body").tests(&[("body", compile)]);

#[derive(Debug)]
struct TestBody {
    transform: Transform,
    matching: Matching,
}

/// What of the body is matched (RFC 5173 section 5).
#[derive(Debug)]
enum Transform {
    Raw,
    /// Parts of these types.
    Content(Texts),
    Text,
}

fn compile(cx: &mut Compile<'_>, test: &Test) -> Result<Known, CompileError> {
    let mut args = Args::test(test)?;
    let options = Options::take(cx, &mut args)?;
    let raw = args.flag(cx, "raw")?;
    let content = args.tag_texts(cx, "content")?;
    let text = args.flag(cx, "text")?;
    let given =
        usize::from(raw.is_some()) + usize::from(content.is_some()) + usize::from(text.is_some());
    if given > 1 {
        return Err(args.error("`:raw`, `:content` and `:text` can't go together: choose one"));
    }
    let transform = match (raw, content) {
        (Some(_), _) => Transform::Raw,
        (None, Some(types)) => Transform::Content(types),
        (None, None) => Transform::Text,
    };
    // Match variables stay as they are (RFC 5173 section 6).
    let matching = options.keys(cx, &mut args)?.without_captures();
    args.end()?;
    cx.needs.body = true;
    cx.needs.parts |= !matches!(transform, Transform::Raw);
    Ok(cx.emit_test(TestBody {
        transform,
        matching,
    }))
}

impl Instruction for TestBody {
    fn run(&self, cx: &mut Context<'_>) -> Result<Flow, Fault> {
        if !has_body(cx) {
            return self.matching.octets(cx, &[]);
        }
        let limit = cx.limits.body;
        let pieces = match &self.transform {
            Transform::Raw => {
                cx.look(cx.message().body(0).len().min(limit))?;
                vec![first(cx.message().body(0), limit).to_vec()]
            }
            Transform::Text => text(cx, limit)?,
            Transform::Content(types) => {
                let mut wanted = Vec::new();
                for media in types {
                    wanted.push(media.value(cx)?.to_ascii_lowercase());
                }
                content(cx, &wanted, limit)?
            }
        };
        self.matching.octets(cx, &pieces)
    }
}

/// A message of a header without an empty line after it has no body (RFC 5173
/// section 4).
fn has_body(cx: &Context<'_>) -> bool {
    let header = cx.message().header(0);
    header.ends_with(b"\n\n") || header.ends_with(b"\n\r\n") || matches!(header, b"\n" | b"\r\n")
}

/// What people read of parts that are text; of HTML, what is between its tags.
fn text(cx: &mut Context<'_>, limit: usize) -> Result<Vec<Vec<u8>>, Fault> {
    let mut pieces = Vec::new();
    let mut left = limit;
    for part in 0..cx.message().parts().len() {
        let info = cx.message().parts().get(part);
        let text = info.filter(|info| info.kind == PartKind::Leaf && info.media_type == "text");
        let Some(is_html) = text.map(|info| info.subtype == "html") else {
            cx.look(16)?;
            continue;
        };
        cx.look(PART)?;
        let mut found = cx.content(part, left)?;
        left = left.saturating_sub(found.len());
        if is_html {
            cx.look(found.len())?;
            found = html::text(&found);
        }
        pieces.push(found);
    }
    Ok(pieces)
}

/// What the parts of these types hold, `limit` octets of it together.
fn content(cx: &mut Context<'_>, wanted: &[String], limit: usize) -> Result<Vec<Vec<u8>>, Fault> {
    let mut pieces = Vec::new();
    let mut left = limit;
    let parts = cx.message().parts().len();
    cx.look(parts.saturating_mul(16).saturating_mul(wanted.len().max(1)))?;
    for part in 0..parts {
        let Some(kind) = matching_kind(cx, part, wanted) else {
            continue;
        };
        let found = match kind {
            PartKind::Leaf => {
                cx.look(PART)?;
                vec![cx.content(part, left)?]
            }
            PartKind::Multipart => around(cx, part, left)?,
            PartKind::Message => {
                cx.look(cx.message().header(part + 1).len())?;
                let header = cx.message().header(part + 1);
                // Its empty line is no part of it.
                vec![first(header.trim_ascii_end(), left).to_vec()]
            }
        };
        left = left.saturating_sub(found.iter().map(Vec::len).sum());
        pieces.extend(found);
    }
    Ok(pieces)
}

fn matching_kind(cx: &Context<'_>, part: usize, wanted: &[String]) -> Option<PartKind> {
    let info = cx.message().parts().get(part)?;
    let is_it = |wanted: &String| match wanted.split_once('/') {
        None => wanted.is_empty() || *wanted == info.media_type,
        // With a slash more, or nothing on one side of it, it is no type.
        Some((media, subtype)) => media == info.media_type && subtype == info.subtype,
    };
    wanted.iter().any(is_it).then_some(info.kind)
}

/// What stands before and after a multipart's own parts.
fn around(cx: &mut Context<'_>, part: usize, limit: usize) -> Result<Vec<Vec<u8>>, Fault> {
    let octets = cx.message().header(part).len() + cx.message().body(part).len();
    cx.look(octets)?;
    let message = cx.message();
    let body = message.body(part);
    let inner = inner(body, &boundary(message.header(part)));
    let before = body.get(..inner.start).unwrap_or_default();
    let after = body.get(inner.end..).unwrap_or_default();
    Ok(vec![
        first(before, limit).to_vec(),
        first(after, limit.saturating_sub(before.len())).to_vec(),
    ])
}

fn boundary(header: &[u8]) -> Vec<u8> {
    let field = fields(header).find(|field| field.name.eq_ignore_ascii_case(b"Content-Type"));
    let value = field.map(|field| Structured::parse(field.raw));
    let boundary = value.as_ref().and_then(|value| value.parameter("boundary"));
    boundary.unwrap_or_default().trim_ascii_end().to_vec()
}

/// From the first delimiter line to the end of the closing one.
fn inner(body: &[u8], boundary: &[u8]) -> Range<usize> {
    let (mut start, mut at) = (None, 0);
    loop {
        let line = line_at(body, at);
        if line.is_empty() {
            return start.unwrap_or(at)..body.len();
        }
        let rest = line
            .strip_prefix(b"--")
            .and_then(|rest| rest.strip_prefix(boundary));
        if let Some(rest) = rest {
            start.get_or_insert(at);
            if rest.starts_with(b"--") {
                return start.unwrap_or(at)..at + line.len();
            }
        }
        at += line.len();
    }
}

fn first(octets: &[u8], limit: usize) -> &[u8] {
    octets.get(..limit).unwrap_or(octets)
}
