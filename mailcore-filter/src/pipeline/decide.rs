//! From what tests said to a verdict now, or to the plan at the end.

use std::fmt::Write;
use std::time::Duration;

use mailcore::address::Address;
use mailcore::plan::{Disposition, Edit, Plan, Quarantine, Stage};
use mailcore::seams::Verdict;
use mailcore::status::Status;

use super::judged::{self, Judged};
use super::settings::Effective;
use super::{Act, Look, Pipeline, TestClass};

/// All delays of one stage together.
const LONGEST_DELAY: Duration = Duration::from_secs(60);
/// Results that a header field names.
const MOST_NAMED: usize = 20;

/// Somebody was let through: the session, or the message.
#[derive(Debug)]
struct SessionAllowed;
#[derive(Debug)]
struct MessageAllowed;
/// Let through to these recipients.
#[derive(Debug)]
struct RecipientAllowed(Vec<Address>);

impl Pipeline {
    /// Asks the tests of a stage before the content.
    pub(super) async fn ask(&self, stage: Stage, look: Look<'_>) -> Verdict {
        let memory = &look.session.memory;
        if stage < Stage::Mail {
            judged::forget(memory, stage);
        }
        let effective = match look.recipient {
            Some(recipient) => self.settings.of_recipient(recipient).await,
            None => self.settings.global().await,
        };
        let mut pause = Duration::ZERO;
        // What earlier stages left for this one.
        let waiting = judged::all(memory).into_iter().filter(|judged| {
            let reaction = effective.reaction(judged.test, judged.result, judged.shipped);
            judged.stage < stage && reaction.at == Some(stage)
        });
        let waiting: Vec<_> = waiting.collect();
        if let Some(verdict) = self.act(stage, &look, &effective, &waiting, &mut pause) {
            return verdict;
        }
        for wave in self.waves(stage, &look) {
            let allowed = is_allowed(&look);
            let wave = wave.into_iter().filter(|test| {
                !effective.is_off(test.name()) && !(allowed && test.class() == TestClass::Spam)
            });
            let said = self.ask_wave(stage, &look, wave).await;
            let verdict = self.act(stage, &look, &effective, &said, &mut pause);
            judged::keep(memory, stage, said);
            if let Some(verdict) = verdict {
                return verdict;
            }
        }
        match pause.min(LONGEST_DELAY) {
            Duration::ZERO => Verdict::Continue,
            pause => Verdict::Delay(pause),
        }
    }

    /// Does at once what can be done at once.
    fn act(
        &self,
        stage: Stage,
        look: &Look<'_>,
        effective: &Effective,
        said: &[Judged],
        pause: &mut Duration,
    ) -> Option<Verdict> {
        for judged in said {
            let reaction = effective.reaction(judged.test, judged.result, judged.shipped);
            let now = reaction.at.is_none_or(|at| at <= stage);
            if !now || !counts(judged, is_allowed(look)) {
                continue;
            }
            match reaction.act {
                Act::Accept => allow(stage, look),
                Act::Delay(more) => *pause = pause.saturating_add(more),
                Act::Defer => return Some(Verdict::Defer(later(judged))),
                Act::Reject => return Some(Verdict::Reject(refusal(judged))),
                Act::Disconnect => return Some(Verdict::Disconnect(refusal(judged))),
                // These need a message.
                Act::None | Act::Tag | Act::Quarantine | Act::Discard => {}
            }
        }
        None
    }

    /// Asks the tests of the content, and changes the plan by all that was said.
    pub(super) async fn judge(&self, look: Look<'_>, plan: &mut Plan) {
        let Some(mail) = look.mail else {
            return;
        };
        let global = self.settings.global().await;
        for wave in self.waves(Stage::Content, &look) {
            let allowed = is_allowed(&look);
            let wave = wave.into_iter().filter(|test| {
                !global.is_off(test.name()) && !(allowed && test.class() == TestClass::Spam)
            });
            let said = self.ask_wave(Stage::Content, &look, wave).await;
            let mut pause = Duration::ZERO;
            self.act_on_accepts(&look, &global, &said, &mut pause);
            judged::keep(&look.session.memory, Stage::Content, said);
        }
        let known = plan.findings.len();
        for finding in look.session.memory.findings() {
            if finding.stage == Stage::Content
                && !plan.findings.iter().take(known).any(|it| *it == finding)
            {
                plan.findings.push(finding);
            }
        }
        let said = judged::all(&look.session.memory);
        if said.is_empty() {
            return;
        }
        let stranger = self.is_stranger(look.session);
        let recipients = mail.envelope.recipients.iter().zip(&mut plan.recipients);
        for (recipient, copy) in recipients {
            let effective = self.settings.of_recipient(&recipient.address).await;
            let ruling = Ruling::new(&look, &effective, &said, &recipient.address, stranger);
            ruling.apply(&mut copy.disposition, &mut copy.edits);
        }
    }

