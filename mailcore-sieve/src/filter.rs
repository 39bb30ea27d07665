//! [`SieveFilter`]: the site's own scripts at each event of a session.
//!
//! Scripts run in their order. One that refuses, or accepts, ends the event; one
//! that fails is noted and passed over, as mail must not be lost by a slip in a
//! script. What each said is a finding, kept with the message.

mod becomes;
pub(crate) mod look_up;
mod occasion;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use mailcore::address::{Address, Domain, ReversePath};
use mailcore::intake::SessionKind;
use mailcore::plan::{Finding, Plan};
use mailcore::seams::{Clock, Filter, FilterSession, IncomingMail, Resolver, Verdict};
use mailcore::status::Status;

use self::becomes::{Said, Then, change, verdict};
use self::look_up::look_up;
use self::occasion::Occasion;
use crate::engine::{
    Answer, Event, Limits, Mail, Outcome, PlainMail, Program, Question, Run, RunError, Step,
};
use crate::mail::{Extent, MessageMail};

/// The site's scripts, by event and in their order.
#[derive(Debug, Clone, Default)]
pub struct EventScripts(BTreeMap<Event, Vec<Arc<Program>>>);

impl EventScripts {
    /// The events of a session.
    pub const EVENTS: [Event; 6] = [
        Event::Connect,
        Event::Helo,
        Event::Auth,
        Event::Mail,
        Event::Rcpt,
        Event::Data,
    ];

    /// None.
    pub fn new() -> Self {
        Self::default()
    }

    /// With another script, after those of its event. It is one that was compiled
    /// for this event.
    #[must_use]
    pub fn and(mut self, event: Event, script: Arc<Program>) -> Self {
        self.0.entry(event).or_default().push(script);
        self
    }

