//! Reads what a server tells untagged into [`Data`], and no more of it than is
//! borne.

use mailcore::mailbox::{ModSeq, Uid, UidSet, UidValidity};

use super::data::{Counters, Data, Found, ListedMailbox, Namespaces, QuotaRoot, Vanished};
use super::fetch::fetch;
use super::reader::{Reader, Value};
use super::values::{flags, uid_set};
use super::{MAX_VALUES, words};
use super::{Response, Settings};
use crate::client::{Capabilities, NameForm, RemoteName};

/// Octets of a mailbox name; a longer one is not read.
const MAX_NAME: usize = 8_192;

/// Reads untagged data: what follows `* `.
pub(super) fn data(octets: &[u8], settings: &Settings) -> Response {
    let mut reader = Reader::new(octets, settings.limits.nesting);
    let word = reader.word().to_ascii_uppercase();
    if let Ok(number) = std::str::from_utf8(&word).unwrap_or_default().parse() {
        let kind = reader.word().to_ascii_uppercase();
        return Response::Data(match kind.as_slice() {
            b"FETCH" => return Response::Fetch(Box::new(fetch(number, reader))),
            b"EXISTS" => Data::Exists(number),
            b"RECENT" => Data::Recent(number),
            b"EXPUNGE" => Data::Expunge(number),
            _ => other(octets),
        });
    }
    Response::Data(named(&word, reader, settings).unwrap_or_else(|| other(octets)))
}

fn named(word: &[u8], mut reader: Reader<'_>, settings: &Settings) -> Option<Data> {
    let form = settings.names;
    Some(match word {
        b"CAPABILITY" => Data::Capability(Capabilities::new(words(reader))),
        b"ENABLED" => {
            let name = |word: &[u8]| String::from_utf8_lossy(word).to_ascii_uppercase();
            Data::Enabled(words(reader).take(MAX_VALUES).map(name).collect())
        }
        b"LIST" | b"XLIST" => Data::List(listed(reader, form)?),
        b"LSUB" => Data::Lsub(listed(reader, form)?),
        b"STATUS" => status(reader, form)?,
        b"SEARCH" | b"SORT" => Data::Search(search(reader)),
        b"ESEARCH" => Data::Search(esearch(reader)),
        b"FLAGS" => Data::Flags(flags(reader.value()?).0),
        b"VANISHED" => vanished(reader)?,
        b"NAMESPACE" => Data::Namespace(Namespaces {
            personal: namespace(&mut reader, form),
            others: namespace(&mut reader, form),
            shared: namespace(&mut reader, form),
        }),
        b"ID" => Data::Id(pairs(reader.value()?)),
        b"QUOTA" => quota(reader)?,
        b"QUOTAROOT" => {
            let name = name(reader.value()?, form)?;
            let roots = reader.values().filter_map(Value::text).take(MAX_VALUES);
            Data::QuotaRoots(name, roots.collect())
        }
        _ => return None,
    })
}

/// At most a line of what nobody can read.
fn other(octets: &[u8]) -> Data {
    let text = String::from_utf8_lossy(octets.get(..200).unwrap_or(octets));
    Data::Other(super::printable(&text))
}

fn name(value: Value<'_>, form: NameForm) -> Option<RemoteName> {
    match value {
        // A mailbox may be called NIL.
        Value::Nil => Some(RemoteName::new("NIL")),
        other => {
            let octets = other.octets().filter(|it| it.len() <= MAX_NAME)?;
            Some(RemoteName::decode(&octets, form))
        }
    }
}

fn listed(mut reader: Reader<'_>, form: NameForm) -> Option<ListedMailbox> {
    let attributes = match reader.value()? {
        Value::List(inner) => Reader::new(inner, 1)
            .values()
            .filter_map(Value::text)
            .take(MAX_VALUES)
            .collect(),
        _ => Vec::new(),
    };
    let delimiter = reader.value()?.text().and_then(|text| text.chars().next());
    reader.spaces();
    let mut mailbox = ListedMailbox {
        // Old servers leave the quotes out where there are spaces in a name.
        name: match reader.peek()? {
            b'"' | b'{' => name(reader.value()?, form)?,
            _ if reader.rest().contains(&b'(') => name(reader.value()?, form)?,
            _ => name(Value::Atom(reader.take_while(|_| true)), form)?,
        },
        delimiter,
        attributes,
        old_name: None,
    };
    // list-extended (RFC 5258 section 6).
    if let Some(Value::List(inner)) = reader.value() {
        let mut extended = Reader::new(inner, 3);
        while let Some(tag) = extended.value() {
            let (tag, value) = (tag.text().unwrap_or_default(), extended.value());
            if let (true, Some(Value::List(inner))) = (tag.eq_ignore_ascii_case("OLDNAME"), value) {
                let old = Reader::new(inner, 1).value();
                mailbox.old_name = old.and_then(|old| name(old, form));
            }
        }
    }
    Some(mailbox)
}

