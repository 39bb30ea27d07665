//! `enclose` (RFC 5703 section 6): the message as an attachment of a new one.

use super::Extension;
use crate::engine::ast::Command;
use crate::engine::compile::{Args, Compile, Text, Texts};
use crate::engine::edit::field;
use crate::engine::mime::PlainMail;
use crate::engine::mime::date::Moment;
use crate::engine::mime::header::fields;
use crate::engine::mime::write::{Entity, boundary};
use crate::engine::program::Instruction;
use crate::engine::run::{Context, Fault, Flow};
use crate::engine::{CompileError, Environment, Event, Mail};

pub(super) static ENCLOSE: Extension = Extension::new("enclose")
    .commands(&[("enclose", compile)])
    .at(&[Event::Data, Event::Delivery]);

/// Parts of the new message before the old one's: the whole, the text, and the part
/// that the old message is in.
const PARTS_BEFORE: usize = 3;

#[derive(Debug)]
struct Enclose {
    subject: Option<Text>,
    /// Fields that are copied.
    headers: Texts,
    text: Text,
}

fn compile(cx: &mut Compile<'_>, command: &Command) -> Result<(), CompileError> {
    let mut args = Args::command(command)?;
    let subject = args.tag_text(cx, "subject")?;
    let headers = args.tag_texts(cx, "headers")?.unwrap_or_default();
    let text = args.text(cx, "the text that goes with the message")?;
    args.end()?;
    cx.needs.body = true;
    cx.emit(Enclose {
        subject,
        headers,
        text,
    });
    Ok(())
}

impl Instruction for Enclose {
    fn run(&self, cx: &mut Context<'_>) -> Result<Flow, Fault> {
        let whole = cx.whole()?;
        let header = self.header(cx, &whole)?;
        let text = self.text.value(cx)?;
        let note = Entity::text(&text).with_fields(b"");
        let message = whole.octets();
        cx.look(message.len().saturating_mul(2))?;
        let boundary = boundary(&[message, &note]);
        // Signatures hold only of a message that is copied as it is (RFC 5703
        // section 11).
        let encoding = if message.is_ascii() { "7bit" } else { "8bit" };
        let mut octets = header;
        octets.extend_from_slice(
            format!(
                "MIME-Version: 1.0\r\n\
                 Content-Type: multipart/mixed; boundary=\"{boundary}\"\r\n\
                 Content-Transfer-Encoding: {encoding}\r\n\r\n--{boundary}\r\n"
            )
            .as_bytes(),
        );
        octets.extend_from_slice(&note);
        octets.extend_from_slice(
            format!(
                "\r\n--{boundary}\r\n\
                 Content-Type: message/rfc822\r\n\
                 Content-Transfer-Encoding: {encoding}\r\n\
                 Content-Disposition: attachment\r\n\r\n"
            )
            .as_bytes(),
        );
        octets.extend_from_slice(message);
        octets.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        cx.write_around(PARTS_BEFORE, PlainMail::new(octets))?;
        Ok(Flow::Next)
    }
}

impl Enclose {
    /// The new message's own fields: those that are copied, and From, Date and Subject
    /// where they are not.
    fn header(&self, cx: &mut Context<'_>, whole: &PlainMail) -> Result<Vec<u8>, Fault> {
        let mut names = Vec::new();
        for name in &self.headers {
            names.push(name.value(cx)?);
        }
        let subject = self
            .subject
            .as_ref()
            .map(|text| text.value(cx))
            .transpose()?;
        let section = whole.header(0);
        cx.look(section.len().saturating_mul(names.len() + 1))?;
        let mut header = Vec::new();
        for found in fields(section) {
            let is = |name: &str| found.name.eq_ignore_ascii_case(name.as_bytes());
            let content = found
                .name
                .get(..8)
                .is_some_and(|start| start.eq_ignore_ascii_case(b"Content-"));
            let copied = names.iter().any(|name| is(name)) && !content && !is("MIME-Version");
            let own_subject = subject.is_none() && is("Subject");
            if (copied || own_subject) && !(subject.is_some() && is("Subject")) {
                header.extend_from_slice(section.get(found.range).unwrap_or_default());
                if !header.ends_with(b"\n") {
                    header.extend_from_slice(b"\r\n");
                }
            }
        }
        let has = |header: &[u8], name: &[u8]| {
            fields(header).any(|field| field.name.eq_ignore_ascii_case(name))
        };
        if !has(&header, b"From") {
            header.extend(field("From", &owner(cx.environment)));
        }
        if !has(&header, b"Date") {
            let now = Moment {
                at: cx.environment.now,
                offset: cx.environment.utc_offset,
            };
            header.extend(field("Date", &now.std11()));
        }
        if let Some(subject) = subject {
            header.extend(field("Subject", &subject));
        }
        Ok(header)
    }
}

/// Who runs the script.
fn owner(environment: &Environment) -> String {
    let own = environment.addresses.first();
    let own = own.or(environment.envelope.to.as_ref());
    own.cloned()
        .unwrap_or_else(|| format!("postmaster@{}", environment.domain))
}
