//! Answers a session's questions: to intake for mail, to the authenticator for
//! proofs. The half of the server that awaits.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use mailcore::event::SessionEvents;
use mailcore::intake::{self, Intake, Refusal, SessionInfo};
use mailcore::net::Host;
use mailcore::sasl::{Finding, Inquiry};
use mailcore::seams::{AuthError, Authenticator, Clock, FilterSession, Trust};
use mailcore::status::{Status, StatusClass};
use mailcore::transcript::Transcript;

use super::config::Kind;
use super::question::{Answer, NewTransaction, Question};
use super::session::Session;
use crate::command::Rcpt;

/// One connection's answers.
#[derive(Debug)]
pub(super) struct SessionHost {
    pub(super) kind: Kind,
    /// Whom the listener is for.
    pub(super) peers: Trust,
    pub(super) intake: Arc<Intake>,
    pub(super) authenticator: Option<Arc<dyn Authenticator>>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) transaction: Option<intake::Transaction>,
    /// Recipients named so far, in all transactions.
    pub(super) recipients: u32,
    /// Tells who logged in.
    pub(super) events: SessionEvents,
    /// For whom the filters know the peer.
    pub(super) known: Known,
    /// What is said, where it is kept.
    pub(super) transcript: Option<Transcript>,
}

/// The peer as the filters were told of it last; they are told of its end as
/// well.
#[derive(Debug, Clone, Default)]
pub(super) struct Known(Arc<Mutex<Option<FilterSession>>>);

impl Known {
    fn replace(&self, facts: &FilterSession) -> Option<FilterSession> {
        self.lock().replace(facts.clone())
    }

    fn last(&self) -> Option<FilterSession> {
        self.lock().clone()
    }

    /// The last one, once.
    pub(super) fn take(&self) -> Option<FilterSession> {
        self.lock().take()
    }

    fn lock(&self) -> MutexGuard<'_, Option<FilterSession>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Host<Session> for SessionHost {
    async fn answer(&mut self, question: Question) -> Answer {
        let done = match question {
            Question::Connect(facts) => return self.connect(&facts).await,
            Question::Greet(facts) => {
                self.transaction = None;
                self.known.replace(&facts);
                let greeted = self.intake.helo(&facts).await;
                self.tell_found(&facts, greeted.as_ref().err());
                greeted
            }
            Question::Authenticate { inquiry, facts } => {
                return self.authenticate(&inquiry, &facts).await;
            }
            Question::Mail(new) => self.mail(*new).await,
            Question::Rcpt(rcpt) => self.rcpt(rcpt).await,
            Question::Data => match &mut self.transaction {
                Some(transaction) => transaction.data().await,
                None => Err(no_transaction()),
            },
            Question::Chunk(octets) => match &mut self.transaction {
                Some(transaction) => transaction.write(octets).await,
                None => Err(no_transaction()),
            },
            Question::Finish => return self.finish().await,
            Question::Abort(refused) => {
                self.count_if_turned_away(refused.as_ref());
                match (self.transaction.take(), refused) {
                    (Some(transaction), Some(status)) => transaction.refused(&status),
                    (None, Some(status)) => self.tell_refused(&status),
                    (_, None) => {}
                }
                Ok(())
            }
            Question::Verify(text) => match self.intake.verify(&text).await {
                Ok(address) => return Answer::Addresses(vec![address]),
                Err(refusal) => Err(refusal),
            },
            Question::Expand(text) => match self.intake.expand(&text).await {
                Ok(addresses) => return Answer::Addresses(addresses),
                Err(refusal) => Err(refusal),
            },
            Question::StartQueue { node, facts } => {
                match self.intake.start_queue(&facts, &node).await {
                    Ok(count) => return Answer::Started(count),
                    Err(refusal) => Err(refusal),
                }
            }
            Question::Vouch(login) => match self.intake.known_login(&login).await {
                Ok(identity) => return Answer::Authenticated(identity),
                Err(refusal) => Err(refusal),
            },
        };
        match done {
            Ok(()) => Answer::Proceed,
            Err(refusal) => self.refuse(refusal).await,
        }
    }
}

impl SessionHost {
    /// A peer has connected, or a proxy has said for whom it speaks.
    async fn connect(&mut self, facts: &FilterSession) -> Answer {
        self.transaction = None;
        let before = self.known.replace(facts);
        if let Some(before) = before {
            self.intake.disconnect(&before).await;
        }
        self.events.speak_for(facts.peer);
        let trust = match (self.peers, facts.peer) {
            (Trust::Trusted, _) => Trust::Trusted,
            (Trust::Stranger, Some(peer)) => self.intake.trust(peer.ip()).await,
            (Trust::Stranger, None) => Trust::Stranger,
        };
        let mut facts = facts.clone();
        facts.trust = trust;
        let welcome = self.welcome(&facts).await;
        self.tell_found(&facts, welcome.as_ref().err());
        match welcome {
            Ok(()) => Answer::Welcome(trust),
            Err(refusal) => self.refuse(refusal).await,
        }
    }

