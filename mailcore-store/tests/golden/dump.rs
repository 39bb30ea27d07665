//! All that the seams show of the golden store, as sorted plain text. Every
//! field is named here, so that one added later changes no dump.

use std::fmt::Write as _;

use mailcore::account::AccountId;
use mailcore::event::EventCursor;
use mailcore::mailbox::{Flags, Keyword, MessageInfo, ModSeq, UidSet};
use mailcore::message::{Message, Summary};
use mailcore::queue::{EntryState, QueueEntry, QueueRecipient};
use mailcore::seams::{Outbox, RemovedQuery, Spool, SpoolQuery, State, Storage};
use mailcore_store::embedded::EmbeddedStore;

use crate::fill;

/// Everything of every account, the queue, the state and the events.
pub(crate) async fn everything(store: &EmbeddedStore) -> String {
    let mut out = String::new();
    for account in fill::accounts() {
        mailboxes(store, &account, &mut out).await;
    }
    queue(store, &mut out).await;
    for namespace in fill::NAMESPACES {
        let entries = State::scan(store, namespace, "", None, 100).await.unwrap();
        for (key, value) in entries {
            let expires = value.expires.map(|at| at.millis());
            writeln!(
                out,
                "state {namespace}/{} = {} version {} expires {expires:?}",
                key.key,
                hex(&value.value),
                value.version
            )
            .unwrap();
        }
    }
    for stored in Outbox::read(store, EventCursor::default(), 10_000)
        .await
        .unwrap()
    {
        let event = stored.event;
        writeln!(
            out,
            "event {} {:032x} at {} {} trace {:?} account {:?} {:?}",
            stored.cursor.0,
            event.id.0,
            event.at.millis(),
            event.name.as_str(),
            event.trace.map(|it| it.0),
            event.account.as_ref().map(AccountId::as_str),
            event.fields
        )
        .unwrap();
    }
    out
}

/// What format 2 keeps more.
pub(crate) async fn format_2(store: &EmbeddedStore) -> String {
    let mut out = String::new();
    for account in fill::accounts() {
        let who = account.as_str();
        for listed in Storage::list(store, &account).await.unwrap() {
            if listed.id.is_none() {
                continue;
            }
            let name = listed.name.as_str();
            let entries = store.acl().unwrap().entries(&account, &listed.name).await;
            for entry in entries.unwrap() {
                let (identifier, rights) = (entry.identifier, entry.rights);
                writeln!(out, "rights {who} {name:?} {identifier} {rights}").unwrap();
            }
            let mailbox = store.open(&account, &listed.name).await.unwrap();
            for row in mailbox.messages(&UidSet::all()).await.unwrap() {
                let thread = row.thread_id.unwrap();
                writeln!(out, "thread {who} {name:?} {} {thread}", row.uid).unwrap();
            }
        }
        removed(store, &account, &mut out).await;
    }
    out
}

async fn removed(store: &EmbeddedStore, account: &AccountId, out: &mut String) {
    let undelete = store.undelete().unwrap();
    let found = undelete.removed(account, &RemovedQuery::default()).await;
    for message in found.unwrap() {
        writeln!(
            out,
            "removed {} {:?} id {} at {} thread {} {}",
            account.as_str(),
            message.mailbox.as_str(),
            message.id.mailbox.0,
            message.removed_at.millis(),
            message.info.thread_id.unwrap(),
            row(&message.info),
        )
        .unwrap();
    }
}

