//! Reports as mail.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mailcore::address::{Address, Domain, ReversePath};
use mailcore::envelope::{Envelope, Notify};
use mailcore::message::{DateTime, HeaderWriter};
use mailcore::time::Timestamp;

/// Octets of a line of base64, before it is encoded (RFC 2045 section 6.8).
const LINE: usize = 57;

/// Who reports.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Submitter {
    /// The sender of reports: what its domain signs, or its host sends, passes
    /// DMARC as RFC 9990 wants it.
    pub from: Address,
    /// The name of the organization.
    pub organization: String,
    /// More on how to reach it.
    pub contact: String,
}

impl Submitter {
    /// By this address, and named after its domain.
    pub fn new(from: Address) -> Self {
        Self {
            organization: from.domain().to_string(),
            contact: String::new(),
            from,
        }
    }

    /// The domain that reports.
    pub fn domain(&self) -> &Domain {
        self.from.domain()
    }
}

/// A mail to be made.
pub(super) struct Draft<'a> {
    pub(super) submitter: &'a Submitter,
    pub(super) to: &'a Address,
    pub(super) subject: &'a str,
    pub(super) id: &'a str,
    pub(super) at: Timestamp,
    /// `multipart/mixed`, and its parameters.
    pub(super) kind: &'a str,
    pub(super) text: &'a str,
    pub(super) parts: &'a [Part<'a>],
}

/// What it brings.
pub(super) struct Part<'a> {
    pub(super) media_type: &'a str,
    /// Of a file, which is encoded; empty for what is text as it is.
    pub(super) name: &'a str,
    pub(super) octets: &'a [u8],
}

impl Draft<'_> {
    /// The mail, with lines that end as SMTP has them.
    pub(super) fn finish(&self) -> Vec<u8> {
        let boundary = self.boundary();
        let mut header = HeaderWriter::new();
        header
            .addresses("From", [("", &self.submitter.from)])
            .addresses("To", [("", self.to)])
            .text("Subject", self.subject)
            .date("Date", DateTime::utc(self.at))
            .structured("Message-ID", format_args!("<{}>", self.id))
            .structured("Auto-Submitted", "auto-generated")
            .structured("MIME-Version", "1.0")
            .structured(
                "Content-Type",
                format_args!("{}; boundary=\"{boundary}\"", self.kind),
            );
        let mut mail = header.finish();
        let mut line = |text: &str| {
            mail.extend_from_slice(text.as_bytes());
            mail.extend_from_slice(b"\r\n");
        };
        line("");
        line(&format!("--{boundary}"));
        line("Content-Type: text/plain; charset=us-ascii");
        line("");
        self.text.lines().for_each(&mut line);
        for part in self.parts {
            line(&format!("--{boundary}"));
            if part.name.is_empty() {
                line(&format!("Content-Type: {}", part.media_type));
                line("");
                line(&String::from_utf8_lossy(part.octets));
                continue;
            }
            // The name is made of domains and digits alone.
            let name = part.name;
            line(&format!(
                "Content-Type: {}; name=\"{name}\"",
                part.media_type
            ));
            line(&format!(
                "Content-Disposition: attachment; filename=\"{name}\""
            ));
            line("Content-Transfer-Encoding: base64");
            line("");
            for octets in part.octets.chunks(LINE) {
                line(&STANDARD.encode(octets));
            }
        }
        line(&format!("--{boundary}--"));
        mail
    }

    /// In no part, since it is of what they hold.
    fn boundary(&self) -> String {
        let mut text = self.id.as_bytes().to_vec();
        for part in self.parts {
            text.extend_from_slice(part.octets);
        }
        let digest = digest(&SHA256, &text);
        let hex = digest.as_ref().iter().take(12);
        hex.fold("=_".to_owned(), |text, octet| format!("{text}{octet:02x}"))
    }
}

/// Nobody is told when a report does not get there: the next one will, or not.
pub(super) fn envelope(submitter: &Submitter, to: &Address) -> Envelope {
    let from = ReversePath::Address(submitter.from.clone());
    let mut envelope = Envelope::new(from, [to.clone()]);
    for recipient in &mut envelope.recipients {
        recipient.notify = Notify::NEVER;
    }
    envelope
}
