//! The forms in which rules have a copy filed or sent on.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;

use super::trace::delivered_to_field;
use crate::address::Address;
use crate::message::{ContentWriter, Header, Message, READ_CHUNK, Summary};
use crate::plan::Form;
use crate::seams::{Commit, StoreError};

/// Octets copied before others have their turn.
const TURN: u64 = 256 * 1_024;

/// A message without the fields that only this copy has.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    pub(super) message: Message,
    pub(super) summary: Arc<Summary>,
}

/// The forms of one copy, each made once.
#[derive(Debug)]
pub(super) struct Shapes<'a> {
    /// The message as rules see it: with Return-Path and Delivered-To on top.
    pub(super) seen: &'a Message,
    pub(super) seen_summary: &'a Summary,
    /// The same without these two.
    pub(super) plain: Shape,
    /// Whose copy it is.
    pub(super) address: &'a Address,
    pub(super) commit: Option<Arc<dyn Commit>>,
    pub(super) made: Vec<(Form, Shape)>,
}

impl Shapes<'_> {
    /// The message in this form.
    pub(super) async fn of(&mut self, form: &Form) -> Result<Shape, StoreError> {
        if let Some((_, shape)) = self.made.iter().find(|(known, _)| known == form) {
            return Ok(shape.clone());
        }
        let shape = match form {
            Form::Unchanged => return Ok(self.plain.clone()),
            Form::OnTop(fields) => self.under(fields).await?,
            Form::Header(header) => {
                let (header, _) = section(header);
                let header = self.traced(&header).await?;
                self.rewritten(header, None).await?
            }
            Form::Written(octets) => {
                let (header, body) = section(octets);
                let header = self.traced(&header).await?;
                self.rewritten(header, Some(octets.slice(body..))).await?
            }
        };
        self.made.push((form.clone(), shape.clone()));
        Ok(shape)
    }

    /// With fields on top, the octets below being shared.
    async fn under(&self, fields: &Bytes) -> Result<Shape, StoreError> {
        let header = Header::new(fields);
        let whole = header.closed_len().is_none() && fields.ends_with(b"\r\n");
        if !whole || header.fields().any(|field| field.name.is_empty()) {
            tracing::warn!("rules put on top of a message what is no header field; it is left out");
            return Ok(self.plain.clone());
        }
        let Shape { message, summary } = &self.plain;
        let mut prefix = fields.to_vec();
        prefix.extend_from_slice(message.prefix());
        let message = message.with_prefix(prefix);
        let summary = match header.fields().any(|field| is_summed_up(field.name)) {
            true => message.summarize().await?,
            false => summary.as_ref().clone().with_prefix(fields.len() as u64),
        };
        Ok(Shape {
            message,
            summary: Arc::new(summary),
        })
    }

    /// A header as rules want it, but with every trace field that it had, and
    /// without those that are this copy's own.
    async fn traced(&self, header: &[u8]) -> Result<Vec<u8>, StoreError> {
        let had = self.seen.read(0..self.seen_summary.header_len()).await?;
        let own = delivered_to_field(self.address);
        let own = |range: &[u8]| range.eq_ignore_ascii_case(own.as_bytes());
        let (had, kept) = (trace_fields(&had), trace_fields(header));
        let is_whole = had == kept;
        let mut octets = Vec::with_capacity(header.len());
        if !is_whole {
            had.iter()
                .skip(1)
                .for_each(|it| octets.extend_from_slice(it));
        }
        let mut own_gone = false;
        let mut from = 0;
        for field in Header::new(header).fields() {
            let raw = header.get(field.range.clone()).unwrap_or_default();
            let goes = field.is("Return-Path")
                || is_trace(field.name) && (!is_whole || !own_gone && own(raw));
            if goes {
                own_gone |= own(raw);
                octets.extend_from_slice(header.get(from..field.range.start).unwrap_or_default());
                from = field.range.end;
            }
        }
        octets.extend_from_slice(header.get(from..).unwrap_or_default());
        Ok(octets)
    }

    /// Content of its own: this header over `body`, or over the body there is.
    async fn rewritten(&self, header: Vec<u8>, body: Option<Bytes>) -> Result<Shape, StoreError> {
        let mut writer = ContentWriter::new(self.commit.clone(), u64::MAX);
        writer.write(header.into()).await?;
        match body {
            Some(body) => {
                let mut rest = body;
                while !rest.is_empty() {
                    let piece = rest.split_to(rest.len().min(READ_CHUNK));
                    writer.write(piece).await?;
                }
            }
            None => copy_rest(self.seen, self.seen_summary.header_len(), &mut writer).await?,
        }
        let (content, summary) = writer.finish().await?;
        Ok(Shape {
            message: Message::new(content),
            summary: Arc::new(summary),
        })
    }
}

/// Writes what a message holds from `start` on.
pub(super) async fn copy_rest(
    message: &Message,
    start: u64,
    writer: &mut ContentWriter,
) -> Result<(), StoreError> {
    let (mut at, mut turn) = (start, 0);
    while at < message.len() {
        let octets = message.read(at..at + READ_CHUNK as u64).await?;
        if octets.is_empty() {
            return Err(StoreError::Damaged(
                "a message is shorter than it was".to_owned(),
            ));
        }
        (at, turn) = (at + octets.len() as u64, turn + octets.len() as u64);
        writer.write(octets).await?;
        if turn >= TURN {
            turn = 0;
            tokio::task::yield_now().await;
        }
    }
    Ok(())
}

/// The header section of `octets`, ended by an empty line where it had none, and
/// where the body begins.
fn section(octets: &Bytes) -> (Cow<'_, [u8]>, usize) {
    if let Some(end) = Header::new(octets).closed_len() {
        return (Cow::Borrowed(octets.get(..end).unwrap_or_default()), end);
    }
    let mut closed = octets.to_vec();
    if !closed.is_empty() && !closed.ends_with(b"\n") {
        closed.extend_from_slice(b"\r\n");
    }
    closed.extend_from_slice(b"\r\n");
    (Cow::Owned(closed), octets.len())
}

fn is_trace(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"Received") || name.eq_ignore_ascii_case(b"Delivered-To")
}

/// The fields by which loops are seen (RFC 5321 section 6.3), in their order.
fn trace_fields(header: &[u8]) -> Vec<&[u8]> {
    let fields = Header::new(header).fields();
    let fields = fields.filter(|field| is_trace(field.name));
    fields
        .map(|field| header.get(field.range).unwrap_or_default())
        .collect()
}

/// True for fields of which a summary knows.
fn is_summed_up(name: &[u8]) -> bool {
    const NAMES: [&str; 12] = [
        "Date",
        "Subject",
        "From",
        "Sender",
        "Reply-To",
        "To",
        "Cc",
        "Bcc",
        "In-Reply-To",
        "Message-ID",
        "References",
        "MIME-Version",
    ];
    let is_of_part = |name: &[u8]| {
        let start = name.get(..8).unwrap_or_default();
        start.eq_ignore_ascii_case(b"Content-")
    };
    is_of_part(name)
        || NAMES
            .iter()
            .any(|it| name.eq_ignore_ascii_case(it.as_bytes()))
}
