//! The task that reads events and sends the rules' mail.

use std::sync::Arc;
use std::time::Duration;

use super::message::{self, Mail};
use super::own::OwnMail;
use super::rule::{Checked, MailRule, RuleError};
use super::template::Facts;
use super::throttle::{Due, Turn, Windows};
use crate::address::ForwardPath;
use crate::batch::StateChange;
use crate::event::{
    Event, EventCursor, EventFilter, EventName, StartAt, StoredEvent, SubscribeError, Subscription,
    SubscriptionSeams,
};
use crate::intake::{Intake, SessionInfo, SessionKind};
use crate::net::Shutdown;
use crate::pack::{Packer, Unpacker};
use crate::seams::{Clock, FilterSession, State, StateKey, StoreError};
use crate::status::{Status, StatusClass};
use crate::time::Timestamp;

/// The reader's name, and where is kept which rules an event was through with.
const READER: &str = "server:mail-rules";
const NAMESPACE: &str = "events";
const PART: &str = "mail-part";
/// Events looked at before their place is kept, unless one sends mail.
const PAGE: usize = 128;
/// How long new events may wait for others.
const GATHER: Duration = Duration::from_millis(500);
/// The first pause after a failure, and the longest.
const RETRY: Duration = Duration::from_secs(5);
const RETRY_MOST: Duration = Duration::from_secs(300);
/// How long one mail is tried.
const PATIENCE: Duration = Duration::from_secs(60 * 60);

/// What the rules' task works with.
#[derive(Debug, Clone)]
pub(crate) struct RuleSeams {
    pub(crate) reader: SubscriptionSeams,
    pub(crate) intake: Arc<Intake>,
    /// Rules that are the first here begin after this event.
    pub(crate) newest: EventCursor,
}

/// Rules that can be used.
#[derive(Debug)]
pub(crate) struct MailRules {
    rules: Vec<Checked>,
}

/// Forgets how far events were read, so that rules that are set up later begin
/// then.
pub(crate) async fn forget(state: &dyn State) -> Result<(), StoreError> {
    let key = StateKey::new(NAMESPACE, &format!("reader:{READER}"));
    if state.read(&key).await?.is_none() {
        return Ok(());
    }
    Subscription::forget(READER, state).await
}

impl MailRules {
    /// Checks the rules.
    pub(crate) fn new(rules: &[MailRule]) -> Result<Self, RuleError> {
        for (at, rule) in rules.iter().enumerate() {
            if rules.iter().take(at).any(|it| it.name == rule.name) {
                return Err(RuleError::Twice(rule.name.clone()));
            }
        }
        let checked: Result<_, _> = rules.iter().map(MailRule::checked).collect();
        Ok(Self { rules: checked? })
    }

    /// Sends mail until `stop` begins or the store is gone. A mail on its way is
    /// seen through before it ends.
    pub(crate) async fn run(self, seams: RuleSeams, stop: Shutdown) {
        let mut waits = Waits {
            clock: Arc::clone(&seams.reader.clock),
            stop,
            retry: RETRY,
        };
        loop {
            if let Err(error) = self.work(&seams, &mut waits).await {
                tracing::warn!(%error, "mail rules wait for the store");
            }
            if waits.retry().await.is_err() {
                return;
            }
        }
    }

    /// Ends with an error of the store, after which what is kept is read anew.
    async fn work(&self, seams: &RuleSeams, waits: &mut Waits) -> Result<(), SubscribeError> {
        let mut post = Post::open(&self.rules, seams).await?;
        while post.step(waits).await? {
            waits.retry = RETRY;
        }
        Ok(())
    }
}

/// Waiting that a stop ends.
struct Waits {
    clock: Arc<dyn Clock>,
    stop: Shutdown,
    /// The next pause after a failure.
    retry: Duration,
}

/// It is time to stop.
struct Stopped;

impl Waits {
    async fn wait(&mut self, pause: Duration) -> Result<(), Stopped> {
        let until = self.clock.monotonic().after(pause);
        tokio::select! {
            biased;
            () = self.stop.begun() => Err(Stopped),
            () = self.clock.sleep_until(until) => Ok(()),
        }
    }

    async fn retry(&mut self) -> Result<(), Stopped> {
        let pause = self.retry;
        self.retry = pause.saturating_mul(2).min(RETRY_MOST);
        self.wait(pause).await
    }
}

