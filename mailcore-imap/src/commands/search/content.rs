//! One message's content, looked through for the texts of a SEARCH.

use std::ops::Range;

use mailcore::message::decode::TextDecoder;
use mailcore::message::{Part, PartKind, READ_CHUNK, Summary};

use super::Open;
use crate::search::{HeaderText, Needle, fold};

/// One message's text, read piece by piece past the needles.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) found: Vec<bool>,
    /// Index of the part being read, and what of its body is not read yet.
    part: usize,
    left: Range<u64>,
    decoder: Option<TextDecoder>,
    /// Decoded and folded text not searched yet, with the end of what was:
    /// a needle may lie across two pieces.
    text: String,
    parts: Vec<(usize, Range<u64>)>,
}

impl Content {
    pub(super) fn new(message: &Open, needles: &[Needle]) -> Self {
        let summary = message.summary.as_deref();
        let parts = summary.map(searched_parts).unwrap_or_default();
        let header = message
            .header
            .as_ref()
            .map(HeaderText::lines)
            .unwrap_or_default();
        let found = needles
            .iter()
            .map(|needle| needle.len() == 0 || (needle.in_header() && needle.is_in(&header)));
        Self {
            found: found.collect(),
            part: 0,
            left: 0..0,
            decoder: None,
            text: String::new(),
            parts,
        }
    }

    /// What to read next; nothing when all is read or everything is found.
    pub(super) fn next_range(&mut self, needles: &[Needle]) -> Option<Range<u64>> {
        if self.found.iter().all(|found| *found) {
            return None;
        }
        while self.left.is_empty() {
            self.end_part(needles);
            let (part, range) = self.parts.pop()?;
            (self.part, self.left) = (part, range);
        }
        let end = self.left.end.min(self.left.start + READ_CHUNK as u64);
        Some(self.left.start..end)
    }

    pub(super) fn take(&mut self, octets: &[u8], message: &Open, needles: &[Needle]) {
        let Some(part) = message
            .summary
            .as_ref()
            .and_then(|summary| summary.parts.get(self.part))
        else {
            self.left = 0..0;
            return;
        };
        if octets.is_empty() {
            self.left = 0..0;
            return;
        }
        self.left.start = self
            .left
            .start
            .saturating_add(octets.len() as u64)
            .min(self.left.end);
        let mut text = String::new();
        self.decoder
            .get_or_insert_with(|| TextDecoder::new(&part.content))
            .push(octets, &mut text);
        self.search(&text, needles);
    }

    fn end_part(&mut self, needles: &[Needle]) {
        if let Some(decoder) = self.decoder.take() {
            let mut text = String::new();
            decoder.finish(&mut text);
            self.search(&text, needles);
        }
        self.text.clear();
    }

    fn search(&mut self, text: &str, needles: &[Needle]) {
        self.text.push_str(&fold(text));
        for (found, needle) in self.found.iter_mut().zip(needles) {
            *found = *found || needle.is_in(&self.text);
        }
        let keep = needles.iter().map(Needle::len).max().unwrap_or(0);
        let mut cut = self.text.len().saturating_sub(keep);
        while !self.text.is_char_boundary(cut) {
            cut -= 1;
        }
        self.text.drain(..cut);
    }
}

/// The parts whose text is searched: text, and what has no type of its own; the
/// last comes first.
fn searched_parts(summary: &Summary) -> Vec<(usize, Range<u64>)> {
    // Leaves of type message, such as a notice's delivery status, are text too.
    let is_text = |part: &Part| {
        part.kind == PartKind::Leaf && matches!(&*part.content.media_type, "text" | "message")
    };
    let texts = summary
        .parts
        .iter()
        .enumerate()
        .filter(|(_, part)| is_text(part));
    texts
        .map(|(index, part)| (index, part.body_range()))
        .rev()
        .collect()
}
