//! [`FetchItem`]: what FETCH tells of a message.

use std::sync::Arc;

use super::Capability;
use super::section::{Partial, Section};

/// ```text
/// fetch-att = "ENVELOPE" / "FLAGS" / "INTERNALDATE" /
///             "RFC822" [".HEADER" / ".SIZE" / ".TEXT"] /
///             "BODY" ["STRUCTURE"] / "UID" /
///             "BODY" section ["<" number "." nz-number ">"] /
///             "BODY.PEEK" section ["<" number "." nz-number ">"]
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FetchItem {
    /// `UID`.
    Uid,
    /// `FLAGS`.
    Flags,
    /// `INTERNALDATE`.
    InternalDate,
    /// `RFC822.SIZE`.
    Size,
    /// `ENVELOPE`.
    Envelope,
    /// `BODY`: the structure without extension data.
    Structure,
    /// `BODYSTRUCTURE`: with extension data.
    ExtendedStructure,
    /// `MODSEQ` (RFC 7162).
    ModSeq,
    /// `SAVEDATE` (RFC 8514).
    SaveDate,
    /// `EMAILID` (RFC 8474).
    EmailId,
    /// `THREADID` (RFC 8474).
    ThreadId,
    /// `BODY[...]<...>` and its older forms.
    Body(Arc<BodyItem>),
    /// `BINARY[...]<...>` and `BINARY.SIZE[...]` (RFC 3516).
    Binary(Arc<BinaryItem>),
}

impl FetchItem {
    /// The capability without which it is not served, where that depends on
    /// the store.
    pub fn capability(&self) -> Option<Capability> {
        matches!(self, Self::EmailId | Self::ThreadId).then_some(Capability::ObjectId)
    }

    /// The section whose octets it needs.
    pub fn section(&self) -> Option<&Section> {
        match self {
            Self::Body(item) => Some(&item.section),
            Self::Binary(item) => Some(&item.section),
            _ => None,
        }
    }

    fn seen(&self) -> Option<SetSeen> {
        match self {
            Self::Body(item) => Some(item.seen),
            Self::Binary(item) => match item.wants {
                BinaryWants::Octets(seen) => Some(seen),
                BinaryWants::Size => None,
            },
            _ => None,
        }
    }
}

/// A request for octets of the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BodyItem {
    /// Which octets.
    pub section: Section,
    /// Which of these.
    pub partial: Option<Partial>,
    /// Whether fetching sets `\Seen`.
    pub seen: SetSeen,
    /// The name the response uses.
    pub name: BodyName,
}

/// A request for octets of a part without its transfer encoding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BinaryItem {
    /// Which part: a section without a text.
    pub section: Section,
    /// Which of its decoded octets.
    pub partial: Option<Partial>,
    /// The octets, or how many there are.
    pub wants: BinaryWants,
}

/// What is asked of a decoded part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BinaryWants {
    /// `BINARY[...]`, `BINARY.PEEK[...]`.
    Octets(SetSeen),
    /// `BINARY.SIZE[...]`.
    Size,
}

impl BinaryItem {
    /// True for `BINARY.SIZE`.
    pub fn size_only(&self) -> bool {
        self.wants == BinaryWants::Size
    }
}

/// Whether a FETCH of octets sets `\Seen`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetSeen {
    /// `BODY[...]`, `RFC822`, `RFC822.TEXT`.
    Set,
    /// `BODY.PEEK[...]`, `RFC822.HEADER`.
    Peek,
}

/// How the response names what was asked for (RFC 3501 section 7.4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyName {
    /// `BODY[section]<origin>`.
    Body,
    /// `RFC822`, the same octets as `BODY[]`.
    Rfc822,
    /// `RFC822.HEADER`, as `BODY.PEEK[HEADER]`.
    Rfc822Header,
    /// `RFC822.TEXT`, as `BODY[TEXT]`.
    Rfc822Text,
}

/// The items of one FETCH, in the order asked for and without repeats.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FetchItems(Vec<FetchItem>);

impl FetchItems {
    /// `FAST = (FLAGS INTERNALDATE RFC822.SIZE)`
    pub fn fast() -> Self {
        Self(vec![
            FetchItem::Flags,
            FetchItem::InternalDate,
            FetchItem::Size,
        ])
    }

    /// `ALL = (FLAGS INTERNALDATE RFC822.SIZE ENVELOPE)`
    pub fn all() -> Self {
        let mut items = Self::fast();
        items.push(FetchItem::Envelope);
        items
    }

    /// `FULL = (FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODY)`
    pub fn full() -> Self {
        let mut items = Self::all();
        items.push(FetchItem::Structure);
        items
    }

    /// Adds `item` unless it is already there.
    pub fn push(&mut self, item: FetchItem) {
        if !self.0.contains(&item) {
            self.0.push(item);
        }
    }

    /// Puts UID first, as a UID FETCH answers (RFC 3501 section 6.4.8).
    pub fn with_uid(mut self) -> Self {
        self.0.retain(|item| *item != FetchItem::Uid);
        self.0.insert(0, FetchItem::Uid);
        self
    }

    /// Leaves UID out, where the response begins with it; there must be one
    /// item at least.
    #[must_use]
    pub fn without_uid(mut self) -> Self {
        if self.0.len() > 1 {
            self.0.retain(|item| *item != FetchItem::Uid);
        }
        self
    }

    /// The items.
    pub fn iter(&self) -> impl Iterator<Item = &FetchItem> {
        self.0.iter()
    }

    /// The item at `index`.
    pub fn at(&self, index: usize) -> Option<&FetchItem> {
        self.0.get(index)
    }

    /// True when ENVELOPE or a structure is asked for.
    pub fn need_summary(&self) -> bool {
        self.iter().any(|item| {
            matches!(
                item,
                FetchItem::Envelope | FetchItem::Structure | FetchItem::ExtendedStructure
            )
        })
    }

    /// True when the message's own header is asked for, or fields of it.
    pub fn need_header(&self) -> bool {
        self.iter()
            .any(|item| item.section().is_some_and(Section::is_in_header))
    }

    /// True when a section is asked for that only the structure can locate:
    /// anything but the whole message and its own header.
    pub fn need_structure(&self) -> bool {
        let found = |section: &Section| section.is_whole() || section.is_in_header();
        self.iter()
            .any(|item| item.section().is_some_and(|section| !found(section)))
    }

    /// True when octets of the message are asked for.
    pub fn need_octets(&self) -> bool {
        self.iter().any(|item| item.section().is_some())
    }

    /// True when the fetch sets `\Seen`.
    pub fn set_seen(&self) -> bool {
        self.iter().any(|item| item.seen() == Some(SetSeen::Set))
    }

    /// True when `item` is asked for.
    pub fn has(&self, item: &FetchItem) -> bool {
        self.0.contains(item)
    }
}
