//! NOTIFY (RFC 5465).

use mailcore::mailbox::MailboxName;

use super::{Progress, Run, Started, failure};
use crate::codec::{Cursor, ParseError};
use crate::session::{
    Answer, Context, Events, Expunges, Filter, First, Group, Notify, OfSelected, Question,
    SyncStep, Telling, Watching, is_announced,
};
use crate::types::{FetchItem, FetchItems, ResponseCode};
use crate::wording::Status;

/// Groups of events in one command.
const MAX_GROUPS: usize = 100;
/// Names in one command.
const MAX_NAMES: usize = 1_000;

/// ```text
/// notify     = "NOTIFY" SP (notify-set / "NONE")
/// notify-set = "SET" [SP "STATUS"] 1*(SP event-group)
/// ```
pub(super) fn start(cursor: &mut Cursor<'_>, cx: &mut Context) -> Result<Started, ParseError> {
    cursor.space()?;
    if cursor.eat_word("NONE") {
        cursor.end()?;
        return Started::run(Set {
            notify: Some(Box::default()),
            watching: Watching::Off,
            telling: Telling::begin(First::Silent),
        });
    }
    if !cursor.eat_word("SET") {
        return Err(ParseError::Expected("SET or NONE"));
    }
    cursor.space()?;
    let first = match cursor.eat_word("STATUS") {
        true => {
            cursor.space()?;
            First::Status
        }
        false => First::Silent,
    };
    let mut groups = Groups::default();
    loop {
        groups.read(cursor, cx)?;
        if cursor.is_at_end() {
            break;
        }
        cursor.space()?;
    }
    if groups.unknown {
        return Started::done(Status::no(
            ResponseCode::BadEvent,
            "There are no such events here",
        ));
    }
    Started::run(Set {
        watching: match groups.notify.watches_account() {
            true => Watching::On,
            false => Watching::Off,
        },
        notify: Some(Box::new(groups.notify)),
        telling: Telling::begin(first),
    })
}

#[derive(Debug, Default)]
struct Groups {
    notify: Notify,
    names: usize,
    /// The selected mailbox was named.
    selected: bool,
    /// An event was named that never happens here.
    unknown: bool,
}

/// What a group asks for, before it is known whether it makes sense.
#[derive(Debug, Default)]
struct Asked {
    new: bool,
    expunge: bool,
    items: Option<FetchItems>,
    events: Events,
}

impl Groups {
    /// `event-group = "(" filter-mailboxes SP events ")"`
    fn read(&mut self, cursor: &mut Cursor<'_>, cx: &mut Context) -> Result<(), ParseError> {
        cursor.expect(b'(', "a group of events")?;
        if self.notify.groups.len() >= MAX_GROUPS {
            return Err(ParseError::TooMuch("groups of events"));
        }
        let word = cursor.atom()?.to_ascii_uppercase();
        let filter = match word.as_str() {
            "SELECTED" | "SELECTED-DELAYED" => None,
            "INBOXES" | "PERSONAL" => Some(Filter::Personal),
            "SUBSCRIBED" => Some(Filter::Subscribed),
            "SUBTREE" => Some(Filter::Subtree(self.names(cursor)?)),
            "MAILBOXES" => Some(Filter::Mailboxes(self.names(cursor)?)),
            _ => return Err(ParseError::Expected("which mailboxes")),
        };
        cursor.space()?;
        let asked = self.events(cursor, cx)?;
        cursor.expect(b')', "the end of the group")?;
        if asked.new != asked.expunge || (asked.events.flags && !asked.new) {
            return Err(ParseError::Expected(
                "MessageNew and MessageExpunge together",
            ));
        }
        match filter {
            Some(_) if asked.items.is_some() => Err(ParseError::Expected(
                "FETCH items only for the selected mailbox",
            )),
            Some(filter) => {
                let events = asked.events;
                self.notify.groups.push(Group { filter, events });
                Ok(())
            }
            None if std::mem::replace(&mut self.selected, true) => {
                Err(ParseError::Expected("the selected mailbox once"))
            }
            None if asked.events.names || asked.events.subscriptions => {
                Err(ParseError::Expected("events of messages"))
            }
            None => {
                self.notify.selected = asked.new.then_some(OfSelected {
                    expunges: match word.as_str() {
                        "SELECTED" => Expunges::Allowed,
                        _ => Expunges::Forbidden,
                    },
                    items: asked.items,
                    flags: asked.events.flags,
                });
                Ok(())
            }
        }
    }