async fn mailboxes(store: &EmbeddedStore, account: &AccountId, out: &mut String) {
    let who = account.as_str();
    let usage = store.quota().unwrap().usage(account).await.unwrap();
    writeln!(
        out,
        "account {who}: {} messages, {} octets",
        usage.messages, usage.octets
    )
    .unwrap();
    for listed in Storage::list(store, account).await.unwrap() {
        let id = listed.id.map(|id| id.0);
        writeln!(
            out,
            "mailbox {who} {:?} id {id:?} use {:?} subscribed {}",
            listed.name.as_str(),
            listed.special_use,
            listed.subscribed
        )
        .unwrap();
        if id.is_none() {
            continue;
        }
        let mailbox = store.open(account, &listed.name).await.unwrap();
        let status = mailbox.status().await.unwrap();
        writeln!(
            out,
            "  messages {} unseen {} deleted {} uidnext {:?} uidvalidity {} modseq {} size {}",
            status.messages,
            status.unseen,
            status.deleted,
            status.uid_next.map(|it| it.value()),
            status.uid_validity,
            status.highest_modseq,
            status.size
        )
        .unwrap();
        let changes = mailbox.changes(ModSeq::MIN).await.unwrap();
        let changed: UidSet = changes.changed.iter().map(|row| row.uid).collect();
        writeln!(out, "  changed {changed} vanished {}", changes.vanished).unwrap();
        let summaries = mailbox.summaries(&UidSet::all()).await.unwrap();
        let rows = mailbox.messages(&UidSet::all()).await.unwrap();
        assert_eq!(summaries.len(), rows.len());
        for (row, (uid, summary)) in rows.iter().zip(summaries) {
            assert_eq!(row.uid, uid);
            let message = mailbox.message(uid).await.unwrap();
            let octets = message.read_all(1 << 30).await.unwrap();
            assert_eq!(*summary, Summary::scan(&octets));
            writeln!(out, "  {} {}", self::row(row), content(&message).await).unwrap();
        }
    }
}

fn row(row: &MessageInfo) -> String {
    format!(
        "message {} flags {} modseq {} size {} internal {} saved {} email {}",
        row.uid,
        flags(&row.flags),
        row.modseq,
        row.size,
        row.internal_date.millis(),
        row.save_date.millis(),
        row.email_id
    )
}

fn flags(flags: &Flags) -> String {
    let system = flags.system().map(|it| it.as_str().to_owned());
    let mut words: Vec<String> = system
        .chain(flags.keywords().map(Keyword::as_str).map(str::to_owned))
        .collect();
    words.sort();
    format!("({})", words.join(" "))
}

async fn content(message: &Message) -> String {
    let octets = message.read_all(1 << 30).await.unwrap();
    format!("blake3 {}", blake3::hash(&octets).to_hex())
}

async fn queue(store: &EmbeddedStore, out: &mut String) {
    let due = store.next_due().await.unwrap();
    writeln!(
        out,
        "queue: {} entries, next due {:?}",
        store.counts().await.unwrap().queued(),
        due.map(|at| at.millis())
    )
    .unwrap();
    for summary in Spool::list(store, &SpoolQuery::default()).await.unwrap() {
        assert!(!summary.leased);
        let entry = &summary.entry;
        writeln!(
            out,
            "  {} {}",
            self::entry(entry),
            content(&entry.message).await
        )
        .unwrap();
        for recipient in &entry.progress.recipients {
            writeln!(out, "    {}", self::recipient(recipient)).unwrap();
        }
    }
}

fn entry(entry: &QueueEntry) -> String {
    let (params, progress) = (&entry.params, &entry.progress);
    format!(
        "entry {} trace {:032x} from <{}> size {:?} body {:?} utf8 {} tls {} ret {:?} envid {:?} \
         origin {:?} received {} next {} expires {} attempts {} hold {} told {}",
        entry.id,
        entry.trace.0,
        entry.reverse_path,
        params.size,
        params.body,
        params.smtputf8,
        params.require_tls,
        params.ret,
        params.envelope_id,
        entry.origin,
        entry.received_at.millis(),
        progress.next_attempt.millis(),
        progress.expires_at.millis(),
        progress.attempts,
        progress.state == EntryState::Held,
        progress.delay_told
    )
}

fn recipient(recipient: &QueueRecipient) -> String {
    let (to, failure) = (&recipient.recipient, &recipient.last_failure);
    let original = to.original.as_ref();
    let failure = failure.as_ref().map(|it| {
        let remote = it.remote.as_ref().map(ToString::to_string);
        format!("{} from {remote:?} code {:?}", it.status, it.reply_code)
    });
    format!(
        "to {} notify {}{}{} original {:?} failure {failure:?}",
        to.address,
        u8::from(to.notify.success),
        u8::from(to.notify.failure),
        u8::from(to.notify.delay),
        original.map(|it| format!("{};{}", it.address_type, it.address))
    )
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// The lines that only one of the two has.
pub(crate) fn difference(expected: &str, shown: &str) -> String {
    let only = |from: &str, without: &str, sign: char| -> String {
        from.lines()
            .filter(|line| !without.lines().any(|it| it == *line))
            .map(|line| format!("{sign} {line}\n"))
            .collect()
    };
    only(expected, shown, '-') + &only(shown, expected, '+')
}