fn status(mut reader: Reader<'_>, form: NameForm) -> Option<Data> {
    let mailbox = name(reader.value()?, form)?;
    let Some(Value::List(inner)) = reader.value() else {
        return None;
    };
    let mut counters = Counters::default();
    let mut items = Reader::new(inner, 2);
    while let (Some(item), Some(value)) = (items.value(), items.value()) {
        match item
            .text()
            .unwrap_or_default()
            .to_ascii_uppercase()
            .as_str()
        {
            "MESSAGES" => counters.messages = value.number32(),
            "RECENT" => counters.recent = value.number32(),
            "UIDNEXT" => counters.uid_next = value.number32().and_then(Uid::new),
            "UIDVALIDITY" => counters.uid_validity = value.number32().and_then(UidValidity::new),
            "UNSEEN" => counters.unseen = value.number32(),
            "DELETED" => counters.deleted = value.number32(),
            "SIZE" => counters.size = value.number(),
            "HIGHESTMODSEQ" => counters.highest_modseq = value.number().and_then(ModSeq::new),
            "APPENDLIMIT" => counters.append_limit = value.number(),
            "MAILBOXID" => {
                counters.mailbox_id = match value {
                    Value::List(inner) => Reader::new(inner, 1).value().and_then(Value::text),
                    other => other.text(),
                }
            }
            _ => {}
        }
    }
    Some(Data::Status(mailbox, counters))
}

/// `*(SP nz-number) [SP "(MODSEQ" SP mod-sequence-value ")"]`
fn search(reader: Reader<'_>) -> Found {
    let mut found = Found::default();
    let mut numbers = Vec::new();
    for value in reader.values() {
        match value {
            Value::List(inner) => {
                let modseq = Reader::new(inner, 1).values().nth(1);
                found.modseq = modseq.and_then(Value::number).and_then(ModSeq::new);
            }
            other => numbers.extend(other.number32().and_then(Uid::new)),
        }
    }
    found.numbers = UidSet::from_iter(numbers);
    found
}

/// RFC 4731 section 3: a correlator, `UID`, then names and values.
fn esearch(mut reader: Reader<'_>) -> Found {
    let mut found = Found::default();
    reader.spaces();
    if reader.peek() == Some(b'(') {
        reader.value();
    }
    while let Some(item) = reader.value() {
        let item = item.text().unwrap_or_default().to_ascii_uppercase();
        match item.as_str() {
            "UID" => {}
            "ALL" => found.numbers = uid_set(reader.word()).unwrap_or_default(),
            "COUNT" => found.count = reader.value().and_then(Value::number),
            "MODSEQ" => {
                let modseq = reader.value().and_then(Value::number);
                found.modseq = modseq.and_then(ModSeq::new);
            }
            _ => drop(reader.value()),
        }
    }
    found
}

fn vanished(mut reader: Reader<'_>) -> Option<Data> {
    reader.spaces();
    let when = match reader.peek()? {
        b'(' => {
            reader.value()?;
            Vanished::Earlier
        }
        _ => Vanished::Now,
    };
    let uids = uid_set(reader.word())?;
    Some(Data::Vanished { uids, when })
}

fn namespace(reader: &mut Reader<'_>, form: NameForm) -> Vec<(RemoteName, Option<char>)> {
    let Some(Value::List(inner)) = reader.value() else {
        return Vec::new();
    };
    let one = |value: Value<'_>| {
        let Value::List(inner) = value else {
            return None;
        };
        let mut reader = Reader::new(inner, 1);
        let prefix = name(reader.value()?, form)?;
        let delimiter = reader.value().and_then(Value::text);
        Some((prefix, delimiter.and_then(|text| text.chars().next())))
    };
    let each = Reader::new(inner, 2).values().take(MAX_VALUES);
    each.filter_map(one).collect()
}

fn pairs(value: Value<'_>) -> Vec<(String, Option<String>)> {
    let Value::List(inner) = value else {
        return Vec::new();
    };
    let mut values = Reader::new(inner, 1).values();
    std::iter::from_fn(|| Some((values.next()?.text()?, values.next().and_then(Value::text))))
        .take(MAX_VALUES)
        .collect()
}

fn quota(mut reader: Reader<'_>) -> Option<Data> {
    let mut root = QuotaRoot::default();
    let mut value = reader.value()?;
    if !matches!(value, Value::List(_)) {
        root.name = value.text().unwrap_or_default();
        value = reader.value()?;
    }
    if let Value::List(inner) = value {
        let mut values = Reader::new(inner, 1).values();
        let resource = || {
            let name = values.next()?.text()?.to_ascii_uppercase();
            let used = values.next()?.number().unwrap_or(0);
            Some((name, used, values.next()?.number().unwrap_or(0)))
        };
        root.resources = std::iter::from_fn(resource).take(MAX_VALUES).collect();
    }
    Some(Data::Quota(root))
}
