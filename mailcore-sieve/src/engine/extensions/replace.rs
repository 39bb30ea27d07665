//! `replace` (RFC 5703 section 5): another part, or another message, in place of the
//! one there is.

use super::Extension;
use crate::engine::ast::Command;
use crate::engine::compile::{Args, Compile, Text};
use crate::engine::edit::field;
use crate::engine::mime::PlainMail;
use crate::engine::mime::header::fields;
use crate::engine::mime::value::Structured;
use crate::engine::mime::write::{Entity, other_fields};
use crate::engine::program::Instruction;
use crate::engine::run::{Context, Fault, Flow};
use crate::engine::{CompileError, Event, Mail, PartKind, address_syntax};

pub(super) static REPLACE: Extension = Extension::new("replace")
    .commands(&[("replace", compile)])
    .at(&[Event::Data, Event::Delivery]);

#[derive(Debug)]
struct Replace {
    /// True when the text is a MIME entity.
    mime: bool,
    subject: Option<Text>,
    from: Option<Text>,
    text: Text,
}

fn compile(cx: &mut Compile<'_>, command: &Command) -> Result<(), CompileError> {
    let mut args = Args::command(command)?;
    let mime = args.flag(cx, "mime")?;
    let subject = args.tag_text(cx, "subject")?;
    let from = args.tag_text(cx, "from")?;
    let text = args.text(cx, "the text that is to be there instead")?;
    args.end()?;
    if let Some(at) = mime
        && (subject.is_some() || from.is_some())
    {
        let words = "`:subject` and `:from` mean nothing with `:mime`: remove them";
        return Err(CompileError::new(at, words));
    }
    if let Some(fixed) = from.as_ref().and_then(Text::fixed)
        && address_syntax::address(fixed).is_none()
    {
        return Err(CompileError::new(command.at, NO_ADDRESS));
    }
    cx.needs.body = true;
    cx.needs.parts = true;
    cx.emit(Replace {
        mime: mime.is_some(),
        subject,
        from,
        text,
    });
    Ok(())
}

const NO_ADDRESS: &str = "`:from` is an address, as in \"user@example.org\"";

impl Instruction for Replace {
    fn run(&self, cx: &mut Context<'_>) -> Result<Flow, Fault> {
        let text = self.text.value(cx)?;
        let entity = match self.mime {
            true => Entity::parse(&text),
            false => Entity::text(&text),
        };
        let whole = cx.whole()?;
        let part = cx.part();
        let octets = match part {
            0 => {
                let other = self.header(cx, &whole)?;
                entity.with_fields(&other)
            }
            part => within(&whole, part, &entity)?,
        };
        cx.look(octets.len())?;
        cx.write_part(part, PlainMail::new(octets))?;
        Ok(Flow::Next)
    }
}

impl Replace {
    /// The fields that a message keeps, and those that it gets.
    fn header(&self, cx: &mut Context<'_>, whole: &PlainMail) -> Result<Vec<u8>, Fault> {
        let subject = self
            .subject
            .as_ref()
            .map(|text| text.value(cx))
            .transpose()?;
        let from = self.from.as_ref().map(|text| text.value(cx)).transpose()?;
        if let Some(from) = &from
            && address_syntax::address(from).is_none()
        {
            return Err(Fault::new(NO_ADDRESS));
        }
        let mut header = Vec::new();
        for (name, raw) in other_fields(whole.header(0)) {
            // What was there before is kept by another name.
            let renamed = subject.is_some() && name.eq_ignore_ascii_case(b"Subject")
                || from.is_some() && name.eq_ignore_ascii_case(b"From");
            if renamed {
                header.extend_from_slice(b"Original-");
            }
            header.extend_from_slice(raw);
            end_line(&mut header);
        }
        if let Some(from) = from {
            header.extend(field("From", &from));
        }
        if let Some(subject) = subject {
            header.extend(field("Subject", &subject));
        }
        header.extend_from_slice(b"MIME-Version: 1.0\r\n");
        Ok(header)
    }
}

/// The message with another part in this place.
fn within(whole: &PlainMail, part: usize, entity: &Entity) -> Result<Vec<u8>, Fault> {
    let range = whole.range(part).unwrap_or_default();
    let mut around = whole.parts().get(part).and_then(|info| info.parent);
    let of_message = around
        .and_then(|parent| whole.parts().get(parent))
        .is_some_and(|parent| parent.kind == PartKind::Message);
    while let Some(parent) = around {
        if let Some(boundary) = boundary(whole.header(parent))
            && entity.collides(&boundary)
        {
            return Err(Fault::new(
                "the new part has a line that divides the parts around it: change the line",
            ));
        }
        around = whole.parts().get(parent).and_then(|info| info.parent);
    }
    let mut other = Vec::new();
    if of_message {
        // What is replaced is a message's content; the message stays one.
        for (_, raw) in other_fields(whole.header(part)) {
            other.extend_from_slice(raw);
            end_line(&mut other);
        }
        other.extend_from_slice(b"MIME-Version: 1.0\r\n");
    }
    let octets = whole.octets();
    let mut written = octets.get(..range.start).unwrap_or_default().to_vec();
    written.extend(entity.with_fields(&other));
    let after = octets.get(range.end..).unwrap_or_default();
    // The line end before a boundary belongs to it; a part of a header alone has none.
    if after.starts_with(b"--") {
        written.extend_from_slice(b"\r\n");
    }
    written.extend_from_slice(after);
    Ok(written)
}

fn boundary(header: &[u8]) -> Option<Vec<u8>> {
    let field = fields(header).find(|field| field.name.eq_ignore_ascii_case(b"Content-Type"))?;
    let value = Structured::parse(field.raw);
    let boundary = value.parameter("boundary")?.trim_ascii_end().to_vec();
    (!boundary.is_empty()).then_some(boundary)
}

fn end_line(header: &mut Vec<u8>) {
    if !header.ends_with(b"\n") {
        header.extend_from_slice(b"\r\n");
    }
}
