//! A filter of one's own: what the application knows decides what comes in. Mail
//! for customers' addresses is taken from customers alone, and marked with their
//! contract; programs are not taken from anybody.

use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;

use async_trait::async_trait;
use mailcore::address::{Address, ReversePath};
use mailcore::plan::{Disposition, Edit, Plan};
use mailcore::seams::{Filter, FilterSession, IncomingMail, Verdict};
use mailcore::server::{RunningServer, Server, StartError};
use mailcore::status::Status;
use mailcore_smtp::server::Smtp;

/// Contracts by the customers' addresses: a table of the application's.
#[derive(Debug)]
struct Customers(HashMap<Address, &'static str>);

impl Customers {
    fn contract(&self, sender: &ReversePath) -> Option<&'static str> {
        self.0.get(&sender.address()?.folded()).copied()
    }
}

#[async_trait]
impl Filter for Customers {
    fn name(&self) -> &str {
        "customers"
    }

    /// The cheapest place to refuse: before the message is sent.
    async fn rcpt(&self, _: &FilterSession, from: &ReversePath, to: &Address) -> Verdict {
        if to.local_part() == "support" && self.contract(from).is_none() {
            let text = "support is for customers; write to info@";
            return Verdict::Reject(Status::permanent(7, 1, text));
        }
        Verdict::Continue
    }

    async fn message(&self, _: &FilterSession, mail: &IncomingMail<'_>, plan: &mut Plan) {
        let is_program = |name: &[u8]| name.to_ascii_lowercase().ends_with(b".exe");
        let mut names = mail
            .summary
            .parts
            .iter()
            .filter_map(|part| part.content.file_name());
        if names.any(is_program) {
            for recipient in &mut plan.recipients {
                let status = Status::permanent(7, 1, "we take no programs");
                recipient.disposition = Disposition::Reject(status);
            }
        }
        if let Some(contract) = self.contract(&mail.envelope.reverse_path) {
            for recipient in &mut plan.recipients {
                let (name, value) = ("X-Contract".to_owned(), contract.to_owned());
                recipient.edits.push(Edit::AddHeader { name, value });
            }
        }
    }
}

async fn start(address: &str) -> Result<RunningServer, StartError> {
    let ann = Address::parse("ann@shop.test").map(|it| it.folded());
    let customers = Customers(ann.into_iter().map(|it| (it, "gold")).collect());
    let take = |mail: mailcore::intake::ReceivedMail| async move {
        println!("{}", String::from_utf8_lossy(&mail.message));
        Ok(())
    };
    Server::builder("mx.desk.test")
        .filter(Arc::new(customers))
        .deliver_to("support@desk.test", take)
        .deliver_to("info@desk.test", take)
        .listen(address, Smtp::mx())
        .start()
        .await
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = start("127.0.0.1:2525").await?;
    tokio::signal::ctrl_c().await?;
    server.shutdown().await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use mailcore::envelope::Envelope;

    /// What becomes of a message.
    async fn sent(server: &RunningServer, from: &str, to: &str, text: &str) -> String {
        let envelope = Envelope::new(
            ReversePath::Address(from.parse().unwrap()),
            [to.parse().unwrap()],
        );
        match server.submit(envelope, text.to_owned()).await {
            Ok(sent) => sent.outcome().await.unwrap().remove(0).status,
            Err(error) => error.to_string(),
        }
    }

    #[tokio::test]
    async fn support_is_for_customers_and_programs_are_for_nobody() {
        let server = start("127.0.0.1:0").await.unwrap();
        let text = "Subject: help\r\n\r\nPlease.\r\n";
        let program = "Content-Type: application/octet-stream; name=\"Run.EXE\"\r\n\r\nMZ\r\n";
        for (from, to, text, expected) in [
            ("ann@shop.test", "support@desk.test", text, "2.0.0"),
            ("eve@else.test", "support@desk.test", text, "customers"),
            ("eve@else.test", "info@desk.test", text, "2.0.0"),
            ("ann@shop.test", "info@desk.test", program, "no programs"),
        ] {
            let told = sent(&server, from, to, text).await;
            assert!(told.contains(expected), "{from} to {to}: {told}");
        }
        server.shutdown().await;
    }
}
