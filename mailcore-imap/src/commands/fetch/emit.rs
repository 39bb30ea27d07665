//! Writing the messages of a FETCH, item by item, as there is room for them.

use super::binary::Binary;
use super::octets::{Octets, Stream};
use super::{Fetch, Progress};
use crate::render::envelope::write_envelope;
use crate::render::message::{begin_fetch, write_flags_list, write_row_item};
use crate::render::structure::{Extension, write_structure};
use crate::session::{Answer, Context};
use crate::types::FetchItem;

/// Octets on their way to the client.
#[derive(Debug)]
pub(super) enum Source {
    /// As they are.
    Body(Stream),
    /// Decoded.
    Binary(Binary),
}

impl Source {
    fn resume(&mut self, cx: &mut Context, answer: Option<Answer>) -> Octets {
        match self {
            Self::Body(stream) => stream.resume(cx, answer),
            Self::Binary(binary) => binary.resume(cx, answer),
        }
    }
}

impl Fetch {
    /// Writes as much of the batch as there is room for; `None` when all of it
    /// is written.
    pub(super) fn emit(
        &mut self,
        cx: &mut Context,
        mut answer: Option<Answer>,
    ) -> Option<Progress> {
        loop {
            if let Some(mut stream) = self.stream.take() {
                match stream.resume(cx, answer.take()) {
                    Octets::Ask(question) => {
                        self.stream = Some(stream);
                        return Some(Progress::Ask(question));
                    }
                    Octets::Flush => {
                        self.stream = Some(stream);
                        return Some(Progress::Flush);
                    }
                    Octets::Done => {}
                    Octets::UnknownEncoding => self.unknown_encoding = true,
                    Octets::Failed(error) => self.failed = Some(error),
                    Octets::Broken => return Some(Progress::Drop),
                }
            }
            if cx.out.is_full() {
                return Some(Progress::Flush);
            }
            if !self.write_next(cx) {
                return None;
            }
        }
    }

    /// Writes the next item, or a message's begin or end. False at the end of
    /// the batch.
    fn write_next(&mut self, cx: &mut Context) -> bool {
        let Some(message) = self.batch.messages.get(self.at.0) else {
            return false;
        };
        let changes = cx.told_with_change();
        let Some(selected) = cx.state.selected() else {
            return false;
        };
        if !self.open {
            if selected.view.seq(message.row.uid).is_none() {
                self.at.0 += 1;
                return true;
            }
            let mut out = cx.out.encoder();
            if selected.learn_keywords(&message.row.flags) {
                write_flags_list(&mut out, selected);
            }
            begin_fetch(&mut out, selected, message.row.uid);
            self.open = true;
        }
        let mut out = cx.out.encoder();
        while let Some(item) = self.items.at(self.at.1) {
            out.raw(if self.at.1 > 0 { " " } else { "" });
            let name = self.names.get(self.at.1).cloned().unwrap_or_default();
            self.at.1 += 1;
            match item {
                FetchItem::Body(body) => {
                    self.stream = Some(Source::Body(Stream::new(message, body, name)));
                    return true;
                }
                FetchItem::Binary(item) => {
                    self.stream = Some(Source::Binary(Binary::new(message, item)));
                    return true;
                }
                FetchItem::Envelope => {
                    out.raw("ENVELOPE ");
                    write_envelope(&mut out, &message.summary().envelope);
                }
                FetchItem::Structure => {
                    out.raw("BODY ");
                    write_structure(&mut out, message.summary(), Extension::No);
                }
                FetchItem::ExtendedStructure => {
                    out.raw("BODYSTRUCTURE ");
                    write_structure(&mut out, message.summary(), Extension::Yes);
                }
                item => write_row_item(&mut out, selected, &message.row, item),
            }
        }
        if message.seen_now {
            // A change is told as any other (RFC 7162 section 3.2.4).
            let untold = changes.iter().filter(|item| !self.items.has(item));
            untold.for_each(|item| {
                out.raw(" ");
                write_row_item(&mut out, selected, &message.row, item);
            });
        }
        out.raw(")\r\n");
        self.open = false;
        self.at = (self.at.0 + 1, 0);
        true
    }
}
