//! The host of the transcripts: answers by the look of the addresses.

use mailcore::account::{AccountId, Identity, Secret};
use mailcore::address::{Address, ForwardPath};
use mailcore::envelope::MailParams;
use mailcore::sasl::Inquiry;
use mailcore::seams::{
    AuthError, CredentialRequest, Credentials, Labelled, Proof, ScramKeys, ScramPair, Trust,
};
use mailcore::status::{EnhancedStatusCode, Status};
use mailcore_smtp::command::Rcpt;
use mailcore_smtp::server::{Answer, Kind, NewTransaction, Question};

/// Says yes, but to: `refused@` and `later@` as senders; `nobody...@`,
/// `full@` and, from strangers, anybody at `elsewhere.test` as recipients;
/// messages that hold `REFUSE` or `STOP`. Knows the user `tim`.
pub(crate) struct Host {
    kind: Kind,
    trusted: bool,
    /// The messages taken, and transactions dropped, one line each.
    pub(crate) taken: Vec<String>,
    transaction: Option<(NewTransaction, Vec<Rcpt>, Vec<u8>)>,
}

impl Host {
    pub(crate) fn new(kind: Kind, trusted: bool) -> Self {
        Self {
            kind,
            trusted,
            taken: Vec::new(),
            transaction: None,
        }
    }

    pub(crate) fn answer(&mut self, question: Question) -> Answer {
        match question {
            Question::Greet(facts) => {
                self.transaction = None;
                match facts.helo.as_deref() {
                    Some("refused.test") => refuse(Status::permanent(7, 1, "I know you")),
                    _ => Answer::Proceed,
                }
            }
            Question::Authenticate { inquiry, .. } => authenticate(&inquiry),
            Question::Mail(new) => {
                let sender = new.mail.reverse_path.to_string();
                self.transaction = Some((*new, Vec::new(), Vec::new()));
                match sender.split('@').next() {
                    Some("refused") => refuse(Status::permanent(7, 1, "Not from you")),
                    Some("later") => refuse(Status::transient(7, 1, "Come back later")),
                    _ => Answer::Proceed,
                }
            }
            Question::Rcpt(rcpt) => self.rcpt(rcpt),
            Question::Chunk(octets) => {
                let (_, _, content) = self
                    .transaction
                    .as_mut()
                    .expect("a chunk without transaction");
                assert!(octets.len() <= 64 * 1024, "a chunk is too large");
                content.extend_from_slice(&octets);
                match String::from_utf8_lossy(content).contains("STOP") {
                    true => refuse(Status::transient(3, 1, "The disk is full")),
                    false => Answer::Proceed,
                }
            }
            Question::Finish => self.finish(),
            Question::Connect(_) if self.trusted => Answer::Welcome(Trust::Trusted),
            Question::Verify(text) => match text.as_str() {
                "tim" => Answer::Addresses(vec![Address::parse("tim@y.test").unwrap()]),
                _ => refuse(Status::permanent(1, 1, "No such user")),
            },
            Question::Expand(_) => Answer::Addresses(vec![
                Address::parse("a@y.test").unwrap(),
                Address::parse("b@y.test").unwrap(),
            ]),
            Question::StartQueue { node, .. } => match node.as_str() {
                "relayed.test" => Answer::Started(2),
                "empty.test" => Answer::Started(0),
                "broken.test" => refuse(Status::transient(3, 0, "The queue is broken")),
                _ => refuse(Status::permanent(7, 1, "Not relayed here")),
            },
            Question::Vouch(login) if login == "tim" => Answer::Authenticated(Identity {
                account: AccountId::new("tim"),
                login: "tim".into(),
            }),
            Question::Vouch(_) => refuse(Status::permanent(1, 1, "No such user")),
            Question::Abort(_) => {
                self.transaction = None;
                Answer::Proceed
            }
            _ => Answer::Proceed,
        }
    }

