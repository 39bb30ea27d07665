//! Mail that says itself from whom and for whom it is.

use bytes::Bytes;

use super::{RunningServer, Submission, SubmitError};
use crate::address::{Address, ReversePath};
use crate::envelope::Envelope;
use crate::message::{Header, HeaderAddress, HeaderEnvelope};

impl RunningServer {
    /// Sends a message to everybody that its header names in To, Cc and Bcc,
    /// with notices to the address in Sender, or else From. Bcc is taken out;
    /// Date and Message-ID are put in where they are missing.
    ///
    /// Addresses of strangers in a header of your making are recipients, too:
    /// where they are not yours to choose, say who gets it with
    /// [`RunningServer::submit`].
    ///
    /// # Errors
    /// [`SubmitError`]: nothing was taken.
    pub async fn send(&self, message: impl Into<Bytes>) -> Result<Submission, SubmitError> {
        let message = message.into();
        let envelope = addressed(&message)?;
        self.submit(envelope, without_bcc(message)).await
    }
}

/// The envelope that a header asks for.
fn addressed(message: &[u8]) -> Result<Envelope, SubmitError> {
    let header = HeaderEnvelope::parse(&Header::new(message));
    let sender = addresses(header.sender_or_from())?;
    let sender = sender.into_iter().next().ok_or(SubmitError::NoSender)?;
    let mut recipients: Vec<Address> = Vec::new();
    for field in [&header.to, &header.cc, &header.bcc] {
        for address in addresses(field)? {
            if !recipients.contains(&address) {
                recipients.push(address);
            }
        }
    }
    if recipients.is_empty() {
        return Err(SubmitError::NoRecipient);
    }
    Ok(Envelope::new(ReversePath::Address(sender), recipients))
}

fn addresses(field: &[HeaderAddress]) -> Result<Vec<Address>, SubmitError> {
    let mailboxes = field.iter().filter_map(HeaderAddress::mailbox);
    let parse = |octets: Vec<u8>| {
        let text = String::from_utf8_lossy(&octets).into_owned();
        Address::parse(&text).map_err(|source| SubmitError::Address {
            address: text,
            source,
        })
    };
    mailboxes.map(|mailbox| parse(mailbox.address())).collect()
}

/// The message as all of its recipients may see it (RFC 5322 section 3.6.3).
fn without_bcc(message: Bytes) -> Bytes {
    let mut kept = Vec::new();
    let mut from = 0;
    for field in Header::new(&message).all("Bcc") {
        kept.extend_from_slice(message.get(from..field.range.start).unwrap_or_default());
        from = field.range.end;
    }
    if from == 0 {
        return message;
    }
    kept.extend_from_slice(message.get(from..).unwrap_or_default());
    kept.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAIL: &[u8] = b"From: \"The shop\" <shop@a.test>\r\nTo: ann@b.test, Team: bob@b.test,\r\n ann@b.test;\r\n\
        Bcc: eve@c.test,\r\n dan@c.test\r\nSubject: x\r\n\r\nBcc: in the text\r\n";

    #[test]
    fn the_header_says_who_gets_it_and_each_gets_it_once() {
        let envelope = addressed(MAIL).unwrap();
        assert_eq!(envelope.reverse_path.to_string(), "shop@a.test");
        let to: Vec<_> = (envelope.recipients.iter())
            .map(|it| it.address.to_string())
            .collect();
        assert_eq!(to, ["ann@b.test", "bob@b.test", "eve@c.test", "dan@c.test"]);
    }

    #[test]
    fn nobody_reads_who_else_got_it_in_secret() {
        let seen = without_bcc(Bytes::from_static(MAIL));
        let seen = String::from_utf8_lossy(&seen);
        assert!(!seen.contains("eve") && !seen.contains("dan"), "{seen}");
        assert!(
            seen.ends_with("Subject: x\r\n\r\nBcc: in the text\r\n"),
            "{seen}"
        );
    }

    #[test]
    fn what_names_nobody_is_not_sent() {
        let fails = |message: &[u8]| addressed(message).unwrap_err().to_string();
        assert!(fails(b"To: a@b.test\r\n\r\n").contains("From"));
        assert!(fails(b"From: a@b.test\r\n\r\n").contains("To, Cc or Bcc"));
        assert!(fails(b"From: a@b.test\r\nTo: not an address\r\n\r\n").contains("not an address"));
    }
}
