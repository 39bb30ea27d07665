//! From what tests said to a verdict now, or to the plan at the end.

use std::collections::HashMap;
use std::time::Duration;

use mailcore::address::Address;
use mailcore::plan::{Plan, Stage};
use mailcore::seams::Verdict;
use mailcore::status::Status;

use super::effective::Effective;
use super::judged::{self, Judged};
use super::reaction::LONGEST_DELAY;
use super::ruling::{Ruling, Weighed};
use super::{Act, Look, Pipeline, Reaction, TestClass};

/// Recipients after which other connections have their turn.
const IN_ONE_TURN: usize = 64;

/// One stage before the content, and what holds at it.
struct Asking<'a> {
    stage: Stage,
    look: Look<'a>,
    /// For the recipient, where there is one.
    effective: Effective,
    /// For everybody, where there is a recipient.
    global: Option<Effective>,
}

impl Pipeline {
    /// Asks the tests of a stage before the content.
    pub(super) async fn ask(&self, stage: Stage, look: Look<'_>) -> Verdict {
        let memory = &look.session.memory;
        judged::forget(memory, stage, look.recipient);
        judged::disallow(memory, stage);
        let global = self.settings.global().await;
        let (effective, global) = match look.recipient {
            Some(recipient) => (self.settings.of_recipient(recipient).await, Some(global)),
            None => (global, None),
        };
        let asking = Asking {
            stage,
            look,
            effective,
            global,
        };
        let mut pause = Duration::ZERO;
        let waiting = judged::said(memory, |judged| asking.is_due(judged));
        if let Some(verdict) = asking.act(&waiting, &mut pause) {
            return verdict;
        }
        let until = self.stage_ends();
        for wave in self.waves(stage, &look) {
            let allowed = judged::is_allowed(memory, look.recipient);
            let wave = wave.into_iter().filter(|test| {
                let needless = allowed && test.class() == TestClass::Spam;
                !needless && !asking.effective.is_off(test.name())
            });
            let said = self.ask_wave((stage, until), &look, wave).await;
            let verdict = asking.act(&said, &mut pause);
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

    /// Asks the tests of the content, and changes the plan by all that was said.
    pub(super) async fn judge(&self, look: Look<'_>, plan: &mut Plan) {
        let Some(mail) = look.mail else {
            return;
        };
        let memory = &look.session.memory;
        judged::forget(memory, Stage::Content, None);
        let global = self.settings.global().await;
        let copies = self.copies(&mail.envelope.recipients).await;
        let until = self.stage_ends();
        for wave in self.waves(Stage::Content, &look) {
            let allowed = judged::is_allowed(memory, None);
            let wave = wave.into_iter().filter(|test| {
                // One recipient that wants it is enough.
                let off = match copies.distinct.as_slice() {
                    [] => global.is_off(test.name()),
                    each => each.iter().all(|it| it.is_off(test.name())),
                };
                let needless = allowed && test.class() == TestClass::Spam;
                !needless && !off
            });
            let said = self.ask_wave((Stage::Content, until), &look, wave).await;
            for judged in &said {
                let reaction = global.reaction(judged.test, judged.result, judged.shipped);
                if reaction.act == Act::Accept && counts(judged, allowed) {
                    judged::allow(memory, Stage::Content, judged.recipient.as_ref());
                }
            }
            judged::keep(memory, Stage::Content, said);
        }
        let known = plan.findings.len();
        for finding in memory.findings() {
            if finding.stage == Stage::Content
                && !plan.findings.iter().take(known).any(|it| *it == finding)
            {
                plan.findings.push(finding);
            }
        }
        let said = judged::said(memory, |_| true);
        if !said.is_empty() {
            self.rule(&look, &copies, &said, plan).await;
        }
    }

    /// What was said comes to something for each recipient.
    async fn rule(&self, look: &Look<'_>, copies: &Copies, said: &[Judged], plan: &mut Plan) {
        let Some(mail) = look.mail else {
            return;
        };
        let stranger = self.is_stranger(look.session);
        let mut own: HashMap<&Address, Vec<&Judged>> = HashMap::new();
        for judged in said {
            if let Some(recipient) = &judged.recipient {
                own.entry(recipient).or_default().push(judged);
            }
        }
        // What is said of all is weighed once for all to whom the same applies.
        let weigh = |effective: &Effective| -> Vec<Weighed<'_>> {
            let common = said.iter().filter(|it| it.recipient.is_none());
            common.map(|it| Weighed::new(it, effective)).collect()
        };
        let common: Vec<_> = copies.distinct.iter().map(weigh).collect();
        let recipients = mail.envelope.recipients.iter().zip(&mut plan.recipients);
        for (place, (recipient, copy)) in recipients.enumerate() {
            if place % IN_ONE_TURN == IN_ONE_TURN - 1 {
                tokio::task::yield_now().await;
            }
            let of = copies.of.get(place).copied().unwrap_or_default();
            let (Some(effective), Some(common)) = (copies.distinct.get(of), common.get(of)) else {
                continue;
            };
            let to = &recipient.address;
            let allowed = judged::is_allowed(&look.session.memory, Some(to));
            let own = own.get(to).map(Vec::as_slice).unwrap_or_default();
            let own = own.iter().map(|it| Weighed::new(it, effective));
            let weighed = common.iter().copied().chain(own);
            let ruling = Ruling::new(weighed, allowed, is_role(to));
            let ruling = ruling.score(effective, stranger && !allowed);
            ruling.apply(effective, copy);
        }
    }

    /// What holds for each recipient.
    async fn copies(&self, recipients: &[mailcore::envelope::Recipient]) -> Copies {
        let mut copies = Copies::default();
        for (place, recipient) in recipients.iter().enumerate() {
            if place % IN_ONE_TURN == IN_ONE_TURN - 1 {
                tokio::task::yield_now().await;
            }
            let effective = self.settings.of_recipient(&recipient.address).await;
            let same = |it: &Effective| it.is_same(&effective);
            let known = copies.distinct.iter().position(same);
            copies.of.push(known.unwrap_or(copies.distinct.len()));
            if known.is_none() {
                copies.distinct.push(effective);
            }
        }
        copies
    }
}

/// What holds for the recipients of a message.
#[derive(Default)]
struct Copies {
    distinct: Vec<Effective>,
    /// For each recipient, which of them.
    of: Vec<usize>,
}

impl Asking<'_> {
    /// Whether what an earlier stage said is to be acted on at this one: because
    /// it was to wait, or because the recipient has it otherwise than all.
    fn is_due(&self, judged: &Judged) -> bool {
        if judged.stage >= self.stage || judged.recipient.is_some() {
            return false;
        }
        let reaction = self.reaction(&self.effective, judged);
        if reaction.at == Some(self.stage) {
            return true;
        }
        let Some(global) = &self.global else {
            return false;
        };
        let late = reaction.at.is_some_and(|at| at > self.stage);
        !late && reaction.act != self.reaction(global, judged).act
    }

