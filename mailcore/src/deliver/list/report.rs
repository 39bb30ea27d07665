//! What a notice says of recipients: the fields of its part
//! `message/delivery-status` (RFC 3464 section 2).

use crate::address::Address;
use crate::message::{Header, Message, Summary};
use crate::queue::dsn::TRACE_FIELD;
use crate::seams::StoreError;

/// Octets of a notice that are looked at: its status part comes before what it
/// gives back.
const MAX_NOTICE: u64 = 1_024 * 1_024;
/// Recipients of one notice that are looked at: an entry has no more.
const MAX_RECIPIENTS: usize = 1_000;

/// A recipient that will not be served.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Failed {
    pub(super) address: Address,
    /// `5.1.1`.
    pub(super) status: String,
}

/// What a notice is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Report {
    /// It says who was not served; nobody for one of delays.
    Of {
        /// The track of the message it is about, as this server writes it.
        trace: String,
        /// They.
        failed: Vec<Failed>,
    },
    /// Nothing that can be read.
    Unknown,
}

/// Reads a notice.
pub(super) async fn read(message: &Message) -> Result<Report, StoreError> {
    let octets = message.read(0..message.len().min(MAX_NOTICE)).await?;
    let summary = Summary::scan(&octets);
    let is_status = |part: &&crate::message::Part| part.content.is("message", "delivery-status");
    let Some(part) = summary.parts.iter().find(is_status) else {
        return Ok(Report::Unknown);
    };
    let range = part.body_range();
    let at = |octets: u64| usize::try_from(octets).unwrap_or(usize::MAX);
    let body = octets.get(at(range.start)..at(range.end).min(octets.len()));
    Ok(parse(body.unwrap_or_default()))
}

fn parse(mut body: &[u8]) -> Report {
    let (mut trace, mut failed, mut any) = (String::new(), Vec::new(), false);
    let mut groups = 0;
    while !body.is_empty() && groups < MAX_RECIPIENTS {
        groups += 1;
        let group = Header::new(body);
        let value = |name: &str| {
            let field = group.first(name)?;
            Some(String::from_utf8_lossy(&field.value()).trim().to_owned())
        };
        if groups == 1 {
            trace = value(TRACE_FIELD).unwrap_or_default();
        }
        if let Some(action) = value("Action") {
            any = true;
            // What the members' addresses were when the mail left tells more than
            // what others made of them.
            let who = value("Original-Recipient").or_else(|| value("Final-Recipient"));
            let address = who.as_deref().and_then(typed);
            if let (true, Some(address)) = (action.eq_ignore_ascii_case("failed"), address) {
                failed.push(Failed {
                    address,
                    status: value("Status").unwrap_or_default(),
                });
            }
        }
        body = body.get(group.section_len().max(1)..).unwrap_or_default();
    }
    match any {
        true => Report::Of { trace, failed },
        false => Report::Unknown,
    }
}

/// `rfc822; ann@a.test` (RFC 3464 section 2.1.2).
fn typed(value: &str) -> Option<Address> {
    let (_, address) = value.split_once(';')?;
    let address = address.trim();
    let address = address.trim_start_matches('<').trim_end_matches('>');
    Address::parse(address).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOTICE: &str = "Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n\
        --b\r\n\r\nSorry.\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n\
        Reporting-MTA: dns; x\r\nX-Mailcore-Trace: 1f\r\n\r\n\
        Original-Recipient: rfc822;Ann@a.test\r\nFinal-Recipient: rfc822;x@y.test\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n\
        Final-Recipient: rfc822; bob@b.test\r\nAction: delayed\r\nStatus: 4.4.1\r\n\r\n\
        Final-Recipient: rfc822; <cat@c.test>\r\nAction: Failed\r\n\r\n--b--\r\n";

    #[tokio::test]
    async fn a_notice_says_who_was_not_served() {
        let report = read(&Message::from_bytes(NOTICE)).await.unwrap();
        let failed = |address: &str, status: &str| Failed {
            address: address.parse().unwrap(),
            status: status.to_owned(),
        };
        let wanted = Report::Of {
            trace: "1f".to_owned(),
            failed: vec![failed("Ann@a.test", "5.1.1"), failed("cat@c.test", "")],
        };
        assert_eq!(report, wanted);
        let other = Message::from_bytes("Subject: gone\r\n\r\nnobody@a.test\r\n");
        assert_eq!(read(&other).await.unwrap(), Report::Unknown);
    }

    proptest! {
        #[test]
        fn any_octets_are_a_report_or_none(octets in proptest::collection::vec(any::<u8>(), 0..300)) {
            parse(&octets);
        }
    }
}