    fn act_on_accepts(
        &self,
        look: &Look<'_>,
        global: &Effective,
        said: &[Judged],
        pause: &mut Duration,
    ) {
        let accepts = said.iter().filter(|judged| {
            global
                .reaction(judged.test, judged.result, judged.shipped)
                .act
                == Act::Accept
        });
        for judged in accepts {
            let one = std::slice::from_ref(judged);
            let _ = self.act(Stage::Content, look, global, one, pause);
        }
    }
}

/// What all that was said comes to for one recipient.
struct Ruling<'a> {
    /// The most severe action, and what asks for it.
    act: Act,
    why: Option<&'a Judged>,
    /// A virus is why it is kept apart: nobody is to have it out again.
    harmful: bool,
    score: f32,
    required: Option<f32>,
    /// What scored, for the header field.
    scored: Vec<(&'a Judged, f32)>,
}

impl<'a> Ruling<'a> {
    fn new(
        look: &Look<'_>,
        effective: &Effective,
        said: &'a [Judged],
        recipient: &Address,
        stranger: bool,
    ) -> Self {
        let allowed = is_allowed(look) || is_allowed_to(look, recipient);
        let mut ruling = Self {
            act: Act::None,
            why: None,
            harmful: false,
            score: 0.0,
            required: None,
            scored: Vec::new(),
        };
        let unbending = is_role(recipient);
        for judged in said.iter().filter(|judged| judged.concerns(recipient)) {
            if !counts(judged, allowed) {
                continue;
            }
            let reaction = effective.reaction(judged.test, judged.result, judged.shipped);
            let key = (judged.test, judged.result);
            let score = effective.score(key, judged.score, judged.shipped);
            if score != 0.0 {
                ruling.score += score;
                ruling.scored.push((judged, score));
            }
            let late = reaction.at == Some(Stage::Content) || judged.stage == Stage::Content;
            let act = match reaction.act {
                Act::Tag | Act::Quarantine | Act::Discard => reaction.act,
                Act::Defer | Act::Reject | Act::Disconnect if late => reaction.act,
                _ => continue,
            };
            let harmful = matches!(judged.class, TestClass::Virus | TestClass::Policy);
            let act = if unbending && !harmful { Act::Tag } else { act };
            ruling.harmful |= act == Act::Quarantine && judged.class == TestClass::Virus;
            if act > ruling.act {
                (ruling.act, ruling.why) = (act, Some(judged));
            }
        }
        if stranger && !allowed {
            ruling.weigh(effective, unbending);
        }
        ruling
    }

    /// What the score alone asks for.
    fn weigh(&mut self, effective: &Effective, unbending: bool) {
        let scoring = effective.scoring();
        self.required = scoring.quarantine.or(scoring.tag).or(scoring.reject);
        let thresholds = [
            (scoring.reject, Act::Reject),
            (scoring.quarantine, Act::Quarantine),
            (scoring.tag, Act::Tag),
        ];
        let reached = |(from, act): (Option<f32>, Act)| {
            from.is_some_and(|from| self.score >= from).then_some(act)
        };
        let Some(mut act) = thresholds.into_iter().find_map(reached) else {
            return;
        };
        if unbending {
            act = Act::Tag;
        }
        if act > self.act {
            (self.act, self.why) = (act, None);
        }
    }