/// The task's state.
struct Post<'a> {
    rules: &'a [Checked],
    seams: &'a RuleSeams,
    reader: Subscription,
    windows: Windows,
    own: OwnMail,
    /// The event before the one that is looked at: kept with each mail, since
    /// of that event alone is known which rules are through with it.
    before: Option<EventCursor>,
    /// The event that some rules are through with, and which.
    part: (EventCursor, Vec<String>),
    /// Changes that are not kept yet; the last one of a key counts.
    pending: Vec<StateChange>,
}

impl<'a> Post<'a> {
    async fn open(rules: &'a [Checked], seams: &'a RuleSeams) -> Result<Self, SubscribeError> {
        let names = rules.iter().flat_map(|it| it.rule.events().iter().cloned());
        // By these our own mail is known.
        let known_by = [
            EventName::MessageReceived,
            EventName::NoticeSent,
            EventName::LetterSent,
        ];
        let filter = EventFilter::all().names(names.chain(known_by));
        let state = Arc::clone(&seams.reader.state);
        let reader = seams.reader.clone();
        let start = StartAt::After(seams.newest);
        Ok(Self {
            reader: Subscription::open_as(READER, reader, filter, start).await?,
            windows: Windows::load(&*state).await?,
            part: load_part(&*state).await?,
            own: OwnMail {
                state,
                hostname: seams.intake.hostname().clone(),
            },
            rules,
            seams,
            before: None,
            pending: Vec::new(),
        })
    }

    fn now(&self) -> Timestamp {
        self.seams.reader.clock.now()
    }

    /// Looks at some events, or at what was collected; false when it is time to
    /// stop.
    async fn step(&mut self, waits: &mut Waits) -> Result<bool, StoreError> {
        let clock = Arc::clone(&self.seams.reader.clock);
        let next = self.windows.next();
        let over = async {
            match next {
                Some(at) => clock.sleep_until_wall(at).await,
                None => std::future::pending().await,
            }
        };
        let batch = tokio::select! {
            biased;
            () = waits.stop.begun() => return Ok(false),
            () = over => {
                self.tell_collected(waits).await?;
                return Ok(true);
            }
            batch = self.reader.next_batch(PAGE) => batch,
        };
        let Some(batch) = batch else { return Ok(false) };
        let batch = batch?;
        for stored in &batch {
            self.look(stored, waits).await?;
        }
        match batch.last() {
            // What sends nothing does not when it is looked at again either.
            Some(last) if self.pending.is_empty() => self.reader.done_at_leisure(last.cursor),
            Some(last) => self.keep(last.cursor).await?,
            None => {}
        }
        // Under load one read then fetches many events, not one.
        Ok(batch.len() == PAGE || waits.wait(GATHER).await.is_ok())
    }

    /// One event, all rules.
    async fn look(&mut self, stored: &StoredEvent, waits: &mut Waits) -> Result<(), StoreError> {
        let event = &stored.event;
        if let Some(trace) = self.own.learn(event).await? {
            // At once: what follows is of the same track.
            let mark = OwnMail::mark(trace, self.now());
            self.seams.reader.state.change(vec![mark]).await?;
        }
        let rules = self.rules;
        let fitting: Vec<&Checked> = rules.iter().filter(|it| it.rule.fits(event)).collect();
        if fitting.is_empty() || self.own.has(event).await? {
            return Ok(());
        }
        let mut through = match self.part.0 == stored.cursor {
            true => self.part.1.clone(),
            false => Vec::new(),
        };
        self.before = Some(EventCursor(stored.cursor.0.saturating_sub(1)));
        for rule in fitting {
            if through.contains(&rule.rule.name) {
                continue;
            }
            through.push(rule.rule.name.clone());
            self.part = (stored.cursor, through.clone());
            match self.windows.turn(&rule.rule, event, self.now()) {
                Turn::Collect(change) => self.pending.push(change),
                Turn::Send { more, key, change } => {
                    self.pending.extend(change);
                    self.send(rule, event, more, waits).await?;
                    if let Some(key) = key {
                        self.windows.begin(key, &rule.rule, self.now());
                    }
                }
            }
        }
        Ok(())
    }

    /// Tells of what was collected in windows that are over.
    async fn tell_collected(&mut self, waits: &mut Waits) -> Result<(), StoreError> {
        self.before = None;
        let (due, changes) = self.windows.over(self.now());
        self.pending.extend(changes);
        for Due {
            rule,
            event,
            more,
            key,
        } in due
        {
            let rules = self.rules;
            let Some(rule) = rules.iter().find(|it| it.rule.name == rule) else {
                let change = self.windows.remove(&key);
                self.pending.push(change);
                continue;
            };
            let now = self.now();
            self.pending
                .push(Windows::begin_change(&key, &rule.rule, now));
            self.send(rule, &event, more, waits).await?;
            self.windows.begin(key, &rule.rule, now);
        }
        self.flush().await
    }