    /// `SP (mailbox / "(" mailbox *(SP mailbox) ")")`
    fn names(&mut self, cursor: &mut Cursor<'_>) -> Result<Vec<MailboxName>, ParseError> {
        cursor.space()?;
        if !cursor.eat(b'(') {
            self.names += 1;
            return Ok(vec![cursor.mailbox()?]);
        }
        let mut names = Vec::new();
        loop {
            self.names += 1;
            if self.names > MAX_NAMES {
                return Err(ParseError::TooMuch("mailboxes"));
            }
            names.push(cursor.mailbox()?);
            if cursor.eat(b')') {
                return Ok(names);
            }
            cursor.space()?;
        }
    }

    /// `events = "(" event *(SP event) ")" / "NONE"`. The parentheses are missing
    /// in the RFC's own examples (section 3.1).
    fn events(&mut self, cursor: &mut Cursor<'_>, cx: &mut Context) -> Result<Asked, ParseError> {
        let mut asked = Asked::default();
        if cursor.eat_word("NONE") {
            return Ok(asked);
        }
        let parentheses = cursor.eat(b'(');
        loop {
            self.event(cursor, cx, &mut asked)?;
            if cursor.peek() == Some(b')') {
                if parentheses {
                    cursor.eat(b')');
                }
                return Ok(asked);
            }
            cursor.space()?;
        }
    }

    fn event(
        &mut self,
        cursor: &mut Cursor<'_>,
        cx: &mut Context,
        asked: &mut Asked,
    ) -> Result<(), ParseError> {
        match cursor.atom()?.to_ascii_uppercase().as_str() {
            "MESSAGENEW" => {
                (asked.new, asked.events.messages) = (true, true);
                if cursor.rest().starts_with(b" (") {
                    cursor.space()?;
                    asked.items = Some(items(cursor, cx)?);
                }
            }
            "MESSAGEEXPUNGE" => (asked.expunge, asked.events.messages) = (true, true),
            "FLAGCHANGE" => asked.events.flags = true,
            "MAILBOXNAME" => asked.events.names = true,
            "SUBSCRIPTIONCHANGE" => asked.events.subscriptions = true,
            _ => self.unknown = true,
        }
        Ok(())
    }
}

/// `"(" fetch-att *(SP fetch-att) ")"`
fn items(cursor: &mut Cursor<'_>, cx: &mut Context) -> Result<FetchItems, ParseError> {
    let items = cursor.fetch_items()?;
    let needed: Vec<_> = items.iter().filter_map(FetchItem::capability).collect();
    if needed.into_iter().any(|it| !is_announced(it, cx)) {
        return Err(ParseError::Expected("a FETCH item"));
    }
    if items.iter().any(|item| *item == FetchItem::ModSeq) {
        cx.enable_condstore();
    }
    Ok(items)
}

/// Begins to watch, then looks at what is there.
#[derive(Debug)]
struct Set {
    notify: Option<Box<Notify>>,
    watching: Watching,
    telling: Telling,
}

impl Set {
    /// True when the account was to be watched and is not.
    fn is_over(&self, cx: &Context) -> bool {
        let watches = cx.notify.as_ref().is_some_and(|it| it.watches_account());
        self.watching == Watching::On && !watches
    }
}

impl Run for Set {
    fn resume(&mut self, cx: &mut Context, answer: Option<Answer>) -> Progress {
        let mut answer = answer;
        if let Some(notify) = self.notify.take() {
            // Watching begins first: what happens meanwhile is noticed again.
            cx.notify = Some(notify);
            return Progress::Ask(Question::WatchAccount(self.watching));
        }
        match answer.take() {
            Some(Answer::Done) => {}
            Some(other @ Answer::Failed(_)) => {
                cx.notify = None;
                return Progress::Done(failure(&other).into());
            }
            other => answer = other,
        }
        match self.telling.resume(cx, answer) {
            SyncStep::Ask(question) => Progress::Ask(question),
            SyncStep::Flush => Progress::Flush,
            SyncStep::Done | SyncStep::Gone if self.is_over(cx) => Progress::Done(
                Status::no(ResponseCode::NotificationOverflow, "Watch fewer mailboxes").into(),
            ),
            SyncStep::Done | SyncStep::Gone => {
                Progress::Done(Status::ok("NOTIFY completed").into())
            }
        }
    }
}
