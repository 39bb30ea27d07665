//! The header of a list's mail (RFC 2369, RFC 2919): which fields are put on top,
//! and which of the author's give way. All else stays as it was written, so that
//! signatures of it hold.

use super::address::ListRole;
use super::settings::{ByMail, ListSettings};
use crate::address::Address;
use crate::message::decode::header_text;
use crate::message::{Header, HeaderEnvelope, HeaderWriter};
use crate::seams::{ListRecord, Posting, ReplyTo};

/// Fields that speak for one list: RFC 2369 section 4 has the inner list's take
/// the place of the outer one's.
const REPLACED: [&str; 8] = [
    "List-Id",
    "List-Help",
    "List-Post",
    "List-Subscribe",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "List-Owner",
    "Precedence",
];

/// Whether the list writes in its own name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    /// The author's address stays.
    Authors,
    /// The list's stands in its place.
    Lists,
}

/// A list's mail, as its header says it.
#[derive(Debug, Clone, Copy)]
pub(super) struct ListHeader<'a> {
    pub(super) list: &'a ListRecord,
    pub(super) settings: &'a ListSettings,
    pub(super) name: Name,
}

impl ListHeader<'_> {
    /// The author's header section as the list sends it.
    pub(super) fn write(&self, header: &[u8]) -> Vec<u8> {
        let envelope = HeaderEnvelope::parse(&Header::new(header));
        let mut fields = HeaderWriter::new();
        let mut gone: Vec<&str> = REPLACED.to_vec();
        fields.structured("Delivered-To", &self.list.address);
        self.own(&mut fields, &mut gone);
        self.from(&envelope, &mut fields, &mut gone);
        self.reply_to(&envelope, &mut fields, &mut gone);
        self.subject(&envelope, &mut fields, &mut gone);
        let mut octets = fields.finish();
        let mut from = 0;
        for field in Header::new(header).fields() {
            if gone.iter().any(|name| field.is(name)) {
                octets.extend_from_slice(header.get(from..field.range.start).unwrap_or_default());
                from = field.range.end;
            }
        }
        octets.extend_from_slice(header.get(from..).unwrap_or_default());
        octets
    }

    fn own(&self, fields: &mut HeaderWriter, gone: &mut Vec<&str>) {
        let list = &self.list.address;
        let id = list_id(list);
        match &self.settings.name {
            // The words before an id are a phrase (RFC 2919 section 3).
            Some(name) => fields.structured("List-Id", format_args!("{} <{id}>", phrase(name))),
            None => fields.structured("List-Id", format_args!("<{id}>")),
        };
        let mut url = |name: &str, address: Option<Address>, rest: &str| {
            if let Some(address) = address {
                fields.structured(name, format_args!("<mailto:{}{rest}>", escaped(&address)));
            }
        };
        url(
            "List-Help",
            ListRole::Request.at(list, None),
            "?subject=help",
        );
        if self.settings.unsubscribe == ByMail::Confirmed && self.list.members_file.is_none() {
            url("List-Unsubscribe", ListRole::Unsubscribe.at(list, None), "");
        }
        if self.settings.subscribe == ByMail::Confirmed && self.list.members_file.is_none() {
            url("List-Subscribe", ListRole::Subscribe.at(list, None), "");
        }
        url("List-Owner", ListRole::Owner.at(list, None), "");
        match self.list.posting {
            // RFC 2369 section 3.4: a list that nobody is meant to write to.
            Posting::Moderators => {
                fields.structured("List-Post", "NO");
            }
            _ => url("List-Post", Some(list.clone()), ""),
        }
        // An archive of an outer list stays where the inner has none (RFC 2369
        // section 4).
        if let Some(archive) = &self.settings.archive {
            fields.structured("List-Archive", format_args!("<{archive}>"));
            gone.push("List-Archive");
        }
        fields.structured("Precedence", "list");
    }

    fn from(&self, envelope: &HeaderEnvelope, fields: &mut HeaderWriter, gone: &mut Vec<&str>) {
        if self.name == Name::Authors {
            return;
        }
        let list = &self.list.address;
        let author = author_words(envelope);
        let words = format!("{author} via {}", self.settings.name_of(list));
        fields.addresses("From", [(words.as_str(), list)]);
        gone.extend(["From", "Sender"]);
    }

    fn reply_to(&self, envelope: &HeaderEnvelope, fields: &mut HeaderWriter, gone: &mut Vec<&str>) {
        let list = &self.list.address;
        // Who answers the author finds his address where From has it no more.
        let author = match self.name {
            Name::Lists => author(envelope),
            Name::Authors => None,
        };
        let mut to: Vec<&Address> = Vec::new();
        match &self.list.reply_to {
            ReplyTo::List => to.push(list),
            ReplyTo::Address(address) => to.push(address),
            ReplyTo::Sender if envelope.reply_to.is_empty() => {}
            ReplyTo::Sender => return,
        }
        to.extend(&author);
        if to.is_empty() {
            return;
        }
        fields.addresses("Reply-To", to.into_iter().map(|it| ("", it)));
        gone.push("Reply-To");
    }

    fn subject(&self, envelope: &HeaderEnvelope, fields: &mut HeaderWriter, gone: &mut Vec<&str>) {
        let Some(tag) = &self.settings.subject_tag else {
            return;
        };
        let subject = header_text(envelope.subject.as_deref().unwrap_or_default());
        if !subject.contains(tag.as_str()) {
            fields.text("Subject", &format!("{tag} {subject}"));
            gone.push("Subject");
        }
    }
}

