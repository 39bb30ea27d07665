//! What is to be done with each stretch of a message: [`PartInspector`].

use std::ops::Range;

use super::super::part::{Part, PartKind};
use super::super::skeleton::Limits;
use super::super::summary::Summary;
use super::super::transfer::TransferEncoding;
use super::convert::{Conversion, HeaderEdit, HeaderNames};
use super::encode::{Base64, Encoder, Plain, Quoted};
use super::inspect::{Inspector, Traits};
use super::{CannotConvert, Goal};

/// A stretch of a message.
#[derive(Debug)]
pub(super) struct Stretch {
    pub(super) range: Range<u64>,
    what: What,
}

/// What a stretch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    /// The header of the part with this index.
    Header(usize),
    /// The body of a leaf.
    Body(usize),
    /// Boundaries and what stands around them.
    Between,
}

/// What a stretch holds.
#[derive(Debug, Clone, Copy, Default)]
struct Found {
    traits: Traits,
    names: HeaderNames,
}

/// Looks at a message whose structure is known, in pieces of any size.
#[derive(Debug)]
pub struct PartInspector<'a> {
    summary: &'a Summary,
    stretches: Vec<Stretch>,
    found: Vec<Found>,
    inspector: Inspector,
    names: HeaderNames,
    offset: u64,
}

impl<'a> PartInspector<'a> {
    /// An inspector at the start of the message that `summary` tells of.
    pub fn new(summary: &'a Summary) -> Self {
        Self {
            summary,
            stretches: stretches(summary),
            found: Vec::new(),
            inspector: Inspector::default(),
            names: HeaderNames::default(),
            offset: 0,
        }
    }

    /// Takes the next octets.
    pub fn push(&mut self, octets: &[u8]) {
        let mut rest = octets;
        while let Some(stretch) = self.stretches.get(self.found.len()) {
            let left = stretch.range.end.saturating_sub(self.offset);
            let count = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
            let (now, later) = rest.split_at_checked(count).unwrap_or((rest, &[]));
            self.inspector.push(now);
            if matches!(stretch.what, What::Header(_)) {
                self.names.push(now);
            }
            self.offset += count as u64;
            rest = later;
            if self.offset < stretch.range.end {
                return;
            }
            self.end_stretch();
        }
    }

    fn end_stretch(&mut self) {
        let traits = std::mem::take(&mut self.inspector).finish();
        let names = std::mem::take(&mut self.names);
        self.found.push(Found { traits, names });
    }

    /// How the message becomes what `goal` says.
    ///
    /// # Errors
    /// [`CannotConvert`].
    pub fn finish(mut self, goal: Goal) -> Result<Conversion, CannotConvert> {
        while self.found.len() < self.stretches.len() {
            self.end_stretch();
        }
        if self.summary.parts.len() >= Limits::default().parts {
            return Err(CannotConvert::TooManyParts);
        }
        let both = self.stretches.iter().zip(&self.found);
        let encodings = self.encodings(goal)?;
        let work: Result<Vec<_>, _> = both
            .map(|(stretch, found)| {
                let encoding = |part: &usize| encodings.get(*part).copied().flatten();
                let work = match stretch.what {
                    What::Header(part) => self.header(part, encoding(&part), found, goal)?,
                    What::Body(part) => Work::Octets(match encoding(&part) {
                        Some(encoding) => encoding.encoder(),
                        None => Encoder::Copy,
                    }),
                    What::Between if must_change(found.traits, goal) && self.holds_signed() => {
                        return Err(CannotConvert::Signed);
                    }
                    What::Between => Work::Octets(between(found.traits, goal)),
                };
                Ok((stretch.range.end, work))
            })
            .collect();
        Ok(Conversion::new(work?))
    }

    /// The encoding that each part's body is put into; `None` for as it is.
    fn encodings(&self, goal: Goal) -> Result<Vec<Option<Encoding>>, CannotConvert> {
        let mut encodings = vec![None; self.summary.parts.len()];
        let (mut mime, mut composite) = (false, false);
        for (stretch, found) in self.stretches.iter().zip(&self.found) {
            match stretch.what {
                What::Header(at) => {
                    mime |= at == 0 && found.names.mime_version;
                    // A leaf's own header is the last one before its body.
                    composite = found.names.composite;
                }
                What::Body(at) if asks_for_it(found.traits, goal) => {
                    let must = must_change(found.traits, goal);
                    if must && at == 0 && !mime && found.traits.stray {
                        return Err(CannotConvert::NotMime);
                    }
                    let chosen = match self.is_signed(at) {
                        true => Err(CannotConvert::Signed),
                        false if composite => Err(CannotConvert::Composite),
                        false => self.encoding(at, found.traits),
                    };
                    // A long line alone is no reason not to send.
                    let chosen = if must { chosen.map(Some)? } else { chosen.ok() };
                    if let Some(encoding) = encodings.get_mut(at) {
                        *encoding = chosen;
                    }
                }
                _ => {}
            }
        }
        Ok(encodings)
    }

