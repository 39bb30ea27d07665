//! [`Telling`]: one round of telling what happened, in the selected mailbox and
//! then in the others.

use std::collections::BTreeMap;
use std::vec;

use mailcore::mailbox::{MailboxEntry, MailboxName, MailboxStatus, UidSet};

use super::names::Changes;
use super::{Events, Known, Notify};
use crate::commands::{Progress, Run, fetch_new, respond_status};
use crate::session::{Answer, Context, Expunges, Question, Sync, SyncStep};
use crate::types::{Extension, ResponseCode, StatusItem};

/// What is told at the first look (RFC 5465 section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum First {
    /// STATUS of every mailbox whose messages matter.
    Status,
    /// Nothing.
    Silent,
}

/// A round at work.
#[derive(Debug)]
pub(crate) struct Telling {
    stage: Stage,
    first: First,
}

#[derive(Debug)]
enum Stage {
    Selected(Sync),
    /// What is told of messages new in the selected mailbox.
    New(Box<dyn Run>),
    /// The account's mailboxes come.
    Mailboxes,
    /// Counters of these come, one after the other.
    Counters(
        vec::IntoIter<(MailboxName, Events)>,
        Option<(MailboxName, Events)>,
    ),
    Others,
    Done,
}

impl Telling {
    /// A round, when there is something to tell.
    pub(crate) fn due(cx: &mut Context) -> Option<Self> {
        let notify = cx.notify.as_ref()?;
        let wants_selected = notify.selected.clone();
        let others = notify.noticed;
        if let (Some(of), Some(selected)) = (wants_selected, cx.state.selected())
            && !selected.gone
        {
            if selected.has_news() {
                let sync = Sync::new(of.expunges, false).flags(of.flags);
                return Some(Self::at(Stage::Selected(sync)));
            }
            if !selected.untold.is_empty() {
                return Some(Self::at(Stage::Selected(Sync::new(of.expunges, false))));
            }
        }
        others.then(|| Self::at(Stage::Others))
    }

    /// The first look at the account.
    pub(crate) fn begin(first: First) -> Self {
        Self {
            stage: Stage::Others,
            first,
        }
    }

    /// Of the selected mailbox alone.
    pub(crate) fn selected(sync: Sync) -> Self {
        Self::at(Stage::Selected(sync))
    }

    fn at(stage: Stage) -> Self {
        Self {
            stage,
            first: First::Silent,
        }
    }

    /// Goes on, as [`Sync::resume`] does.
    pub(crate) fn resume(&mut self, cx: &mut Context, answer: Option<Answer>) -> SyncStep {
        let mut answer = answer;
        loop {
            match &mut self.stage {
                Stage::Selected(sync) => match sync.resume(cx, answer.take()) {
                    SyncStep::Done => {
                        self.stage = new_messages(cx).map_or(Stage::Others, Stage::New)
                    }
                    step => return step,
                },
                Stage::New(run) => match run.resume(cx, answer.take()) {
                    Progress::Ask(question) => return SyncStep::Ask(question),
                    Progress::Flush => return SyncStep::Flush,
                    // A message whose octets end early can't be told further.
                    Progress::Drop => return SyncStep::Gone,
                    Progress::Read(_) | Progress::Done(_) => self.stage = Stage::Others,
                },
                Stage::Others => {
                    let Some(notify) = &mut cx.notify else {
                        return SyncStep::Done;
                    };
                    let is_first = !notify.begun;
                    let looks = std::mem::take(&mut notify.noticed) || is_first;
                    if !looks || !notify.watches_account() {
                        self.stage = Stage::Done;
                        continue;
                    }
                    self.stage = Stage::Mailboxes;
                    return SyncStep::Ask(Question::Mailboxes);
                }
                Stage::Mailboxes => match answer.take() {
                    Some(Answer::Mailboxes(entries)) => {
                        let names = take_mailboxes(cx, entries);
                        self.stage = Stage::Counters(names.into_iter(), None);
                    }
                    // Looked for again with the next notice.
                    _ => self.stage = Stage::Done,
                },
                Stage::Counters(names, asked) => {
                    if let (Some((name, events)), Some(Answer::Status(status))) =
                        (asked.take(), answer.take())
                    {
                        take_counters(cx, &name, events, status, self.first);
                    }
                    if cx.out.is_full() {
                        return SyncStep::Flush;
                    }
                    *asked = names.next();
                    if let Some((name, _)) = asked {
                        return SyncStep::Ask(Question::Status(name.clone()));
                    }
                    if let Some(notify) = &mut cx.notify {
                        notify.begun = true;
                    }
                    self.stage = Stage::Done;
                }
                Stage::Done => return SyncStep::Done,
            }
        }
    }
}

/// What is told of messages that are new in the selected mailbox.
fn new_messages(cx: &mut Context) -> Option<Box<dyn Run>> {
    let items = cx.notify.as_ref()?.selected.as_ref()?.items.clone();
    let selected = cx.state.selected()?;
    let untold = std::mem::replace(&mut selected.untold, UidSet::EMPTY);
    match items {
        Some(items) if !untold.is_empty() => Some(fetch_new(cx, items, &untold)),
        _ => None,
    }
}

