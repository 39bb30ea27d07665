//! A small message sent right now, to see whether a way out works.

use mailcore::address::{Address, ReversePath};
use mailcore::envelope::{MailParams, Recipient};
use mailcore::event::TraceId;
use mailcore::message::{DateTime, HeaderWriter, Message};
use mailcore::queue::Origin;
use mailcore::seams::{DeliveryAgent, DeliveryJob, NextHop};
use mailcore::status::{Failure, Outcome, Status};
use mailcore::transcript::Transcript;

use super::remote_agent::RemoteAgent;

/// What is to be tried.
#[derive(Debug, Clone)]
pub struct RelayTest {
    /// From whom.
    pub from: Address,
    /// For whom; gets a real message.
    pub to: Address,
    /// The agent's name in the route, `smtp` where there is none.
    pub agent: String,
    /// Where it is handed over.
    pub next_hop: NextHop,
    /// Takes what is said, as it is said.
    pub transcript: Transcript,
}

impl RemoteAgent {
    /// Sends a small message at once, past the queue, and tells what became of
    /// it.
    pub async fn relay_test(&self, test: RelayTest) -> Outcome {
        let now = self.seams.clock.now();
        let id = self.seams.entropy.id(now);
        let mut header = HeaderWriter::new();
        header
            .date("Date", DateTime::utc(now))
            .structured("From", format!("<{}>", test.from))
            .structured("To", format!("<{}>", test.to))
            .text("Subject", "Test message")
            .structured("Message-ID", format!("<{id:032x}@{}>", self.hostname))
            .structured("MIME-Version", "1.0")
            // RFC 3834 section 5: nothing is to answer it.
            .structured("Auto-Submitted", "auto-generated");
        let mut octets = header.finish();
        let text = format!(
            "\r\nThis message was sent to test the way of mail from {}.\r\nNothing needs to be done.\r\n",
            self.hostname
        );
        octets.extend_from_slice(text.as_bytes());
        let job = DeliveryJob {
            trace: TraceId(id),
            reverse_path: ReversePath::Address(test.from),
            params: MailParams::default(),
            origin: Origin::Server,
            recipients: vec![Recipient::new(test.to)],
            next_hop: test.next_hop,
            message: Message::from_bytes(octets),
            findings: std::sync::Arc::default(),
            received_at: now,
            agent: test.agent.into(),
            transcript: test.transcript,
        };
        let outcomes = self.deliver(job).await;
        outcomes.into_iter().next().unwrap_or_else(|| {
            let status = Status::transient(5, 0, "the test came to nothing");
            Outcome::Deferred(Failure::local(status))
        })
    }
}
