//! Asking a host whether it knows a recipient: MAIL, RCPT, RSET, and no
//! message.

use std::sync::Arc;

use async_trait::async_trait;
use mailcore::address::{Domain, ReversePath};
use mailcore::envelope::{MailParams, Recipient};
use mailcore::event::TraceId;
use mailcore::message::Message;
use mailcore::queue::Origin;
use mailcore::seams::{DeliveryJob, RecipientCheck, RecipientQuery, Standing};
use mailcore::status::{EnhancedStatusCode, Status};
use mailcore::transcript::Transcript;

use super::connection::Connection;
use super::delivery::{Delivery, Wait};
use super::remote_agent::{RemoteAgent, Way};
use super::transaction::{
    ContentNeeds, OptionalParams, Stage, Transaction, TransactionResult, Unsent,
};

#[async_trait]
impl RecipientCheck for RemoteAgent {
    async fn check(&self, query: &RecipientQuery<'_>) -> Standing {
        let job = self.question(query);
        let way = Way::of(&job);
        if let Some(failure) = self.suspended(&way) {
            return Standing::NoAnswer(failure.status);
        }
        // One that breaks says nothing about the host: it is called afresh.
        if let Some(mut connection) = self.pool.take(&way).await {
            let standing = ask(&mut connection, &job).await;
            self.pool.park(&way, connection);
            if !matches!(standing, Standing::NoAnswer(_)) {
                return standing;
            }
        }
        let targets = match self.targets(&way).await {
            Ok(targets) => targets,
            Err(failure) => return Standing::NoAnswer(failure.status),
        };
        let delivery = Delivery::new(self, &job).await;
        let mut why = Status::transient(4, 1, "no host could be reached");
        for target in targets.iter().take(self.config.max_addresses) {
            match delivery.connect(target, Wait::UntilTheNext).await {
                Ok(mut connection) => {
                    let standing = ask(&mut connection, &job).await;
                    // The message that is asked for comes next.
                    self.pool.park(&way, connection);
                    match standing {
                        Standing::NoAnswer(status) => why = status,
                        said => return said,
                    }
                }
                Err(failure) => why = failure.status,
            }
        }
        Standing::NoAnswer(why)
    }
}

impl RemoteAgent {
    /// The job that the mail would be, without a message. Its sender is empty,
    /// so that a host that asks back has nobody to ask for.
    fn question(&self, query: &RecipientQuery<'_>) -> DeliveryJob {
        let now = self.seams.clock.now();
        DeliveryJob {
            trace: TraceId(self.seams.entropy.id(now)),
            reverse_path: ReversePath::Null,
            params: MailParams::default(),
            origin: Origin::Server,
            recipients: vec![Recipient::new(query.recipient.clone())],
            next_hop: query.next_hop.clone(),
            message: Message::from_bytes(""),
            findings: Arc::default(),
            received_at: now,
            agent: query.agent.clone(),
            transcript: Transcript::default(),
        }
    }
}

async fn ask(connection: &mut Connection, job: &DeliveryJob) -> Standing {
    let transaction = Transaction {
        reverse_path: job.reverse_path.clone(),
        params: job.params.clone(),
        recipients: job.recipients.clone(),
        size: None,
        needs: ContentNeeds::default(),
        by: None,
        optional: OptionalParams::LeftOut,
    };
    let results = connection.check(transaction).await;
    standing(results, &connection.host)
}

fn standing(results: TransactionResult, host: &Domain) -> Standing {
    let Unsent { failure, stage } = match results.into_iter().next() {
        Some(Ok(_)) => return Standing::Known,
        Some(Err(unsent)) => unsent,
        None => return Standing::NoAnswer(Status::transient(5, 0, "nobody was asked for")),
    };
    let Status { code, text } = failure.status;
    // What a host says to MAIL is about us, not about the recipient.
    let refused = failure
        .reply_code
        .is_some_and(|code| (500..600).contains(&code));
    match stage {
        Stage::Recipient if refused => {
            let permanent = EnhancedStatusCode::permanent(1, 1);
            let told = code.class == permanent.class && code.subject > 0;
            let code = if told { code } else { permanent };
            Standing::Unknown(Status::new(code, format!("{host} says: {text}")))
        }
        // No mail for it can be sent there: an address in UTF-8 to a host that
        // takes none.
        Stage::Before if code.class == EnhancedStatusCode::permanent(0, 0).class => {
            Standing::Unknown(Status::new(code, text))
        }
        _ => Standing::NoAnswer(Status::new(code, text)),
    }
}
