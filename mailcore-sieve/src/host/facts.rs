//! What scripts may know of a delivery ([`Environment`]).

use std::sync::Arc;

use mailcore::address::{Address, Domain};
use mailcore::envelope::{MailParams, Notify, Ret};
use mailcore::message::{Header, HeaderAddress, parse_addresses};
use mailcore::plan::Finding;
use mailcore::route::{SubAddresses, keys};
use mailcore::seams::{Directory, RulesInput, Scope};
use mailcore::time::Timestamp;

use crate::engine::{Envelope, Environment, Event, Session};
use crate::rules::FINDING_PREFIX;

/// Addresses of To, Cc and the like that are looked at for the account's own.
const MAX_ADDRESSES: usize = 50;
/// Fields whose addresses may be the account's own (RFC 5230 section 4.5).
const RECIPIENT_FIELDS: [&str; 6] = ["To", "Cc", "Bcc", "Resent-To", "Resent-Cc", "Resent-Bcc"];
/// The score that is as spam-like as can be.
const FULL_SCORE: f32 = 10.0;

/// What a host's settings say for every delivery.
pub(super) struct Here<'a> {
    pub(super) hostname: &'a Domain,
    pub(super) now: Timestamp,
    /// Minutes ahead of UTC.
    pub(super) utc_offset: i32,
}

/// The surroundings of a delivery.
pub(super) async fn environment(
    here: &Here<'_>,
    input: &RulesInput<'_>,
    directory: &dyn Directory,
    header: &[u8],
) -> Environment {
    let mut environment = Environment::new(Event::Delivery);
    environment.envelope = envelope(input);
    environment.session = session(input);
    environment.addresses = own_addresses(input, directory, header).await;
    environment.now = here.now.secs();
    environment.utc_offset = here.utc_offset;
    environment.separator = separator(directory, input.recipient.domain()).await;
    environment.inbox = input.mailbox.as_str().to_owned();
    environment.domain = input.recipient.domain().to_string();
    environment.host = here.hostname.to_string();
    environment.spam = spam(input.findings);
    environment.items = found(input.findings);
    environment
}

/// What separates a user from a detail in the domain; NUL, which no address holds,
/// where nothing does.
async fn separator(directory: &dyn Directory, domain: &Domain) -> char {
    let mut separator = SubAddresses::default();
    if let Some(settings) = directory.settings() {
        let scope = Scope::Domain(domain.clone());
        let set = settings.setting(&scope, keys::SEPARATOR).await;
        let set = set.ok().flatten();
        let set = set.and_then(|set| SubAddresses::parse(&set.value));
        separator = set.unwrap_or(separator);
    }
    match separator {
        SubAddresses::After(separator) => separator,
        SubAddresses::Off => '\0',
    }
}

fn envelope(input: &RulesInput<'_>) -> Envelope {
    let params: &MailParams = input.params;
    let address = input.named.map_or(input.recipient, |named| &named.address);
    let identity = input.session.and_then(|session| session.identity.as_ref());
    let from = input.reverse_path.address();
    Envelope {
        from: Some(from.map(ToString::to_string).unwrap_or_default()),
        to: Some(address.to_string()),
        auth: identity.map(|identity| identity.login.to_string()),
        envid: params.envelope_id.clone(),
        ret: params.ret.map(|ret| ret_text(ret).to_owned()),
        notify: input.named.and_then(|named| notify_text(named.notify)),
        orcpt: input.named.and_then(|named| {
            let original = named.original.as_ref()?;
            Some(format!("{};{}", original.address_type, original.address))
        }),
    }
}

fn ret_text(ret: Ret) -> &'static str {
    match ret {
        Ret::Full => "FULL",
        Ret::Headers => "HDRS",
    }
}

/// As NOTIFY says; `None` where the sender left it out.
fn notify_text(notify: Notify) -> Option<String> {
    if !notify.asked {
        return None;
    }
    let wanted = [
        (notify.success, "SUCCESS"),
        (notify.failure, "FAILURE"),
        (notify.delay, "DELAY"),
    ];
    let words: Vec<&str> = wanted.iter().filter(|it| it.0).map(|it| it.1).collect();
    Some(match words.is_empty() {
        true => "NEVER".to_owned(),
        false => words.join(","),
    })
}

fn session(input: &RulesInput<'_>) -> Session {
    let mut known = Session::default();
    if let Some(session) = input.session {
        known.ip = session.peer.map(|peer| peer.ip().to_canonical());
        known.helo.clone_from(&session.helo);
    }
    known
}

/// The account's addresses as far as this message needs them: its primary one,
/// the one that led here, and those that the message names as its recipients.
async fn own_addresses(
    input: &RulesInput<'_>,
    directory: &dyn Directory,
    header: &[u8],
) -> Vec<String> {
    let mut own = Vec::new();
    if let Ok(Some(record)) = directory.account(input.account).await {
        own.push(record.address.to_string());
    }
    own.push(input.recipient.to_string());
    let fields = Header::new(header);
    let named = RECIPIENT_FIELDS.iter().flat_map(|name| fields.all(name));
    let named = named.flat_map(|field| parse_addresses(field.raw, MAX_ADDRESSES));
    let named = named.take(MAX_ADDRESSES).filter_map(|it| parsed(&it));
    // A list's address is nobody's, though its mail comes by it.
    let by = input.named.map(|named| named.address.clone());
    for address in by.into_iter().chain(named) {
        if let Ok(true) = directory.may_send_as(input.account, &address).await {
            own.push(address.to_string());
        }
    }
    let mut seen = std::collections::HashSet::new();
    own.retain(|address| seen.insert(address.to_lowercase()));
    own
}

fn parsed(address: &HeaderAddress) -> Option<Address> {
    let mailbox = address.mailbox()?;
    let text = String::from_utf8(mailbox.address()).ok()?;
    Address::parse(&text).ok()
}

/// Items that tell what tests of the filters found, each by its name; results of
/// one that was asked several times stand in one line.
fn found(findings: &[Finding]) -> Vec<(Arc<str>, String)> {
    let mut items: Vec<(Arc<str>, String)> = Vec::new();
    for finding in findings {
        let name = format!("{FINDING_PREFIX}{}", finding.test);
        match items.iter_mut().find(|(known, _)| **known == *name) {
            Some((_, results)) => {
                results.push(' ');
                results.push_str(&finding.result);
            }
            None => items.push((name.into(), finding.result.clone())),
        }
    }
    items
}

/// How spam-like the message is, by what tests scored together (RFC 5235);
/// `None` where none was asked.
fn spam(findings: &[Finding]) -> Option<f32> {
    if findings.is_empty() {
        return None;
    }
    let score: f32 = findings.iter().map(|finding| finding.score).sum();
    Some((score / FULL_SCORE).clamp(0.0, 1.0))
}
