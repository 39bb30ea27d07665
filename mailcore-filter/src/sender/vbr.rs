//! Vouch By Reference (RFC 5518): whether somebody who is trusted here vouches for
//! the domain that a message is from.
//!
//! A message says by whom (`VBR-Info`), DNS of the one who vouches says whether it
//! is so, and DKIM or SPF that the domain is the message's.

use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use mailcore::address::Domain;
use mailcore::message::Header;
use mailcore::plan::Stage;
use mailcore::seams::{DnsError, Resolver};

use super::sender_id::header;
use crate::pipeline::{Look, Reaction, Said, Test};

/// Fields of one message that are read, and those in one that vouch.
const MOST_FIELDS: usize = 5;
const MOST_VOUCHERS: usize = 10;

/// What a `VBR-Info` field says (RFC 5518 section 4).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct VbrInfo {
    /// `md`: whose message it is.
    pub domain: Domain,
    /// `mc`: what kind of mail.
    pub kind: String,
    /// `mv`: who vouches.
    pub vouchers: Vec<Domain>,
}

impl VbrInfo {
    /// Reads the field; `None` for one that lacks a part or has it twice.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(value).ok()?;
        let (mut domain, mut kind, mut vouchers) = (None, None, None);
        for element in text.split(';').filter(|it| !it.trim().is_empty()) {
            let (name, value) = element.split_once('=')?;
            let part = match name.trim().to_ascii_lowercase().as_str() {
                "md" => &mut domain,
                "mc" => &mut kind,
                "mv" => &mut vouchers,
                // Elements of later versions.
                _ => continue,
            };
            if part.replace(value.trim()).is_some() {
                return None;
            }
        }
        let vouchers = vouchers?.split(':').take(MOST_VOUCHERS);
        Some(Self {
            domain: Domain::parse(domain?).ok()?,
            kind: kind?.to_ascii_lowercase(),
            vouchers: vouchers
                .filter_map(|it| Domain::parse(it.trim()).ok())
                .collect(),
        })
    }
}

/// Whether a record vouches for a kind of mail (RFC 5518 section 5).
fn vouches(record: &[u8], kind: &str) -> bool {
    let Ok(text) = std::str::from_utf8(record) else {
        return false;
    };
    let mut kinds = text.split_ascii_whitespace();
    kinds.any(|it| it.eq_ignore_ascii_case("all") || it.eq_ignore_ascii_case(kind))
}

/// The test `vbr`, asked when the message is here.
#[derive(Debug)]
pub struct Vbr {
    resolver: Arc<dyn Resolver>,
    trusted: HashSet<Domain>,
}

impl Vbr {
    /// Believes those who vouch and are trusted.
    pub fn new(resolver: Arc<dyn Resolver>, trusted: impl IntoIterator<Item = Domain>) -> Self {
        Self {
            resolver,
            trusted: trusted.into_iter().collect(),
        }
    }

    /// The one who vouches, if anybody does. No answer is no word for it.
    async fn voucher(&self, info: &VbrInfo) -> Option<Domain> {
        let trusted = info.vouchers.iter().filter(|it| self.trusted.contains(*it));
        for voucher in trusted {
            let name = format!("{}._vouch.{voucher}", info.domain);
            let Ok(name) = Domain::for_lookup(&name) else {
                continue;
            };
            match self.resolver.txt(&name).await {
                // More than one record is an error of theirs (section 5).
                Ok(found) => {
                    if let [record] = found.records.as_slice()
                        && vouches(record, &info.kind)
                    {
                        return Some(voucher.clone());
                    }
                }
                Err(DnsError::NotFound { .. }) => {}
                Err(error) => tracing::debug!(%error, %voucher, "can't ask who vouches"),
            }
        }
        None
    }
}