    /// A client that has proved to its proxy who it is logs in with that.
    async fn welcome(&mut self, facts: &FilterSession) -> Result<(), Refusal> {
        self.intake.connect(facts).await?;
        if let Some(identity) = &facts.identity {
            self.intake.auth(facts).await?;
            self.events.logged_in(identity);
        }
        Ok(())
    }

    /// A peer is turned away for what filters found of it. Those who are banned
    /// come again and again, and are not told of each time.
    fn tell_found(&self, facts: &FilterSession, refusal: Option<&Refusal>) {
        if let Some(refusal) = refusal
            && !facts.memory.findings().is_empty()
        {
            self.tell_refused(&refusal.status);
        }
    }

    /// The session has refused what came, outside of a transaction.
    fn tell_refused(&self, status: &Status) {
        if let Some(session) = self.session() {
            self.intake.tell_session_refused(&session, status);
        }
    }

    /// A session that ends itself says X.7.0 or X.5.0.
    fn count_if_turned_away(&self, refused: Option<&Status>) {
        let Some(Status { code, .. }) = refused else {
            return;
        };
        let turned_away = matches!(
            (code.class, code.subject, code.detail),
            (StatusClass::Transient, 7, 0) | (StatusClass::Permanent, 5, 0)
        );
        if turned_away && let Some(session) = self.session() {
            self.intake.session_ended_for_errors(&session);
        }
    }

    fn session(&self) -> Option<SessionInfo> {
        Some(SessionInfo {
            filter: self.known.last()?,
            with: match self.kind {
                Kind::Mx | Kind::Submission => "SMTP",
                Kind::Lmtp => "LMTP",
            },
            transcript: self.transcript.clone(),
        })
    }

    async fn mail(&mut self, new: NewTransaction) -> Result<(), Refusal> {
        self.transaction = None;
        let filter = FilterSession::clone(&new.session);
        let session = SessionInfo {
            filter,
            with: new.protocol,
            transcript: new.transcript,
        };
        let transaction = self
            .intake
            .mail(session, new.mail.reverse_path, new.mail.params)
            .await?;
        self.transaction = Some(transaction);
        Ok(())
    }

    async fn rcpt(&mut self, rcpt: Rcpt) -> Result<(), Refusal> {
        match &mut self.transaction {
            Some(transaction) => {
                self.recipients = self.recipients.saturating_add(1);
                transaction.hold_back(self.recipients).await;
                transaction
                    .rcpt(rcpt.forward_path, rcpt.notify, rcpt.original)
                    .await
            }
            None => Err(no_transaction()),
        }
    }

    async fn finish(&mut self) -> Answer {
        let Some(transaction) = self.transaction.take() else {
            return self.refuse(no_transaction()).await;
        };
        match transaction.finish().await {
            Err(refusal) => self.refuse(refusal).await,
            Ok(accepted) if self.kind == Kind::Lmtp => Answer::AcceptedFor(accepted.outcomes),
            Ok(accepted) => match accepted.overall() {
                status if status.code.class == StatusClass::Success => {
                    Answer::Accepted(status.text)
                }
                status => Answer::Refuse(status),
            },
        }
    }

    async fn authenticate(&mut self, inquiry: &Inquiry, facts: &FilterSession) -> Answer {
        let Some(authenticator) = &self.authenticator else {
            return Answer::Refuse(Status::permanent(7, 0, "nobody can log in here"));
        };
        let identity = match inquiry.put_to(&**authenticator).await {
            Ok(Finding::Identity(identity)) => identity,
            Ok(Finding::Credentials(credentials)) => return Answer::Credentials(credentials),
            Ok(_) => return Answer::NotAuthenticated(AuthError::Invalid),
            Err(error) => {
                tracing::info!(peer = ?inquiry.peer(), %error, "AUTH failed");
                self.events.refused(&error);
                return Answer::NotAuthenticated(error);
            }
        };
        let mut facts = facts.clone();
        facts.identity = Some(identity.clone());
        match self.intake.auth(&facts).await {
            Ok(()) => {
                self.events.logged_in(&identity);
                Answer::Authenticated(identity)
            }
            Err(refusal) => self.refuse(refusal).await,
        }
    }

    async fn refuse(&mut self, refusal: Refusal) -> Answer {
        if let Some(delay) = refusal.delay {
            self.clock
                .sleep_until(self.clock.monotonic().after(delay))
                .await;
        }
        if refusal.close {
            Answer::Disconnect(refusal.status)
        } else {
            Answer::Refuse(refusal.status)
        }
    }
}

/// The session asks for a transaction before its parts, so that nobody hears
/// this.
fn no_transaction() -> Refusal {
    Status::transient(3, 0, "no transaction is open; begin again").into()
}