    fn apply(&self, disposition: &mut Disposition, edits: &mut Vec<Edit>) {
        if !self.scored.is_empty() {
            edits.push(Edit::AddHeader {
                name: "X-Spam-Status".into(),
                value: self.summary(),
            });
        }
        if self.act >= Act::Tag {
            edits.push(Edit::AddHeader {
                name: "X-Spam-Flag".into(),
                value: "YES".into(),
            });
        }
        // What a filter before this one decided against the mail stands.
        if *disposition != Disposition::Accept {
            return;
        }
        match self.act {
            Act::Quarantine => {
                let apart = Quarantine::new(self.reason());
                *disposition = Disposition::Quarantine(match self.harmful {
                    true => apart.harmful(),
                    false => apart,
                });
            }
            Act::Discard => *disposition = Disposition::Discard,
            Act::Defer => *disposition = Disposition::Defer(self.status(later)),
            Act::Reject | Act::Disconnect => {
                *disposition = Disposition::Reject(self.status(refusal));
            }
            Act::None | Act::Accept | Act::Delay(_) | Act::Tag => {}
        }
    }

    fn status(&self, of: fn(&Judged) -> Status) -> Status {
        match self.why {
            Some(judged) => of(judged),
            // Which tests did it is not told: it would teach how to pass them.
            None => Status::permanent(7, 1, "the message looks like spam"),
        }
    }

    fn reason(&self) -> String {
        match self.why {
            Some(judged) if judged.detail.is_empty() => {
                format!("{} {}", judged.test, judged.result)
            }
            Some(judged) => format!("{} {}: {}", judged.test, judged.result, judged.detail),
            None => format!("score {:.1}: {}", self.score, self.names()),
        }
    }

    /// `Yes, score=7.0 required=5.0 tests=spf.fail=3.0,...`
    fn summary(&self) -> String {
        let spam = if self.act >= Act::Tag { "Yes" } else { "No" };
        let mut text = format!("{spam}, score={:.1}", self.score);
        if let Some(required) = self.required {
            let _ = write!(text, " required={required:.1}");
        }
        let _ = write!(text, " tests={}", self.names());
        text
    }

    fn names(&self) -> String {
        let mut names: Vec<String> = Vec::new();
        for (judged, score) in self.scored.iter().take(MOST_NAMED) {
            names.push(format!("{}.{}={score:.1}", judged.test, judged.result));
        }
        names.join(",")
    }
}

/// Whether a result is held against mail that somebody lets through.
fn counts(judged: &Judged, allowed: bool) -> bool {
    !allowed || !matches!(judged.class, TestClass::Spam | TestClass::Identity)
}

fn allow(stage: Stage, look: &Look<'_>) {
    let memory = &look.session.memory;
    match (stage, look.recipient) {
        (Stage::Connect | Stage::Helo | Stage::Auth, _) => memory.keep_for_session(SessionAllowed),
        (_, Some(recipient)) => {
            let known = memory.get::<RecipientAllowed>();
            let mut to = known.map(|it| it.0.clone()).unwrap_or_default();
            to.push(recipient.clone());
            memory.keep_for_message(RecipientAllowed(to));
        }
        _ => memory.keep_for_message(MessageAllowed),
    }
}

fn is_allowed(look: &Look<'_>) -> bool {
    let memory = &look.session.memory;
    let to = look.recipient;
    memory.get::<SessionAllowed>().is_some()
        || memory.get::<MessageAllowed>().is_some()
        || to.is_some_and(|to| is_allowed_to(look, to))
}

fn is_allowed_to(look: &Look<'_>, recipient: &Address) -> bool {
    let allowed = look.session.memory.get::<RecipientAllowed>();
    allowed.is_some_and(|it| it.0.contains(recipient))
}

/// Addresses that must hear complaints, which quote what they are about.
fn is_role(recipient: &Address) -> bool {
    ["postmaster", "abuse"]
        .iter()
        .any(|role| recipient.local_part().eq_ignore_ascii_case(role))
}

/// Delivery not authorized (RFC 3463 section 3.8).
fn refusal(judged: &Judged) -> Status {
    Status::permanent(7, 1, words(judged))
}

fn later(judged: &Judged) -> Status {
    Status::transient(7, 1, words(judged))
}

fn words(judged: &Judged) -> String {
    match judged.detail.as_str() {
        "" => format!("refused for {} {}", judged.test, judged.result),
        detail => detail.to_owned(),
    }
}
