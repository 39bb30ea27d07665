//! Actions as they come, and what they come to (RFC 5228 section 2.10).

use super::{Context, Fault};
use crate::engine::{Action, Filed, Outcome, Place};

/// What an action does to the implicit keep (RFC 5228 section 2.10.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// Cancels it.
    Cancelled,
    /// Leaves it.
    Left,
}

impl Context<'_> {
    /// Cancels the implicit keep, or not.
    pub(crate) fn keep(&mut self, keep: Keep) {
        if keep == Keep::Cancelled {
            self.implicit_keep = false;
        }
    }

    /// Adds an action. The same copy is filed and sent once (RFC 5228 section 2.10.3),
    /// one whose header was edited since being the same (RFC 5293 section 7).
    pub(crate) fn act(&mut self, action: Action, keep: Keep) -> Result<(), Fault> {
        self.look(self.actions.len() * 16)?;
        self.conflicts(&action)?;
        self.keep(keep);
        let inbox = self.environment.inbox.clone();
        for earlier in &mut self.actions {
            if same(earlier, &action, &inbox) {
                take_flags(earlier, &action);
                return Ok(());
            }
        }
        self.limited(&action)?;
        self.actions.push(action);
        Ok(())
    }

    /// The actions so far.
    pub(crate) fn actions(&self) -> &[Action] {
        &self.actions
    }

    /// RFC 5429 section 2.3: a refusal goes with nothing that takes the mail.
    fn conflicts(&self, action: &Action) -> Result<(), Fault> {
        let refuses = |action: &Action| matches!(action, Action::Reject(_));
        let takes = |action: &Action| {
            matches!(
                action,
                Action::Keep { .. }
                    | Action::FileInto(_)
                    | Action::Redirect(_)
                    | Action::Vacation(_)
                    | Action::Snooze(_)
            )
        };
        if refuses(action) && self.actions.iter().any(refuses) {
            return Err(Fault::new("the mail is refused twice: refuse it once"));
        }
        if (refuses(action) && self.actions.iter().any(takes))
            || (takes(action) && self.actions.iter().any(refuses))
        {
            return Err(Fault::new(
                "mail that is refused can't be kept, filed, sent on or answered as well",
            ));
        }
        Ok(())
    }

    fn limited(&self, action: &Action) -> Result<(), Fault> {
        let count =
            |is: fn(&Action) -> bool| self.actions.iter().filter(|action| is(action)).count();
        let over = |what: &str, most: usize| {
            Err(Fault::new(format!(
                "the script has more than {most} {what} for one message"
            )))
        };
        match action {
            _ if self.actions.len() >= self.limits.actions => over("actions", self.limits.actions),
            Action::Redirect(_)
                if count(|action| matches!(action, Action::Redirect(_)))
                    >= self.limits.redirects =>
            {
                over("redirects", self.limits.redirects)
            }
            Action::Notify(_)
                if count(|action| matches!(action, Action::Notify(_)))
                    >= self.limits.notifications =>
            {
                over("notices", self.limits.notifications)
            }
            _ => Ok(()),
        }
    }

    /// What the run came to.
    pub(super) fn outcome(&mut self) -> Result<Outcome, Fault> {
        if self.implicit_keep {
            let form = self.form();
            let flags = self.flags.clone();
            let keep = Action::Keep { flags, form };
            self.actions.push(keep);
        }
        Ok(Outcome {
            actions: std::mem::take(&mut self.actions),
            forms: std::mem::take(&mut self.forms),
            seen: std::mem::take(&mut self.seen),
            implicit_keep: self.implicit_keep,
            stopped: self.stopped,
        })
    }
}

/// Where an action files the message.
fn filed<'a>(action: &'a Action, inbox: &'a str) -> Option<(&'a str, Option<&'a Place>)> {
    match action {
        Action::Keep { .. } => Some((inbox, None)),
        Action::FileInto(Filed { place, .. }) => Some((&place.mailbox, Some(place))),
        _ => None,
    }
}

/// Whether the later action would do what the earlier one does.
fn same(earlier: &Action, later: &Action, inbox: &str) -> bool {
    match (earlier, later) {
        (Action::Redirect(a), Action::Redirect(b)) => a.to == b.to && a.list == b.list,
        (Action::Discard, Action::Discard) => true,
        _ => match (filed(earlier, inbox), filed(later, inbox)) {
            (Some((a, a_place)), Some((b, b_place))) => {
                let target = |place: Option<&Place>| {
                    place.map_or((None, None), |place| {
                        (place.mailbox_id.clone(), place.special_use.clone())
                    })
                };
                same_mailbox(a, b) && target(a_place) == target(b_place)
            }
            _ => false,
        },
    }
}

/// INBOX alone has no case (RFC 9051 section 5.1).
fn same_mailbox(a: &str, b: &str) -> bool {
    a == b || (a.eq_ignore_ascii_case("INBOX") && b.eq_ignore_ascii_case("INBOX"))
}

fn flags(action: &mut Action) -> Option<&mut Vec<String>> {
    match action {
        Action::Keep { flags, .. } => Some(flags),
        Action::FileInto(filed) => Some(&mut filed.place.flags),
        _ => None,
    }
}

/// The copy gets the flags that were said last (RFC 5232 section 3).
fn take_flags(earlier: &mut Action, later: &Action) {
    let mut later = later.clone();
    if let (Some(into), Some(from)) = (flags(earlier), flags(&mut later)) {
        std::mem::swap(into, from);
    }
}
