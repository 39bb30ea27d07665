//! One recipient's share of the batch: where each of its copies goes.

use super::{Apart, Leg, Refused, Settlement, ToFile};
use crate::address::Address;
use crate::batch::Append;
use crate::intake::file::cut;
use crate::intake::recipients::Target;
use crate::intake::tell::NAMED_RECIPIENTS;
use crate::intake::{After, Filing, MailboxTarget};
use crate::plan::{Action, Disposition, Quarantine, QuarantinePlace, RecipientPlan};
use crate::status::Status;

/// Copies with content of their own that are filed before the reply, since they
/// are held until then; what comes after goes through the queue.
const REWRITTEN_AT_ONCE: usize = 64;

impl Settlement<'_> {
    /// Decides one recipient's share of the batch.
    pub(super) async fn charge(&mut self, index: usize, targets: &[Target], plan: &RecipientPlan) {
        match &plan.disposition {
            Disposition::Reject(status) | Disposition::Defer(status) => {
                return self.refuse(index, status.clone());
            }
            Disposition::Discard => {
                self.aside("discarded", index, &[]);
                return self.take(index);
            }
            Disposition::Accept | Disposition::Quarantine(_) => {}
        }
        let prefix = self.version(self.version_of(index)).edited(&plan.edits);
        let apart = self.apart(&plan.disposition);
        let in_folder =
            |it: &Quarantine| matches!(it.place, QuarantinePlace::Folder | QuarantinePlace::Usual);
        let leg = |address: &Address| Leg {
            index,
            address: address.clone(),
            prefix: prefix.clone(),
            apart: apart.clone().map(Apart::Quarantined),
            sender: None,
        };
        if self.is_for_the_runner(index, plan) {
            return self.queue_whole(index, targets, prefix.clone());
        }
        self.aside("expanded", index, targets);
        for target in targets {
            let leg = leg(target.address());
            match target {
                Target::Mailbox(mailbox) if apart.is_some() => {
                    self.note_owner(&mailbox.address, &mailbox.account);
                    let in_folder = apart.as_ref().is_some_and(in_folder);
                    match in_folder && self.wants_folder(&mailbox.account).await {
                        true => self.file(leg, mailbox, plan).await,
                        false => self.queue(&leg),
                    }
                }
                Target::Mailbox(mailbox) if self.files_at_once => {
                    self.file(leg, mailbox, plan).await;
                }
                Target::Mailbox(_) if plan.actions.is_empty() => self.queue(&leg),
                Target::Mailbox(mailbox) => self.file(leg, mailbox, plan).await,
                Target::Queue { sender, .. } => {
                    let sender = sender.clone();
                    let leg = Leg { sender, ..leg };
                    if self.goes_on(&leg, plan).await {
                        self.queue(&leg);
                    }
                }
                Target::Nowhere(_) => self.take(index),
                Target::Hook { agent, .. } => {
                    if self.goes_on(&leg, plan).await {
                        self.hand_over(agent, leg).await;
                    }
                }
            }
        }
    }

    /// Notes for the message's event what a recipient became, unless that is
    /// only itself.
    fn aside(&mut self, what: &'static str, index: usize, targets: &[Target]) {
        let Some(recipient) = self.envelope.recipients.get(index) else {
            return;
        };
        let is_itself = |target: &Target| target.address().folded() == recipient.address.folded();
        if self.asides.len() >= NAMED_RECIPIENTS || matches!(targets, [one] if is_itself(one)) {
            return;
        }
        let mut text = recipient.address.to_string();
        for target in targets.iter().take(NAMED_RECIPIENTS) {
            text.push(' ');
            text.push_str(&target.address().to_string());
        }
        self.asides.push((what, text));
    }

    /// A sender who asked to be told of success is told by the queue's runner
    /// (RFC 3461 section 4.1), so that everything for this recipient goes
    /// through it.
    fn is_for_the_runner(&self, index: usize, plan: &RecipientPlan) -> bool {
        let asked = self
            .envelope
            .recipients
            .get(index)
            .is_some_and(|recipient| recipient.notify.success);
        let asked = asked && !self.envelope.reverse_path.is_null();
        // RFC 4865 section 4: held mail is not delivered before, here either.
        let hold_until = self.envelope.params.hold_until;
        let held_back = hold_until.is_some_and(|at| at > self.intake.parts.clock.now());
        (asked || held_back)
            && self.has_store()
            && plan.disposition == Disposition::Accept
            && plan.actions.is_empty()
    }

    async fn file(&mut self, leg: Leg, mailbox: &MailboxTarget, plan: &RecipientPlan) {
        let parts = &self.intake.parts;
        let mail = self.version(self.version_of(leg.index));
        let filing = Filing {
            commit: parts.commit.clone(),
            named: self.envelope.recipients.get(leg.index),
            findings: &self.findings,
            session: Some(&self.session.filter),
            ..Filing::new(parts.rules.as_deref(), &self.envelope.params)
        };
        let filed = filing.file(mail, mailbox, plan).await;
        let content = mail.message.content();
        let rewritten = |it: &&Append| !it.message.message.content().is_same(content);
        let rewritten = filed.appends.iter().filter(rewritten).count();
        self.rewritten += rewritten;
        if self.rewritten >= REWRITTEN_AT_ONCE {
            self.files_at_once = false;
        }
        if let Some(status) = filed.refused {
            // The recipient's rules are asked again by the queue, the filters
            // are not: what they refused must not slip in that way.
            let apart = match plan.actions.is_empty() {
                true => leg.apart.clone(),
                false => Self::held_unless_quarantined(leg.apart.clone()),
            };
            let mut refused = Refused::new(Leg { apart, ..leg }, status);
            refused.instead = filed.instead.map(|letter| After {
                letters: vec![letter],
                ..filed.after
            });
            self.refused.push(refused);
            return;
        }
        self.filing.push(ToFile {
            leg,
            appends: filed.appends.len(),
            onward: filed.onward,
            after: filed.after,
        });
        self.batch.appends.extend(filed.appends);
    }

    /// Does what the plan says of a copy that leaves this server: true when it
    /// goes to its address at all. There are no folders over there, so that
    /// filing it means sending it.
    async fn goes_on(&mut self, leg: &Leg, plan: &RecipientPlan) -> bool {
        let rejected = plan.actions.iter().find_map(|action| match action {
            Action::Reject { reason } => Some(reason),
            _ => None,
        });
        if let Some(reason) = rejected {
            let held = Leg {
                apart: Self::held_unless_quarantined(leg.apart.clone()),
                ..leg.clone()
            };
            self.refused
                .push(Refused::new(held, Status::permanent(7, 1, cut(reason))));
            return false;
        }
        let mut goes_on = plan.actions.is_empty();
        for action in &plan.actions {
            match action {
                // It has no body of its own there, and no form.
                Action::Redirect { to, .. } => {
                    let leg = Leg {
                        address: to.clone(),
                        sender: self.sender_to(to).await,
                        ..leg.clone()
                    };
                    self.queue(&leg);
                }
                Action::File { .. } => goes_on = true,
                Action::Discard | Action::Reject { .. } => self.take(leg.index),
            }
        }
        goes_on
    }
}