    fn reaction(&self, effective: &Effective, judged: &Judged) -> Reaction {
        effective.reaction(judged.test, judged.result, judged.shipped)
    }

    /// Does at once what can be done at once.
    fn act(&self, said: &[Judged], pause: &mut Duration) -> Option<Verdict> {
        let memory = &self.look.session.memory;
        let recipient = self.look.recipient;
        for judged in said.iter().filter(|it| it.concerns(recipient)) {
            let reaction = self.reaction(&self.effective, judged);
            let now = reaction.at.is_none_or(|at| at <= self.stage);
            if !now || !counts(judged, judged::is_allowed(memory, recipient)) {
                continue;
            }
            let unbending = recipient.is_some_and(is_role) && !is_firm(judged.class);
            match reaction.act {
                Act::Accept => judged::allow(memory, self.stage, recipient),
                Act::Delay(more) => *pause = pause.saturating_add(more),
                Act::Defer => return Some(Verdict::Defer(later(judged))),
                Act::Reject | Act::Disconnect if unbending => {}
                Act::Reject => return Some(Verdict::Reject(refusal(judged))),
                Act::Disconnect if self.is_of_one(judged) => {
                    return Some(Verdict::Reject(refusal(judged)));
                }
                Act::Disconnect => return Some(Verdict::Disconnect(refusal(judged))),
                // These need a message.
                Act::None | Act::Tag | Act::Quarantine | Act::Discard => {}
            }
        }
        None
    }

    /// What one recipient has said of it, or has set for itself, must not end the
    /// session for the others.
    fn is_of_one(&self, judged: &Judged) -> bool {
        let Some(global) = &self.global else {
            return false;
        };
        judged.recipient.is_some() || self.reaction(global, judged).act != Act::Disconnect
    }
}

/// Whether a result is held against mail that somebody lets through.
pub(super) fn counts(judged: &Judged, allowed: bool) -> bool {
    !allowed || !matches!(judged.class, TestClass::Spam | TestClass::Identity)
}

/// Whether a result of this class is held against mail to those who must hear
/// complaints: it is about no likeness to spam.
pub(super) fn is_firm(class: TestClass) -> bool {
    !matches!(class, TestClass::Spam | TestClass::Identity)
}

/// Addresses that must hear complaints, which quote what they are about.
fn is_role(recipient: &Address) -> bool {
    ["postmaster", "abuse"]
        .iter()
        .any(|role| recipient.local_part().eq_ignore_ascii_case(role))
}

/// Delivery not authorized (RFC 3463 section 3.8).
pub(super) fn refusal(judged: &Judged) -> Status {
    Status::permanent(7, 1, words(judged))
}

pub(super) fn later(judged: &Judged) -> Status {
    Status::transient(7, 1, words(judged))
}

fn words(judged: &Judged) -> String {
    match judged.detail.as_str() {
        "" => format!("refused for {} {}", judged.test, judged.result),
        detail => detail.to_owned(),
    }
}
