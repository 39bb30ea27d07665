//! Who sends too much, who guesses at addresses, and who sends from where he
//! should not: in words for the peer.

use std::sync::Arc;
use std::time::Duration;

use super::{Intake, Refusal, SessionInfo, SessionKind};
use crate::abuse::{Consequence, Excess, Limiter, Load, Sender, Tarpit};
use crate::access::ShieldedUsers;
use crate::address::ReversePath;
use crate::seams::FilterSession;
use crate::status::{Status, StatusClass};
use crate::wire::Tally;

impl SessionInfo {
    /// As the limiter counts it.
    fn sender(&self) -> Sender<'_> {
        let peer = self.filter.peer.map(|peer| peer.ip());
        let protocol = match self.filter.door {
            SessionKind::Mx => "smtp",
            SessionKind::Submission => "submission",
            SessionKind::Lmtp => "lmtp",
            SessionKind::Local => "local",
        };
        Sender::new(peer, protocol).logged_in(self.filter.identity.as_ref())
    }
}

impl Intake {
    /// With what this limiter says about who sends too much.
    #[must_use]
    pub fn limited_by(mut self, limiter: Arc<Limiter>) -> Self {
        self.limiter = Some(limiter);
        self
    }

    /// Whether a peer that a proxy speaks for is kept out.
    pub(super) fn keeps_out(&self, session: &FilterSession) -> Result<(), Refusal> {
        let banned = match (&self.limiter, session.peer) {
            (Some(limiter), Some(peer)) => limiter.keeps_out(peer.ip()),
            _ => false,
        };
        match banned {
            true => Err(closing(Status::transient(7, 0, "too much came from there"))),
            false => Ok(()),
        }
    }

    /// Whether so much may come. Mail from inside the process is not counted.
    pub(super) fn may_come(&self, session: &SessionInfo, load: Load) -> Result<(), Refusal> {
        match &self.limiter {
            Some(limiter) if session.filter.door != SessionKind::Local => limiter
                .may_send(&session.sender(), load)
                .map_err(|excess| refusal(&excess)),
            _ => Ok(()),
        }
    }

    /// So much comes, if it may; counted whatever becomes of it.
    pub(super) fn begins(&self, session: &SessionInfo, load: Load) -> Result<(), Refusal> {
        match &self.limiter {
            Some(limiter) if session.filter.door != SessionKind::Local => limiter
                .begin_to_send(&session.sender(), load)
                .map_err(|excess| refusal(&excess)),
            _ => Ok(()),
        }
    }

    /// A recipient was refused: what is said of it, unless it was one too many.
    pub(super) fn one_more_unknown(&self, session: &SessionInfo, refusal: Refusal) -> Refusal {
        let code = &refusal.status.code;
        // X.1.1 is a mailbox that there is none of (RFC 3463 section 3.2).
        let unknown = (code.class, code.subject, code.detail) == (StatusClass::Permanent, 1, 1);
        match &self.limiter {
            Some(limiter) if unknown => match limiter.unknown_recipient(&session.sender()) {
                Ok(()) => refusal,
                Err(status) => closing(status),
            },
            _ => refusal,
        }
    }

    /// Holds an answer back; not from those who are known, nor from mail that
    /// comes from inside the process.
    pub(super) async fn hold_back(
        &self,
        session: &FilterSession,
        wait: impl FnOnce(&Tarpit) -> Duration,
    ) {
        let wait = match &self.policy.tarpit {
            Some(tarpit) if !session.is_known() && session.peer.is_some() => wait(tarpit),
            _ => return,
        };
        if !wait.is_zero() {
            let clock = &self.parts.clock;
            clock.sleep_until(clock.monotonic().after(wait)).await;
        }
    }

    /// Whether mail of this sender comes from where his domain's mail comes
    /// from.
    pub(super) async fn check_shields(
        &self,
        session: &SessionInfo,
        reverse_path: &ReversePath,
    ) -> Result<(), Refusal> {
        let filter = &session.filter;
        let (Some(sender), Some(peer)) = (reverse_path.address(), filter.peer) else {
            return Ok(());
        };
        for shield in &self.policy.shields {
            let exempt = filter.identity.is_some() && shield.users == ShieldedUsers::Exempt;
            if exempt || !shield.is_about(sender.domain()) || shield.admits(peer.ip()).await {
                continue;
            }
            let domain = sender.domain();
            let why = format!("mail from {domain} is not taken from your address");
            return Err(Status::permanent(7, 1, why).into());
        }
        Ok(())
    }

    /// A session was ended for what its peer did wrong: one more error.
    pub fn session_ended_for_errors(&self, session: &SessionInfo) {
        if let Some(limiter) = &self.limiter {
            let turned_away = Tally::new(0, 1);
            limiter.did(&session.sender(), turned_away);
        }
    }
}

fn closing(status: Status) -> Refusal {
    Refusal {
        close: true,
        ..status.into()
    }
}

/// X.7.28 is a mail flood in IANA's registry of RFC 5248; SMTP says 452, or 552.
fn refusal(excess: &Excess) -> Refusal {
    let what = excess.rule.counted;
    let later = match excess.wait {
        Some(wait) => format!("too many {what}; try again in {} minutes", minutes(wait)),
        None => format!("too many {what}"),
    };
    match excess.rule.consequence {
        Consequence::Defer => Status::transient(7, 28, later).into(),
        Consequence::Reject => Status::permanent(7, 28, later).into(),
        Consequence::Disconnect | Consequence::Ban => closing(Status::transient(7, 28, later)),
        Consequence::CloseAccount => {
            let why = "this account sent too much and is closed; ask your postmaster";
            closing(Status::permanent(7, 1, why))
        }
    }
}

fn minutes(wait: Duration) -> u64 {
    wait.as_secs().div_ceil(60).max(1)
}