/// Compares the account's mailboxes with those known, and tells which came, went
/// and were subscribed to. Returns those whose counters matter.
fn take_mailboxes(cx: &mut Context, entries: Vec<MailboxEntry>) -> Vec<(MailboxName, Events)> {
    let Some(mut notify) = cx.notify.take() else {
        return Vec::new();
    };
    let entries: BTreeMap<MailboxName, MailboxEntry> = entries
        .into_iter()
        .map(|entry| (entry.name.clone(), entry))
        .collect();
    let own = std::mem::take(&mut notify.own);
    if notify.begun {
        let renamed = renamed(&notify, &entries);
        let changes = Changes {
            notify: &notify,
            entries: &entries,
            renamed: &renamed,
            own: &own,
        };
        changes.tell(cx);
        // All are taken out first: one may have the name that another had.
        let moved: Vec<(MailboxName, Known)> = renamed
            .iter()
            .filter_map(|(new, old)| Some((new.clone(), notify.known.remove(old)?)))
            .collect();
        notify.known.extend(moved);
    }
    let selected = cx.state.selected().and_then(|selected| selected.id);
    let mut counted = Vec::new();
    let mut known = BTreeMap::new();
    for (name, entry) in entries {
        let before = notify.known.remove(&name);
        let same = before.filter(|it| it.entry.id == entry.id);
        let events = notify.events(&name, entry.subscribed);
        let is_selected = entry.id.is_some() && entry.id == selected;
        let counts = (events.messages || events.flags) && entry.id.is_some() && !is_selected;
        if counts {
            counted.push((name.clone(), events));
        }
        // What happens to the selected mailbox is told as that of the selected
        // one; when it no longer is, everything is told.
        let status = same.and_then(|it| it.status).filter(|_| counts);
        known.insert(name, Known { entry, status });
    }
    notify.known = known;
    notify.made = own.names;
    if counted.len() > cx.config.max_notify_mailboxes {
        let text = "Too many mailboxes to watch; notifications end";
        cx.out
            .untagged_ok(&ResponseCode::NotificationOverflow, text);
        cx.notify = Some(Box::default());
        return Vec::new();
    }
    cx.notify = Some(notify);
    counted
}

/// Mailboxes under another name than before, with that one. INBOX is not renamed
/// but made anew (RFC 5465 section 5.4).
fn renamed(
    notify: &Notify,
    entries: &BTreeMap<MailboxName, MailboxEntry>,
) -> BTreeMap<MailboxName, MailboxName> {
    let before: BTreeMap<_, _> = notify
        .known
        .values()
        .filter(|known| !known.entry.name.is_inbox())
        .filter_map(|known| Some((known.entry.id?, &known.entry.name)))
        .collect();
    let moved = entries.values().filter_map(|entry| {
        let old = *before.get(&entry.id?)?;
        (*old != entry.name).then(|| (entry.name.clone(), old.clone()))
    });
    moved.collect()
}

/// Tells what changed of a mailbox's counters.
fn take_counters(
    cx: &mut Context,
    name: &MailboxName,
    events: Events,
    status: MailboxStatus,
    first: First,
) {
    let with_modseq = cx.abilities.mod_seq && cx.enabled.has(Extension::CondStore);
    let announces_modseq = cx.abilities.mod_seq;
    let Some(notify) = &mut cx.notify else {
        return;
    };
    let begun = notify.begun;
    let is_own = status.messages == 0 && notify.made.contains(name);
    let Some(known) = notify.known.get_mut(name) else {
        return;
    };
    let before = known.status.replace(status);
    let mut items = Vec::new();
    if !begun {
        if first == First::Status {
            items = vec![
                StatusItem::Messages,
                StatusItem::UidNext,
                StatusItem::UidValidity,
            ];
            items.extend((events.flags && announces_modseq).then_some(StatusItem::HighestModSeq));
        }
    } else if before.is_some() || !is_own {
        let is_other = before.is_none_or(|it| it.uid_validity != status.uid_validity);
        let moved = before
            .is_none_or(|it| (it.messages, it.uid_next) != (status.messages, status.uid_next));
        let flags = before.is_none_or(|it| it.highest_modseq != status.highest_modseq);
        let unseen = before.is_some_and(|it| it.unseen != status.unseen);
        if events.messages && (moved || is_other) {
            items.extend([StatusItem::UidNext, StatusItem::Messages]);
        }
        if !items.is_empty() || (events.flags && flags) {
            items.extend(with_modseq.then_some(StatusItem::HighestModSeq));
        }
        if events.flags && unseen {
            items.push(StatusItem::Unseen);
        }
        if is_other || (!items.is_empty() && with_modseq) {
            items.push(StatusItem::UidValidity);
        }
    }
    if !items.is_empty() {
        respond_status(cx, name, &items, &status);
    }
}

/// IDLE is told what NOTIFY asked for, and all of the selected mailbox without
/// it (RFC 5465 section 4).
pub(crate) fn while_idle(cx: &mut Context) -> Option<Telling> {
    if cx.notify.is_some() {
        return Telling::due(cx);
    }
    let selected = cx.state.selected()?;
    (selected.has_news() && !selected.gone)
        .then(|| Telling::selected(Sync::new(Expunges::Allowed, false)))
}