    /// Sends a rule's mail, and keeps with it how far things are.
    async fn send(
        &mut self,
        rule: &Checked,
        event: &Event,
        more: u64,
        waits: &mut Waits,
    ) -> Result<(), StoreError> {
        let hostname = self.own.hostname.clone();
        let facts = Facts {
            event,
            rule: &rule.rule.name,
            hostname: &hostname,
            more,
        };
        let Some(mail) = message::write(rule, facts, self.now()) else {
            tracing::info!(rule = rule.rule.name, "this event names nobody to write to");
            return Ok(());
        };
        let began = self.now();
        loop {
            let mut changes = self.pending.clone();
            changes.push(save_part(&self.part));
            changes.extend(self.before.map(|before| self.reader.done_change(before)));
            let Err(status) = self.submit(&mail, changes).await else {
                self.pending.clear();
                if let Some(before) = self.before {
                    self.reader.done_alongside(before);
                }
                waits.retry = RETRY;
                return Ok(());
            };
            let waited = self.now().since(began);
            if !status.is_transient() || waited > PATIENCE {
                tracing::warn!(rule = rule.rule.name, %status, "this rule's mail was refused");
                return Ok(());
            }
            tracing::info!(rule = rule.rule.name, %status, "this rule's mail waits");
            if waits.retry().await.is_err() {
                return Err(StoreError::Unavailable("the server stops"));
            }
        }
    }

    async fn submit(&self, mail: &Mail, mut changes: Vec<StateChange>) -> Result<(), Status> {
        let session = SessionInfo {
            filter: FilterSession::new(None).through(SessionKind::Local),
            with: "local",
            transcript: None,
        };
        let Mail {
            envelope, message, ..
        } = mail.clone();
        let intake = &self.seams.intake;
        let begun = intake.own_mail(session, envelope.reverse_path, envelope.params);
        let mut transaction = begun.await.map_err(|refusal| refusal.status)?;
        let mut refused = None;
        for recipient in envelope.recipients {
            let path = ForwardPath::Address(recipient.address);
            let taken = transaction.rcpt(path, recipient.notify, recipient.original);
            if let Err(refusal) = taken.await {
                refused = Some(refusal.status);
            }
        }
        // Some recipients are better than none.
        if let Some(status) = refused.filter(|_| transaction.envelope().recipients.is_empty()) {
            return Err(status);
        }
        let now = self.now();
        changes.push(OwnMail::mark(transaction.trace(), now));
        changes.push(OwnMail::mark_id(&mail.message_id, now));
        transaction.alongside(changes);
        transaction.data().await.map_err(|refusal| refusal.status)?;
        let written = transaction.write(message).await;
        written.map_err(|refusal| refusal.status)?;
        let done = transaction.finish().await;
        let status = done.map_err(|refusal| refusal.status)?.overall();
        match status.code.class {
            StatusClass::Success => Ok(()),
            _ => Err(status),
        }
    }

    /// Everything up to a cursor is done.
    async fn keep(&mut self, cursor: EventCursor) -> Result<(), StoreError> {
        let done = self.reader.done_change(cursor);
        self.pending.push(done);
        self.flush().await?;
        self.reader.done_alongside(cursor);
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), StoreError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let changes = self.pending.clone();
        self.seams.reader.state.change(changes).await?;
        self.pending.clear();
        Ok(())
    }
}

async fn load_part(state: &dyn State) -> Result<(EventCursor, Vec<String>), StoreError> {
    let value = state.read(&StateKey::new(NAMESPACE, PART)).await?;
    let read = |octets: &[u8]| {
        let mut from = Unpacker::new(octets, 1)?;
        let cursor = EventCursor(from.u64()?);
        let names = from.list(|from| from.text().map(str::to_owned))?;
        Ok::<_, crate::pack::PackError>((cursor, names))
    };
    let read = value.and_then(|value| read(&value.value).ok());
    Ok(read.unwrap_or_default())
}

fn save_part((cursor, names): &(EventCursor, Vec<String>)) -> StateChange {
    let mut out = Packer::new(1);
    out.u64(cursor.0);
    out.list(names, |out, name| out.text(name));
    StateChange::Put {
        key: StateKey::new(NAMESPACE, PART),
        value: out.finish(),
        expires: None,
    }
}