    fn rcpt(&mut self, rcpt: Rcpt) -> Answer {
        let (new, recipients, _) = self.transaction.as_mut().expect("RCPT without transaction");
        if let ForwardPath::Address(address) = &rcpt.forward_path {
            if address.local_part().starts_with("nobody") {
                return refuse(Status::permanent(1, 1, "No such user"));
            }
            if address.local_part() == "full" {
                return refuse(Status::transient(2, 2, "Mailbox full"));
            }
            if address.domain().as_str() == "elsewhere.test" && new.session.identity.is_none() {
                return refuse(Status::permanent(7, 1, "Relaying denied"));
            }
        }
        recipients.push(rcpt);
        Answer::Proceed
    }

    fn finish(&mut self) -> Answer {
        let (new, recipients, content) =
            self.transaction.take().expect("an end without transaction");
        let text = String::from_utf8_lossy(&content);
        if text.contains("REFUSE") {
            return refuse(Status::permanent(7, 1, "Not this"));
        }
        let to: Vec<String> = recipients
            .iter()
            .map(|rcpt| format!("<{}>", rcpt.forward_path))
            .collect();
        let asked = times(&new.mail.params);
        self.taken.push(format!(
            "{} from=<{}> to={} helo={} login={}{asked} {:?}",
            new.protocol,
            new.mail.reverse_path,
            to.join(","),
            new.session.helo.as_deref().unwrap_or("-"),
            new.session
                .identity
                .as_ref()
                .map_or("-", |identity| &identity.login),
            text.replace("\r\n", "|"),
        ));
        if self.kind != Kind::Lmtp {
            return Answer::Accepted("queued".into());
        }
        let each = |rcpt: &Rcpt| match rcpt.forward_path.to_string().starts_with("over") {
            true => Status::permanent(2, 2, "Over quota"),
            false => Status::new(EnhancedStatusCode::success(1, 5), "Delivered"),
        };
        Answer::AcceptedFor(recipients.iter().map(each).collect())
    }
}

/// What was asked for beside a plain delivery.
fn times(params: &MailParams) -> String {
    let mut asked = String::new();
    if let Some(at) = params.hold_until {
        asked.push_str(&format!(" hold={}", at.secs()));
    }
    if let Some(by) = params.deliver_by {
        asked.push_str(&format!(" by={} {:?}", by.deadline.secs(), by.mode));
    }
    if params.priority.value() != 0 {
        asked.push_str(&format!(" priority={}", params.priority.value()));
    }
    if params.require_tls {
        asked.push_str(" tls");
    }
    asked
}

fn refuse(status: Status) -> Answer {
    Answer::Refuse(status)
}

/// Knows the passwords, and what SCRAM and CRAM-MD5 keep of them.
fn authenticate(inquiry: &Inquiry) -> Answer {
    let request = match inquiry {
        Inquiry::Credentials(request) => return credentials(request),
        Inquiry::Authenticate(request) => request,
        _ => return Answer::NotAuthenticated(AuthError::Invalid),
    };
    let tim = Answer::Authenticated(Identity {
        account: AccountId::new("tim"),
        login: "tim".into(),
    });
    match (request.login.as_str(), &request.proof) {
        ("tim", Proof::Password(password)) if password.expose() == b"tanstaaftanstaaf" => tim,
        ("tim", Proof::Verified(_)) => tim,
        (_, Proof::Bearer(token)) if token.expose() == b"vF9dft4qmTc2" => tim,
        ("", Proof::Certificate(_)) => tim,
        ("down", _) => Answer::NotAuthenticated(AuthError::Unavailable("secret detail".into())),
        _ => Answer::NotAuthenticated(AuthError::Invalid),
    }
}

fn credentials(request: &CredentialRequest) -> Answer {
    const PASSWORD: &[u8] = b"tanstaaftanstaaf";
    let (kind, iterations) = (request.kind, 4_096);
    if request.login != "tim" {
        let secret = Secret::new(b"of the server");
        let keys = ScramKeys::made_up(&secret, kind, &request.login, iterations);
        return Answer::Credentials(Credentials::Scram(keys));
    }
    let salt = b"salt of tim's".to_vec();
    Answer::Credentials(match ScramPair::derive(kind, PASSWORD, &salt, iterations) {
        Some(pair) => Credentials::Scram(ScramKeys {
            salt,
            iterations,
            pairs: vec![Labelled::only(pair)],
        }),
        None => Credentials::Passwords(vec![Labelled::only(Secret::new(PASSWORD))]),
    })
}