    /// Those of an event.
    pub fn at(&self, event: Event) -> &[Arc<Program>] {
        self.0.get(&event).map_or(&[], Vec::as_slice)
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Who remembers which senders are new, for the action `greylist`.
#[async_trait]
pub trait Greylisting: Debug + Send + Sync {
    /// Whether this one must come again. What can't be told lets pass.
    async fn must_wait(&self, session: &FilterSession, from: &ReversePath, to: &Address) -> bool;
}

/// What the scripts of a session need.
#[derive(Debug, Clone)]
pub struct SieveFilterSeams {
    /// Answers `lookup`.
    pub resolver: Arc<dyn Resolver>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// This server's name.
    pub hostname: Domain,
}

/// A script wants the session, or the message, greylisted and there was no
/// recipient yet.
#[derive(Debug)]
struct GreylistLater;

/// Runs the site's scripts. Mail from inside the process has no session, and none
/// are run for it.
#[derive(Debug)]
pub struct SieveFilter {
    scripts: RwLock<Arc<EventScripts>>,
    seams: SieveFilterSeams,
    greylist: Option<Arc<dyn Greylisting>>,
    limits: Limits,
}

impl SieveFilter {
    /// Runs these within the default limits.
    pub fn new(scripts: EventScripts, seams: SieveFilterSeams) -> Self {
        Self {
            scripts: RwLock::new(Arc::new(scripts)),
            seams,
            greylist: None,
            limits: Limits::default(),
        }
    }

    /// Greylisting is this one's; without any, `greylist` lets pass.
    #[must_use]
    pub fn greylisting(mut self, greylist: Arc<dyn Greylisting>) -> Self {
        self.greylist = Some(greylist);
        self
    }

    /// Runs them within these limits.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// These scripts from now on, in place of all that there were.
    pub fn replace(&self, scripts: EventScripts) {
        let mut held = self.scripts.write().unwrap_or_else(PoisonError::into_inner);
        *held = Arc::new(scripts);
    }

    fn scripts(&self) -> Arc<EventScripts> {
        Arc::clone(&self.scripts.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// What the scripts of an event before the message say.
    async fn ask(&self, at: Occasion<'_>) -> Verdict {
        let scripts = self.scripts();
        if at.session.door == SessionKind::Local {
            return Verdict::Continue;
        }
        let nothing = PlainMail::new(Vec::new());
        for script in scripts.at(at.event) {
            match self.run(script, &nothing, &at).await {
                Ok(outcome) => {
                    let (verdict, said) = verdict(&outcome);
                    if let Some(finding) = found(&at, script, said) {
                        at.session.memory.note(finding);
                    }
                    if verdict != Verdict::Continue {
                        return verdict;
                    }
                }
                Err(error) => at.session.memory.note(failed(&at, &error)),
            }
        }
        Verdict::Continue
    }

    async fn run(
        &self,
        script: &Arc<Program>,
        mail: &dyn Mail,
        at: &Occasion<'_>,
    ) -> Result<Outcome, RunError> {
        let environment = at.environment(&self.seams.hostname, self.seams.clock.now());
        let mut run = Run::new(Arc::clone(script), mail, &environment, &self.limits);
        let mut answer = None;
        loop {
            match run.step(answer.take())? {
                Step::Done(outcome) => return Ok(outcome),
                Step::Ask(question) => answer = Some(self.answer(question, at).await),
            }
        }
    }

    /// There is no account here: nothing is known of mailboxes and lists.
    async fn answer(&self, question: Question, at: &Occasion<'_>) -> Answer {
        match question {
            Question::LookUp { kind, name } => {
                look_up(self.seams.resolver.as_ref(), kind, &name).await
            }
            Question::Greylist if self.must_wait(at).await => Answer::Yes,
            Question::Annotation { .. } => Answer::Text(None),
            _ => Answer::No,
        }
    }

    /// Whether the peer must come again. Before there is a recipient it is kept in
    /// mind; who is known is no stranger.
    async fn must_wait(&self, at: &Occasion<'_>) -> bool {
        let Some(greylist) = self.greylist.as_ref().filter(|_| !at.session.is_known()) else {
            return false;
        };
        let memory = &at.session.memory;
        match (at.event, at.from, at.to) {
            (_, Some(from), Some(to)) => greylist.must_wait(at.session, from, to).await,
            (Event::Mail, ..) => {
                memory.keep_for_message(GreylistLater);
                false
            }
            (Event::Data, ..) => false,
            _ => {
                memory.keep_for_session(GreylistLater);
                false
            }
        }
    }

    /// A script's changes to the copies that none before has decided about; which
    /// copies those are is told by `open`.
    async fn judge(
        &self,
        script: &Arc<Program>,
        mail: &IncomingMail<'_>,
        at: Occasion<'_>,
        (plan, open): (&mut Plan, &mut [bool]),
    ) -> Result<(), RunError> {
        let needs = script.needs();
        let extent = match needs.parts || needs.body {
            true => Extent::Whole,
            false => Extent::Header,
        };
        let most = u64::try_from(self.limits.memory).unwrap_or(u64::MAX);
        let shown = MessageMail::load(mail.message, mail.summary, extent, most).await;
        let shown = shown.map_err(|error| {
            let words = format!("the message can't be read: {error}");
            RunError::new(Arc::clone(script.name()), 0, words)
        })?;
        let recipients = &mail.envelope.recipients;
        let alone = needs.recipient || recipients.len() == 1;
        let mut same = None;
        for (number, recipient) in recipients.iter().enumerate() {
            let copy = plan.recipients.get_mut(number);
            let (Some(copy), Some(open)) = (copy, open.get_mut(number)) else {
                continue;
            };
            if !*open {
                continue;
            }
            let at = at.to(alone.then_some(&recipient.address));
            let outcome = match same.take().filter(|_| !alone) {
                Some(outcome) => outcome,
                // Others get their turn, and the deadline its chance.
                None => {
                    tokio::task::yield_now().await;
                    self.run(script, &shown, &at).await?
                }
            };
            let (then, said) = change(&outcome, shown.header(0), copy);
            *open = then == Then::Next;
            plan.findings.extend(found(&at, script, said));
            same = Some(outcome);
        }
        Ok(())
    }
}

fn found(at: &Occasion<'_>, script: &Program, said: Said) -> Option<Finding> {
    let (word, words) = said?;
    let finding = Finding::new(at.stage(), "sieve", word).on(script.name().to_string());
    Some(finding.detail(words))
}

fn failed(at: &Occasion<'_>, error: &RunError) -> Finding {
    tracing::warn!(%error, "a script of the site failed; mail is let through");
    let detail = format!("line {}: {}", error.line, error.words);
    Finding::new(at.stage(), "sieve", "error")
        .on(error.script.to_string())
        .detail(detail)
}

#[async_trait]
impl Filter for SieveFilter {
    fn name(&self) -> &str {
        "sieve"
    }

    async fn connect(&self, session: &FilterSession) -> Verdict {
        self.ask(Occasion::new(Event::Connect, session)).await
    }

    async fn helo(&self, session: &FilterSession) -> Verdict {
        self.ask(Occasion::new(Event::Helo, session)).await
    }

    async fn auth(&self, session: &FilterSession) -> Verdict {
        self.ask(Occasion::new(Event::Auth, session)).await
    }

    async fn mail(&self, session: &FilterSession, reverse_path: &ReversePath) -> Verdict {
        let at = Occasion::new(Event::Mail, session).from(reverse_path);
        self.ask(at).await
    }

    async fn rcpt(
        &self,
        session: &FilterSession,
        reverse_path: &ReversePath,
        recipient: &Address,
    ) -> Verdict {
        let at = Occasion::new(Event::Rcpt, session)
            .from(reverse_path)
            .to(Some(recipient));
        let verdict = self.ask(at).await;
        let later = || session.memory.get::<GreylistLater>().is_some();
        if verdict == Verdict::Continue && later() && self.must_wait(&at).await {
            let words = "this sender is new here; try again later";
            return Verdict::Defer(Status::transient(7, 1, words));
        }
        verdict
    }

    async fn message(&self, session: &FilterSession, mail: &IncomingMail<'_>, plan: &mut Plan) {
        let scripts = self.scripts();
        if session.door == SessionKind::Local {
            return;
        }
        let at = Occasion::new(Event::Data, session).from(&mail.envelope.reverse_path);
        let mut open = vec![true; plan.recipients.len()];
        for script in scripts.at(Event::Data) {
            let judged = self.judge(script, mail, at, (&mut *plan, &mut open)).await;
            if let Err(error) = judged {
                plan.findings.push(failed(&at, &error));
            }
        }
    }
}
