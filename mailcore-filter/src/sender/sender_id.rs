//! Sender ID (RFC 4406): SPF's question, asked for the address that a message
//! says it was last sent by (RFC 4407). Historic: forwarders and lists fail it, and
//! SPF with DMARC took its place. Off unless turned on.

use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use mailcore::address::{Address, Domain};
use mailcore::message::{Header, HeaderAddress, Message, parse_addresses};
use mailcore::plan::Stage;
use mailcore::seams::{Clock, DnsError, Lookup, Mx, Resolver, Tlsa};

use crate::pipeline::{Look, Reaction, Said, Test, TestClass};
use crate::sender_auth::spf::{Spf, SpfQuery};

/// Octets of a header that are looked at.
const MOST_HEADER: u64 = 256 * 1024;

/// The address responsible for a message most recently (RFC 4407 section 2);
/// `None` where the header names none, or more than one.
pub fn responsible(header: &Header<'_>) -> Option<Address> {
    let mut resent_from = None;
    let mut resent_sender = None;
    let mut gap = false;
    for field in header.fields() {
        // A Received between the two: they are of two times that it was sent on.
        if field.is("Received") || field.is("Return-Path") {
            gap |= resent_from.is_some();
        } else if field.is("Resent-From") && resent_from.is_none() && !is_empty(&field.value()) {
            resent_from = Some(field.value());
        } else if field.is("Resent-Sender") && !is_empty(&field.value()) {
            resent_sender = Some(field.value());
            break;
        }
    }
    let resent = match (resent_sender, resent_from) {
        (Some(_), Some(from)) if gap => Some(from),
        (Some(sender), _) => Some(sender),
        (None, from) => from,
    };
    if let Some(value) = resent {
        return only_mailbox(&value);
    }
    for name in ["Sender", "From"] {
        let mut values = header.all(name).map(|field| field.value());
        let mut values = values.by_ref().filter(|value| !is_empty(value));
        if let Some(value) = values.next() {
            return values.next().is_none().then(|| only_mailbox(&value))?;
        }
    }
    None
}

fn is_empty(value: &[u8]) -> bool {
    value.trim_ascii().is_empty()
}

fn only_mailbox(value: &[u8]) -> Option<Address> {
    let list = parse_addresses(value, 3);
    let [HeaderAddress::Mailbox(mailbox)] = list.as_slice() else {
        return None;
    };
    let local_part = std::str::from_utf8(&mailbox.local_part).ok()?;
    let domain = Domain::parse(std::str::from_utf8(&mailbox.host).ok()?).ok()?;
    Address::new(local_part, domain).ok()
}

/// Shows the records for this question as records of SPF.
#[derive(Debug)]
struct PraRecords(Arc<dyn Resolver>);

/// A record for addresses in headers, as one of SPF; `None` for other texts.
fn as_spf(txt: &[u8]) -> Option<Vec<u8>> {
    let end = txt.iter().position(|octet| *octet == b' ');
    let (version, terms) = txt.split_at_checked(end.unwrap_or(txt.len()))?;
    let version = std::str::from_utf8(version).ok()?.to_ascii_lowercase();
    let scopes = version.strip_prefix("spf2.0/")?;
    let mut record = b"v=spf1".to_vec();
    record.extend_from_slice(terms);
    scopes
        .split(',')
        .any(|scope| scope == "pra")
        .then_some(record)
}

#[async_trait]
impl Resolver for PraRecords {
    async fn mx(&self, domain: &Domain) -> Result<Lookup<Mx>, DnsError> {
        self.0.mx(domain).await
    }

    async fn addresses(&self, host: &Domain) -> Result<Lookup<IpAddr>, DnsError> {
        self.0.addresses(host).await
    }

    async fn txt(&self, name: &Domain) -> Result<Lookup<Vec<u8>>, DnsError> {
        let mut found = self.0.txt(name).await?;
        let is_newer = |txt: &Vec<u8>| {
            let start = txt.get(..7).unwrap_or_default();
            start.eq_ignore_ascii_case(b"spf2.0/")
        };
        // Records of SPF stand in only where there is none of these (RFC 4406
        // section 3.4).
        if found.records.iter().any(is_newer) {
            found.records = found.records.iter().filter_map(|txt| as_spf(txt)).collect();
        }
        Ok(found)
    }

    async fn ptr(&self, ip: IpAddr) -> Result<Lookup<Domain>, DnsError> {
        self.0.ptr(ip).await
    }

    async fn tlsa(&self, name: &Domain) -> Result<Lookup<Tlsa>, DnsError> {
        self.0.tlsa(name).await
    }
}

/// The test `sender_id`, asked when the message is here.
#[derive(Debug)]
pub struct SenderId {
    spf: Spf,
}

