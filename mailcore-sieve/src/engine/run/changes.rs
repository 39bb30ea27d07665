//! What a script makes of its message: header edits (RFC 5293), and messages written
//! anew (RFC 5703).
//!
//! Every test and action sees the message as the changes before it left it. An action
//! names the form that the message has when it is taken.

use super::header::Field;
use super::{Context, Fault};
use crate::engine::edit;
use crate::engine::mime::PlainMail;
use crate::engine::{Form, HeaderEdit, Mail};

/// The changes of a run so far.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// The message that was written in place of the one that came.
    written: Option<PlainMail>,
    /// Edits of its header since.
    edits: Vec<HeaderEdit>,
    /// True when the message has no form among those of the run yet.
    stale: bool,
    /// How many there were.
    made: usize,
    /// The form that copies are sent on in since it was enclosed.
    sent: Option<usize>,
}

/// At which end of the header a field is added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    First,
    Last,
}

impl<'a> Context<'a> {
    /// The message as it is written now; its header as edited is
    /// [`Context::header`]'s to know.
    pub(crate) fn message(&self) -> &dyn Mail {
        match &self.changes.written {
            Some(written) => written,
            None => self.mail,
        }
    }

    /// The message that a script wrote, where one did.
    pub(super) fn written(&self) -> Option<&PlainMail> {
        self.changes.written.as_ref()
    }

    /// A part's body decoded, text of it in UTF-8; `limit` octets at most. What is
    /// looked at is counted.
    pub(crate) fn content(&mut self, part: usize, limit: usize) -> Result<Vec<u8>, Fault> {
        let encoded = self.message().body(part).len();
        // Base64 and quoted-printable take up to three octets for one.
        self.look(encoded.min(limit.saturating_mul(3)))?;
        Ok(match &self.changes.written {
            Some(written) => written
                .decoded(part, limit, |label, octets| {
                    self.mail.to_utf8(label, octets)
                })
                .into_owned(),
            None => self.mail.content(part, limit).into_owned(),
        })
    }

    /// Octets of the message.
    pub(crate) fn size(&self) -> u64 {
        let message = self.message();
        if self.changes.edits.is_empty() {
            return message.size();
        }
        let before = message.header(0).len() as u64;
        let after = self.header_octets().len() as u64;
        message.size().saturating_sub(before).saturating_add(after)
    }

    /// The form that actions take the message in now.
    pub(crate) fn form(&mut self) -> usize {
        if self.changes.stale {
            self.changes.stale = false;
            let form = match &self.changes.written {
                None => Form::Edited(self.changes.edits.as_slice().into()),
                Some(written) if self.changes.edits.is_empty() => {
                    Form::Written(written.octets().clone())
                }
                Some(written) => {
                    Form::Written([&*self.header_octets(), written.body(0)].concat().into())
                }
            };
            self.forms.push(form);
        }
        self.forms.len().saturating_sub(1)
    }

    /// The form in which copies are sent on: none is enclosed (RFC 5703 section 6).
    pub(crate) fn sent_form(&mut self) -> usize {
        match self.changes.sent {
            Some(form) => form,
            None => self.form(),
        }
    }

    /// Keeps the form that the message has now for copies that are sent on.
    pub(crate) fn keep_sent_form(&mut self) {
        if self.changes.sent.is_none() {
            self.changes.sent = Some(self.form());
        }
    }

    /// Adds a header field.
    pub(crate) fn add_field(&mut self, end: End, name: &str, value: &str) -> Result<(), Fault> {
        self.change(name.len() + value.len())?;
        let field = Field::added(name.to_owned(), value);
        let fields = &mut self.header(0)?.fields;
        let (name, value) = (name.to_owned(), value.to_owned());
        let edit = match end {
            End::First => {
                fields.insert(0, field);
                HeaderEdit::First { name, value }
            }
            End::Last => {
                fields.push(field);
                HeaderEdit::Last { name, value }
            }
        };
        self.edited(edit);
        Ok(())
    }

    /// Removes header fields, named by their indices in ascending order.
    pub(crate) fn remove_fields(&mut self, gone: Vec<usize>) -> Result<(), Fault> {
        if gone.is_empty() {
            return Ok(());
        }
        self.change(gone.len() * size_of::<usize>())?;
        let mut index = 0;
        let mut left = gone.iter().peekable();
        self.header(0)?.fields.retain(|_| {
            let goes = left.next_if(|gone| **gone == index).is_some();
            index += 1;
            !goes
        });
        self.edited(HeaderEdit::Remove(gone));
        Ok(())
    }

    /// Puts a message in place of the one there is.
    pub(crate) fn write(&mut self, message: PlainMail) -> Result<(), Fault> {
        self.change(message.octets().len())?;
        self.headers.clear();
        self.changes.edits.clear();
        self.changes.written = Some(message);
        self.changes.stale = true;
        Ok(())
    }

    /// Puts a message in place of the one there is, in which a part has other parts
    /// within it. Loops go on after them (RFC 5703 section 5).
    pub(crate) fn write_part(&mut self, part: usize, message: PlainMail) -> Result<(), Fault> {
        let end = |mail: &dyn Mail| mail.parts().get(part).map_or(part + 1, |info| info.end);
        let (before, after) = (end(self.message()), end(&message));
        self.write(message)?;
        self.move_loops(|place| match place {
            _ if place <= part => place,
            _ if place < before => after,
            _ => place - before + after,
        });
        Ok(())
    }

    /// Puts a message in place of the one there is, which is within it now: its parts
    /// are numbered from `first` on. Loops stay at the parts that they are at.
    pub(crate) fn write_around(&mut self, first: usize, message: PlainMail) -> Result<(), Fault> {
        self.keep_sent_form();
        self.write(message)?;
        self.move_loops(|place| place + first);
        Ok(())
    }

    fn move_loops(&mut self, to: impl Fn(usize) -> usize) {
        for inner in self.frames.iter_mut().flat_map(|frame| &mut frame.loops) {
            inner.part = to(inner.part);
            inner.next = to(inner.next);
            inner.end = to(inner.end);
        }
    }

    /// The whole message as it is now.
    pub(crate) fn whole(&mut self) -> Result<PlainMail, Fault> {
        if let (Some(written), true) = (&self.changes.written, self.changes.edits.is_empty()) {
            return Ok(written.clone());
        }
        let message = self.message();
        let there = message.header(0).len() + message.body(0).len();
        if message.size() != there as u64 {
            return Err(Fault::new(
                "the message is too large to be changed: test its size before",
            ));
        }
        let octets = [&*self.header_octets(), message.body(0)].concat();
        self.look(octets.len())?;
        Ok(PlainMail::new(octets))
    }

    /// The header section as edited, with its empty line.
    fn header_octets(&self) -> Vec<u8> {
        edit::apply(&self.changes.edits, self.message().header(0))
    }

    fn edited(&mut self, edit: HeaderEdit) {
        self.changes.edits.push(edit);
        self.changes.stale = true;
    }

    fn change(&mut self, octets: usize) -> Result<(), Fault> {
        self.known.forget();
        self.changes.made += 1;
        if self.changes.made > self.limits.edits {
            return Err(Fault::new(format!(
                "the script changes the message more than {} times",
                self.limits.edits
            )));
        }
        self.hold(octets)
    }
}
