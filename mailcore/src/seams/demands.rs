//! [`Demands`]: what a message must be like to be taken for an address.

use crate::message::{PartKind, Summary};
use crate::status::Status;

/// What is demanded of mail for one address. The default demands nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Demands {
    /// Octets that a message may have.
    pub max_size: Option<u64>,
    /// Whether parts may be attached.
    pub attachments: Attachments,
    /// Whether the host that the mail goes to is asked for the recipient first.
    pub host_check: HostCheck,
}

/// Whether messages may have attachments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Attachments {
    /// They may.
    #[default]
    Allowed,
    /// They may not.
    Refused,
}

/// Whether a relayed domain's host is asked for a recipient before mail for it
/// is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum HostCheck {
    /// It is not.
    #[default]
    NotAsked,
    /// It is.
    Asked,
}

impl Demands {
    /// Nothing above `size` octets.
    #[must_use]
    pub fn at_most(mut self, size: Option<u64>) -> Self {
        self.max_size = match (self.max_size, size) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        self
    }

    /// Both these demands and those of the address that this one leads to.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let attachments = match (self.attachments, other.attachments) {
            (Attachments::Allowed, Attachments::Allowed) => Attachments::Allowed,
            _ => Attachments::Refused,
        };
        Self {
            attachments,
            host_check: other.host_check,
            ..self.at_most(other.max_size)
        }
    }

    /// Why a message of this size is refused, when it is (RFC 1870 section
    /// 6.1).
    pub fn refuse_size(&self, size: u64) -> Option<Status> {
        let limit = self.max_size.filter(|limit| size > *limit)?;
        let words = format!("this address takes messages of up to {limit} octets");
        Some(Status::permanent(3, 4, words))
    }

    /// Why a message is refused for what is in it, when it is.
    pub fn refuse_content(&self, summary: &Summary) -> Option<Status> {
        let refused = self.attachments == Attachments::Refused && has_attachment(summary);
        refused.then(|| Status::permanent(7, 1, "this address takes no attachments"))
    }
}

/// True when a part says that it is attached, or has a file name and does not
/// say that it is shown in place (RFC 2183 sections 2.1 to 2.3).
fn has_attachment(summary: &Summary) -> bool {
    summary.parts.iter().any(|part| {
        let kind = part.content.disposition.as_ref();
        match kind.map(|disposition| disposition.kind.as_str()) {
            Some("inline") => false,
            Some(_) => !matches!(part.kind, PartKind::Multipart),
            None => part.content.file_name().is_some(),
        }
    })
}
