//! Whose mail it says it is: the domains in From (RFC 7489 section 6.6.1).

use std::collections::HashSet;

use mailcore::address::Domain;
use mailcore::message::{Field, Header, HeaderAddress, Message, parse_addresses};

use crate::sender_auth::dkim::DkimProblem;
use crate::sender_auth::dkim::verify::read_header;

/// Octets of a header that are read; what intake takes is far less.
const HEADER: u64 = 16 << 20;
/// Addresses read of one field.
const MOST_ADDRESSES: usize = 1_000;

/// The domains of the addresses in all From fields, in their order, each once, in
/// the form that DNS takes.
pub(super) async fn domains(message: &Message) -> Result<Vec<Domain>, DkimProblem> {
    let header = read_header(message, HEADER).await?;
    let mut seen = HashSet::new();
    let mut domains = Vec::new();
    for field in Header::new(&header).all("From") {
        for domain in of_field(&field) {
            if seen.insert(domain.clone()) {
                domains.push(domain);
            }
        }
    }
    Ok(domains)
}

fn of_field(field: &Field<'_>) -> Vec<Domain> {
    let addresses = parse_addresses(field.raw, MOST_ADDRESSES);
    let mailboxes = addresses.iter().filter_map(HeaderAddress::mailbox);
    mailboxes.filter_map(|it| domain(&it.host)).collect()
}

fn domain(host: &[u8]) -> Option<Domain> {
    let domain = Domain::parse(std::str::from_utf8(host).ok()?).ok()?;
    let domain = domain.to_ascii().ok()?;
    domain.as_ip().is_none().then_some(domain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_domain_that_a_reader_may_show_is_named_once() {
        for (header, wanted) in [
            ("From: Ann <ann@A.test>", &["a.test"][..]),
            ("From: \"ceo@bank.test\" <x@a.test>", &["a.test"]),
            (
                "From: x@a.test, Y <y@b.test>, z@a.test",
                &["a.test", "b.test"],
            ),
            ("From: x@a.test\r\nfrom: y@b.test", &["a.test", "b.test"]),
            ("From: list: x@a.test, y@b.test;", &["a.test", "b.test"]),
            ("From: (c) x @\r\n a . test", &["a.test"]),
            ("From: x@b\u{fc}cher.test", &["xn--bcher-kva.test"]),
            ("From: x@[192.0.2.1]", &[]),
            ("From: nobody", &[]),
            ("Subject: none", &[]),
        ] {
            let message = Message::from_bytes(format!("{header}\r\n\r\nHi.\r\n"));
            let found = domains(&message).await.unwrap();
            let found: Vec<_> = found.iter().map(Domain::as_str).collect();
            assert_eq!(found, wanted, "{header}");
        }
    }
}