#[async_trait]
impl Test for Vbr {
    fn name(&self) -> &'static str {
        "vbr"
    }

    fn stage(&self) -> Stage {
        Stage::Content
    }

    fn after(&self) -> &'static [&'static str] {
        &["spf", "dkim"]
    }

    fn results(&self) -> &'static [&'static str] {
        &["pass"]
    }

    fn reaction(&self, _: &str) -> Reaction {
        Reaction::score(-3.0)
    }

    async fn look(&self, at: &Look<'_>) -> Vec<Said> {
        let Some(mail) = at.mail.filter(|_| !self.trusted.is_empty()) else {
            return Vec::new();
        };
        let Some(octets) = header(mail.message).await else {
            return Vec::new();
        };
        let findings = at.session.memory.findings();
        let proven = |domain: &Domain| {
            (findings.iter()).any(|it| {
                matches!(it.test.as_str(), "spf" | "dkim")
                    && it.result == "pass"
                    && it.input.eq_ignore_ascii_case(domain.as_str())
            })
        };
        let header = Header::new(octets.as_ref());
        for field in header.all("VBR-Info").take(MOST_FIELDS) {
            let Some(info) = VbrInfo::parse(&field.value()) else {
                continue;
            };
            // Anybody may write such a field.
            if !proven(&info.domain) {
                continue;
            }
            if let Some(voucher) = self.voucher(&info).await {
                let words = format!("{voucher} vouches for it");
                return vec![Said::new("pass", info.domain.as_str()).detail(words)];
            }
        }
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use mailcore::address::ReversePath;
    use mailcore::envelope::Envelope;
    use mailcore::message::{Message, Summary};
    use mailcore::plan::Finding;
    use mailcore::seams::{FilterSession, IncomingMail};
    use mailcore::testing::FixedResolver;

    use super::*;

    async fn said(fields: &str, proof: (&str, &str)) -> Vec<String> {
        let dns = FixedResolver::new();
        dns.add_txt("a.test._vouch.good.test", "list transaction")
            .add_txt("b.test._vouch.good.test", "all")
            .add_txt("a.test._vouch.other.test", "all");
        let test = Vbr::new(Arc::new(dns), ["good.test".parse().unwrap()]);
        let session = FilterSession::new(Some("192.0.2.1:25".parse().unwrap()));
        let finding = Finding::new(Stage::Content, proof.0, "pass").on(proof.1);
        session.memory.note(finding);
        let octets = format!("{fields}\r\n\r\nx\r\n").into_bytes();
        let summary = Summary::scan(&octets);
        let message = Message::from_bytes(octets);
        let envelope = Envelope::from_sender(ReversePath::Null);
        let mail = IncomingMail::new(&envelope, &message, &summary);
        let said = test.look(&Look::at(&session).mail(&mail)).await;
        said.into_iter().map(|said| said.detail).collect()
    }

    #[tokio::test]
    async fn one_who_is_trusted_vouches_for_a_domain_that_is_proven() {
        let field = |md: &str, mc: &str, mv: &str| format!("VBR-Info: md={md}; mc={mc}; mv={mv};");
        let good = ["good.test vouches for it"];
        let list = field("a.test", "list", "other.test:good.test");
        assert_eq!(said(&list, ("dkim", "a.test")).await, good);
        let any = field("b.test", "whatever", "good.test");
        assert_eq!(said(&any, ("spf", "b.test")).await, good);
        for (field, proof) in [
            (list.clone(), ("dkim", "b.test")),
            (list, ("iprev", "a.test")),
            (field("a.test", "all", "other.test"), ("dkim", "a.test")),
            (
                field("a.test", "sponsored", "good.test"),
                ("dkim", "a.test"),
            ),
            (
                "VBR-Info: md=a.test; md=a.test; mc=list; mv=good.test".into(),
                ("dkim", "a.test"),
            ),
            ("VBR-Info: nonsense".into(), ("dkim", "a.test")),
        ] {
            assert!(said(&field, proof).await.is_empty(), "{field}");
        }
    }
}