/// The list's id, `news.example.com` for `news@example.com` (RFC 2919 section 2).
pub(super) fn list_id(list: &Address) -> String {
    let label = |c: char| match c {
        c if c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c) => c,
        _ => '-',
    };
    let label: String = list.local_part().chars().map(label).collect();
    format!("{}.{}", label.to_ascii_lowercase(), ascii(list))
}

/// The first author's address.
pub(super) fn author(envelope: &HeaderEnvelope) -> Option<Address> {
    let mailbox = HeaderEnvelope::first_mailbox(&envelope.from)?;
    Address::parse(&String::from_utf8_lossy(&mailbox.address())).ok()
}

/// What the author calls himself; never his address, which readers of mail may
/// show in place of the list's.
fn author_words(envelope: &HeaderEnvelope) -> String {
    let mailbox = HeaderEnvelope::first_mailbox(&envelope.from);
    let name = mailbox.and_then(|it| it.name.as_deref()).map(header_text);
    let name = name.filter(|name| !name.trim().is_empty() && !name.contains('@'));
    name.or_else(|| author(envelope).map(|it| it.local_part().to_owned()))
        .unwrap_or_else(|| "somebody".to_owned())
}

/// An address within a mailto URL (RFC 6068 section 2).
fn escaped(address: &Address) -> String {
    let mut text = String::new();
    for octet in address.local_part().bytes() {
        match octet {
            b'-' | b'.' | b'_' | b'~' | b'+' => text.push(char::from(octet)),
            _ if octet.is_ascii_alphanumeric() => text.push(char::from(octet)),
            _ => text.push_str(&format!("%{octet:02X}")),
        }
    }
    format!("{text}@{}", ascii(address))
}

fn ascii(address: &Address) -> String {
    let domain = address.domain().to_ascii();
    domain.map_or_else(|_| address.domain().to_string(), |it| it.to_string())
}

/// Words in quotes; what is not ASCII has no place within them.
fn phrase(words: &str) -> String {
    let plain: String = words
        .chars()
        .map(|c| if c.is_ascii() { c } else { '?' })
        .filter(|c| !matches!(c, '"' | '\\'))
        .collect();
    format!("\"{plain}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAIL: &[u8] = b"Received: by x\r\nList-Id: <other.test>\r\nFrom: =?utf-8?q?J=C3=BCrgen?= <j@far.test>\r\n\
        DKIM-Signature: v=1\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nPrecedence: bulk\r\n\r\n";

    fn written(list: &ListRecord, settings: &ListSettings, name: Name) -> String {
        let header = ListHeader {
            list,
            settings,
            name,
        };
        String::from_utf8(header.write(MAIL)).unwrap()
    }

    #[test]
    fn a_list_puts_its_fields_on_top_and_leaves_the_rest_as_it_was() {
        let list = ListRecord::new("news@x.test".parse().unwrap());
        let text = written(&list, &ListSettings::default(), Name::Authors);
        assert_eq!(
            text,
            "Delivered-To: news@x.test\r\nList-Id: <news.x.test>\r\n\
             List-Help: <mailto:news-request@x.test?subject=help>\r\n\
             List-Unsubscribe: <mailto:news-unsubscribe@x.test>\r\n\
             List-Owner: <mailto:news-owner@x.test>\r\nList-Post: <mailto:news@x.test>\r\n\
             Precedence: list\r\nReceived: by x\r\nFrom: =?utf-8?q?J=C3=BCrgen?= <j@far.test>\r\n\
             DKIM-Signature: v=1\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\r\n"
        );
    }

    #[test]
    fn a_list_that_writes_in_its_own_name_says_whose_words_they_are() {
        let mut list = ListRecord::new("new$@x.test".parse().unwrap());
        list.posting = Posting::Moderators;
        let mut settings = ListSettings::default();
        settings.set("subject-tag", "[news]").unwrap();
        settings.set("name", "The News").unwrap();
        settings.set("archive", "https://x.test/a").unwrap();
        let text = written(&list, &settings, Name::Lists);
        for line in [
            "List-Id: \"The News\" <new$.x.test>\r\n",
            "List-Owner: <mailto:new%24-owner@x.test>\r\n",
            "List-Post: NO\r\n",
            "List-Archive: <https://x.test/a>\r\n",
            "Reply-To: j@far.test\r\n",
            "Subject: [news] =?utf-8?",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
        let again = Header::new(text.as_bytes());
        let envelope = HeaderEnvelope::parse(&again);
        assert_eq!(author(&envelope).unwrap(), list.address);
        assert_eq!(again.all("From").count(), 1);
        let name = HeaderEnvelope::first_mailbox(&envelope.from).unwrap();
        let name = header_text(name.name.as_deref().unwrap());
        assert_eq!(name, "Jürgen via The News");
        list.reply_to = ReplyTo::List;
        let text = written(&list, &settings, Name::Lists);
        assert!(
            text.contains("Reply-To: new$@x.test, j@far.test\r\n"),
            "{text}"
        );
    }
}