    fn encoding(&self, at: usize, traits: Traits) -> Result<Encoding, CannotConvert> {
        let Some(part) = self.summary.parts.get(at) else {
            return Err(CannotConvert::UnknownEncoding);
        };
        let content = &part.content;
        if content.is("message", "partial") || content.is("message", "external-body") {
            return Err(CannotConvert::Fragment);
        }
        let text = matches!(content.media_type.as_str(), "text" | "message");
        match TransferEncoding::parse(&content.encoding) {
            None => Err(CannotConvert::UnknownEncoding),
            Some(TransferEncoding::QuotedPrintable) => Ok(Encoding::QuotedAnew),
            Some(TransferEncoding::Base64) => Ok(Encoding::Base64Anew),
            Some(TransferEncoding::Identity) if text && !traits.stray => Ok(Encoding::Quoted),
            Some(TransferEncoding::Identity) => Ok(Encoding::Base64),
        }
    }

    fn holds_signed(&self) -> bool {
        let mut parts = self.summary.parts.iter();
        parts.any(|part| part.content.is("multipart", "signed"))
    }

    /// Whether the part lies within a multipart/signed.
    fn is_signed(&self, at: usize) -> bool {
        let parent = |part: &&Part| self.summary.parts.get(part.parent?);
        let mut around = std::iter::successors(self.summary.parts.get(at), parent);
        around.any(|part| part.content.is("multipart", "signed"))
    }

    fn header(
        &self,
        at: usize,
        encoding: Option<Encoding>,
        found: &Found,
        goal: Goal,
    ) -> Result<Work, CannotConvert> {
        if found.traits.stray {
            return Err(CannotConvert::StrayInHeader);
        }
        if found.traits.eight_bit && goal == Goal::SevenBit {
            return Err(CannotConvert::EightBitHeader);
        }
        let Some(part) = self.summary.parts.get(at) else {
            return Ok(Work::Octets(Encoder::Copy));
        };
        let parent = part
            .parent
            .and_then(|parent| self.summary.parts.get(parent));
        let signed = parent.is_some() && part.parent.is_some_and(|parent| self.is_signed(parent));
        let label = encoding.and_then(Encoding::label);
        let label = label.or_else(|| plain_label(&part.content.encoding, goal));
        let Some(label) = label.filter(|_| !signed) else {
            return Ok(Work::Octets(Encoder::Copy));
        };
        let of_message = parent.is_none_or(|parent| matches!(parent.kind, PartKind::Message(_)));
        let mut fields = String::new();
        if of_message && !found.names.mime_version {
            fields.push_str("MIME-Version: 1.0\r\n");
        }
        if encoding.is_some() && !found.names.content_type {
            // RFC 1428 section 3: nobody knows what the octets stand for.
            fields.push_str("Content-Type: text/plain; charset=unknown-8bit\r\n");
        }
        fields.push_str("Content-Transfer-Encoding: ");
        fields.push_str(label);
        fields.push_str("\r\n");
        Ok(Work::Header(HeaderEdit::new(fields)))
    }
}

/// What is done with one stretch.
#[derive(Debug, Clone)]
pub(super) enum Work {
    Octets(Encoder),
    Header(HeaderEdit),
}

/// What a part's body is put into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Quoted,
    Base64,
    QuotedAnew,
    Base64Anew,
}

impl Encoding {
    fn encoder(self) -> Encoder {
        match self {
            Self::Quoted => Encoder::Quoted(Quoted::default()),
            Self::Base64 => Encoder::Base64(Base64::default()),
            Self::QuotedAnew => Encoder::QuotedAnew(Quoted::default()),
            Self::Base64Anew => Encoder::Base64Anew { column: 0 },
        }
    }

    /// Its name, where the header has to name another.
    fn label(self) -> Option<&'static str> {
        match self {
            Self::Quoted => Some("quoted-printable"),
            Self::Base64 => Some("base64"),
            Self::QuotedAnew | Self::Base64Anew => None,
        }
    }
}

/// The name of what is left as it is, where it says more than is true now.
fn plain_label(encoding: &str, goal: Goal) -> Option<&'static str> {
    match (encoding, goal) {
        ("8bit" | "binary", Goal::SevenBit) => Some("7bit"),
        ("binary", Goal::EightBit) => Some("8bit"),
        _ => None,
    }
}

fn must_change(traits: Traits, goal: Goal) -> bool {
    traits.stray || (traits.eight_bit && goal == Goal::SevenBit)
}

fn asks_for_it(traits: Traits, goal: Goal) -> bool {
    must_change(traits, goal) || traits.long_line
}

fn between(traits: Traits, goal: Goal) -> Encoder {
    match must_change(traits, goal) {
        false => Encoder::Copy,
        true => Encoder::Plain(Plain {
            eight_bit: (goal == Goal::SevenBit).then_some(b'?'),
            after_cr: false,
        }),
    }
}

/// The whole message cut where another treatment may begin.
fn stretches(summary: &Summary) -> Vec<Stretch> {
    let mut stretches = Vec::new();
    let mut at = 0;
    let mut add = |range: Range<u64>, what| {
        if at < range.start {
            stretches.push(Stretch {
                range: at..range.start,
                what: What::Between,
            });
        }
        let start = at.max(range.start);
        if start < range.end {
            stretches.push(Stretch {
                range: start..range.end,
                what,
            });
        }
        at = at.max(range.end).max(start);
    };
    for (index, part) in summary.parts.iter().enumerate() {
        add(part.header_range(), What::Header(index));
        if part.kind == PartKind::Leaf {
            add(part.body_range(), What::Body(index));
        }
    }
    add(summary.size..summary.size, What::Between);
    stretches
}
