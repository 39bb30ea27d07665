//! ENVELOPE, read (RFC 9051 section 7.5.2).

use mailcore::message::{HeaderAddress, HeaderEnvelope, HeaderMailbox, MAX_ADDRESSES};

use super::reader::{Reader, Value};

/// Reads what stands between the parentheses; fields that are missing at the
/// end are empty.
pub(super) fn envelope(mut reader: Reader<'_>) -> HeaderEnvelope {
    let mut envelope = HeaderEnvelope {
        date: text(&mut reader),
        subject: text(&mut reader),
        ..HeaderEnvelope::default()
    };
    for list in [
        &mut envelope.from,
        &mut envelope.sender,
        &mut envelope.reply_to,
        &mut envelope.to,
        &mut envelope.cc,
        &mut envelope.bcc,
    ] {
        *list = addresses(&mut reader);
    }
    envelope.in_reply_to = text(&mut reader);
    envelope.message_id = text(&mut reader);
    envelope
}

fn text(reader: &mut Reader<'_>) -> Option<Vec<u8>> {
    Some(reader.value()?.octets()?.into_owned())
}

fn addresses(reader: &mut Reader<'_>) -> Vec<HeaderAddress> {
    let Some(Value::List(inner)) = reader.value() else {
        return Vec::new();
    };
    let Some(list) = reader.enter(inner) else {
        return Vec::new();
    };
    let each = list.clone().values().filter_map(|value| match value {
        Value::List(inner) => Some(address(list.enter(inner)?)),
        _ => None,
    });
    each.take(MAX_ADDRESSES).collect()
}

/// `address = "(" addr-name SP addr-adl SP addr-mailbox SP addr-host ")"`;
/// without a host, it begins or ends a group.
fn address(mut reader: Reader<'_>) -> HeaderAddress {
    let (name, route) = (text(&mut reader), text(&mut reader));
    match (text(&mut reader), text(&mut reader)) {
        (local_part, Some(host)) => HeaderAddress::Mailbox(HeaderMailbox {
            name,
            route,
            local_part: local_part.unwrap_or_default(),
            host,
        }),
        // Courier and others write an address without a domain like this; a
        // group has no display name.
        (Some(local_part), None) if name.is_some() => HeaderAddress::Mailbox(HeaderMailbox {
            name,
            route,
            local_part,
            host: Vec::new(),
        }),
        (Some(group), None) => HeaderAddress::GroupStart(group),
        (None, None) => HeaderAddress::GroupEnd,
    }
}
