//! Whether what a store shows is what the model says.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use super::model::{Folder, Model};
use super::observe::{Observed, Shown};
use super::step::Spot;
use crate::mailbox::{MessageInfo, SystemFlag};

/// The differences, none when the store is as it should be.
pub(super) fn differences(model: &Model, seen: &Observed) -> Vec<String> {
    let mut out = seen.problems.clone();
    keys("mailboxes", &model.folders, &seen.folders, &mut out);
    for (spot, folder) in &model.folders {
        if let Some(shown) = seen.folders.get(spot) {
            folder_differences(spot, folder, shown, &mut out);
        }
    }
    if model.subscribed != seen.subscribed {
        let (is, should) = (&seen.subscribed, &model.subscribed);
        out.push(format!("subscriptions are {is:?}, not {should:?}"));
    }
    keys("queue entries", &model.queue, &seen.queue, &mut out);
    for (id, entry) in &model.queue {
        if seen.queue.get(id).is_some_and(|it| it != entry) {
            out.push(format!(
                "queue entry {id} is {:?}, not {entry:?}",
                seen.queue[id]
            ));
        }
    }
    keys("state keys", &model.state, &seen.state, &mut out);
    for (key, value) in &model.state {
        let Some(shown) = seen.state.get(key) else {
            continue;
        };
        let version = match value.told {
            true => shown.version == value.version,
            false => shown.version >= value.version,
        };
        if shown.value != value.value || !version {
            out.push(format!("state {key} is {shown:?}, not {value:?}"));
        }
    }
    event_differences(model, seen, &mut out);
    out
}

fn keys<K: Debug + Ord + Clone, A, B>(
    what: &str,
    model: &BTreeMap<K, A>,
    seen: &BTreeMap<K, B>,
    out: &mut Vec<String>,
) {
    let should: BTreeSet<&K> = model.keys().collect();
    let is: BTreeSet<&K> = seen.keys().collect();
    for missing in should.difference(&is) {
        out.push(format!("{what}: {missing:?} is missing"));
    }
    for extra in is.difference(&should) {
        out.push(format!("{what}: {extra:?} should not be there"));
    }
}

fn folder_differences(spot: &Spot, folder: &Folder, shown: &Shown, out: &mut Vec<String>) {
    let status = &shown.status;
    let mut say = |what: String| out.push(format!("{spot:?}: {what}"));
    if folder.id.is_some_and(|it| it != status.id.0) {
        say(format!("its id changed to {}", status.id));
    }
    let validity = status.uid_validity.value();
    let known = folder.validity.is_none_or(|it| it == validity);
    if !known || validity <= folder.validity_above {
        say(format!(
            "UIDVALIDITY is {validity}; {:?}, above {}",
            folder.validity, folder.validity_above
        ));
    }
    let next = status.uid_next.map_or(u32::MAX, |it| it.value());
    if next < folder.next_uid {
        say(format!("UIDNEXT went from {} to {next}", folder.next_uid));
    }
    let highest = status.highest_modseq.value();
    if highest < folder.modseq {
        say(format!(
            "HIGHESTMODSEQ went from {} to {highest}",
            folder.modseq
        ));
    }
    let count = |it: &dyn Fn(&MessageInfo) -> bool| {
        shown.messages.iter().filter(|(row, _)| it(row)).count() as u64
    };
    let size: u64 = shown.messages.iter().map(|(row, _)| row.size).sum();
    let counted = [
        count(&|_| true),
        count(&|row| !row.flags.contains(SystemFlag::Seen)),
        count(&|row| row.flags.contains(SystemFlag::Deleted)),
        size,
    ];
    let told = [
        status.messages.into(),
        status.unseen.into(),
        status.deleted.into(),
        status.size,
    ];
    if counted != told {
        say(format!(
            "messages, unseen, deleted, octets are told as {told:?}, and are {counted:?}"
        ));
    }
    message_differences(folder, shown, &mut say);
}

fn message_differences(folder: &Folder, shown: &Shown, say: &mut impl FnMut(String)) {
    let mut fresh = folder.fresh.clone();
    let mut missing = folder.messages.clone();
    for (row, text) in &shown.messages {
        let uid = row.uid.value();
        if row.modseq > shown.status.highest_modseq || Some(row.uid) >= shown.status.uid_next {
            say(format!("UID {uid} has numbers beyond the mailbox's"));
        }
        if row.internal_date != text.date() {
            say(format!("UID {uid} has the date {:?}", row.internal_date));
        }
        if let Some(kept) = missing.remove(&uid) {
            let modseq = kept.modseq.is_none_or(|it| it == row.modseq.value());
            let email = kept.email.is_none_or(|it| it == row.email_id.0);
            if kept.text != *text || kept.flags != row.flags || !modseq || !email {
                say(format!("UID {uid} is {text:?} {row:?}, not {kept:?}"));
            }
            continue;
        }
        let place = fresh
            .iter()
            .position(|it| it.text == *text && it.flags == row.flags);
        match place {
            Some(place) if uid >= folder.next_uid => drop(fresh.remove(place)),
            Some(_) => say(format!("{text:?} took UID {uid}, which was used before")),
            None => say(format!("UID {uid}, {text:?}, should not be there")),
        }
    }
    for (uid, kept) in missing {
        say(format!("UID {uid}, {:?}, is missing", kept.text));
    }
    for kept in fresh {
        say(format!("{:?} is missing", kept.text));
    }
}

fn event_differences(model: &Model, seen: &Observed, out: &mut Vec<String>) {
    if !seen.outbox.starts_with(&model.outbox) {
        let common = seen.outbox.iter().zip(&model.outbox);
        let same = common.take_while(|(one, other)| one == other).count();
        let (is, was) = (seen.outbox.len(), model.outbox.len());
        out.push(format!(
            "of {was} events read before, {same} are as they were; now {is}"
        ));
    }
    let Some(rest) = seen.events.strip_prefix(model.events.as_slice()) else {
        out.push("the kit's events are not in their order".into());
        return;
    };
    let mut rest = rest.to_vec();
    for moment in &model.loose {
        let count = moment.iter().map(Vec::len).sum::<usize>().min(rest.len());
        let mut here: Vec<u128> = rest.drain(..count).collect();
        for batch in moment {
            let place = here
                .windows(batch.len())
                .position(|it| it == batch.as_slice());
            match place {
                Some(place) => drop(here.drain(place..place + batch.len())),
                None => out.push(format!("events {batch:?} are missing or out of order")),
            }
        }
    }
    if !rest.is_empty() {
        out.push(format!("events {rest:?} should not be there"));
    }
}