impl SenderId {
    /// Checks for the host `receiver`.
    pub fn new(resolver: Arc<dyn Resolver>, clock: Arc<dyn Clock>, receiver: Domain) -> Self {
        Self {
            spf: Spf::new(Arc::new(PraRecords(resolver)), clock, receiver),
        }
    }
}

/// The header of a message, as much of it as is looked at.
pub(super) async fn header(message: &Message) -> Option<impl AsRef<[u8]> + Send + Sync + use<>> {
    let end = message.len().min(MOST_HEADER);
    match message.read(0..end).await {
        Ok(octets) => Some(octets),
        Err(error) => {
            tracing::warn!(%error, "can't read a message's header");
            None
        }
    }
}

#[async_trait]
impl Test for SenderId {
    fn name(&self) -> &'static str {
        "sender_id"
    }

    fn stage(&self) -> Stage {
        Stage::Content
    }

    fn class(&self) -> TestClass {
        TestClass::Identity
    }

    fn results(&self) -> &'static [&'static str] {
        &[
            "none",
            "neutral",
            "pass",
            "fail",
            "softfail",
            "temperror",
            "permerror",
            "no_address",
        ]
    }

    fn reaction(&self, result: &str) -> Reaction {
        match result {
            "fail" => Reaction::score(2.0),
            "softfail" => Reaction::score(1.0),
            _ => Reaction::none(),
        }
    }

    async fn look(&self, at: &Look<'_>) -> Vec<Said> {
        let (Some(peer), Some(mail)) = (at.session.peer, at.mail) else {
            return Vec::new();
        };
        let Some(octets) = header(mail.message).await else {
            return Vec::new();
        };
        let Some(address) = responsible(&Header::new(octets.as_ref())) else {
            return vec![Said::new("no_address", "")];
        };
        let helo = at.session.helo.as_deref().unwrap_or_default();
        let identity = (address.local_part(), address.domain().as_str());
        let report = (self.spf.check(&SpfQuery::of(peer.ip(), helo, identity))).await;
        vec![Said::new(report.result.as_str(), address.to_string()).detail(report.decided_by)]
    }
}

#[cfg(test)]
mod tests {
    use mailcore::testing::{FixedResolver, VirtualClock};

    use super::*;

    fn pra(header: &str) -> Option<String> {
        let octets = header.replace('\n', "\r\n");
        responsible(&Header::new(octets.as_bytes())).map(|it| it.to_string())
    }

    #[test]
    fn the_last_who_sent_a_message_is_responsible_for_it() {
        for (header, wanted) in [
            ("From: A <a@a.test>\n\n", Some("a@a.test")),
            ("From: a@a.test\nSender: s@a.test\n\n", Some("s@a.test")),
            (
                "Resent-From: r@b.test\nFrom: a@a.test\n\n",
                Some("r@b.test"),
            ),
            (
                "Resent-From: r@b.test\nResent-Sender: t@b.test\nFrom: a@a.test\n\n",
                Some("t@b.test"),
            ),
            (
                "Resent-From: r@b.test\nReceived: x\nResent-Sender: t@c.test\nFrom: a@a.test\n\n",
                Some("r@b.test"),
            ),
            (
                "Sender: s@a.test\nSender: t@a.test\nFrom: a@a.test\n\n",
                None,
            ),
            ("Sender:\nFrom: a@a.test\n\n", Some("a@a.test")),
            ("From: a@a.test\nFrom: b@a.test\n\n", None),
            ("From: a@a.test, b@a.test\n\n", None),
            ("From: nobody\n\n", None),
            ("Subject: x\n\n", None),
        ] {
            assert_eq!(pra(header).as_deref(), wanted, "{header}");
        }
    }

    #[tokio::test]
    async fn records_for_headers_come_before_those_of_spf() {
        let dns = FixedResolver::new();
        dns.add_txt("a.test", "spf2.0/mfrom,pra ip4:192.0.2.1 -all")
            .add_txt("a.test", "v=spf1 -all")
            .add_txt("b.test", "v=spf1 ip4:192.0.2.1 -all")
            .add_txt("c.test", "spf2.0/mfrom -all");
        let clock = Arc::new(VirtualClock::new());
        let test = SenderId::new(Arc::new(dns), clock, "mx.here.test".parse().unwrap());
        for (domain, ip, wanted) in [
            ("a.test", "192.0.2.1", "pass"),
            ("a.test", "192.0.2.2", "fail"),
            ("b.test", "192.0.2.1", "pass"),
            ("c.test", "192.0.2.1", "none"),
        ] {
            let query = SpfQuery::of(ip.parse().unwrap(), "x.test", ("a", domain));
            let report = test.spf.check(&query).await;
            assert_eq!(report.result.as_str(), wanted, "{domain} {ip}");
        }
    }
}
