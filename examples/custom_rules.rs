//! Rules of one's own: what becomes of mail once it is in. Tickets' mail is filed by
//! the ticket's number, and who writes to support hears at once that it came, once a
//! day.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use mailcore::address::ReversePath;
use mailcore::mailbox::{Flags, MailboxName};
use mailcore::plan::{Action, Form};
use mailcore::seams::{Letter, Rules, RulesInput, Ruling, StateKey};
use mailcore::testing::matchers::{subject, to};
use mailcore::testing::{KitError, MemoryServer};
use mailcore_smtp::server::Smtp;
use mailcore_store::MemoryStore;

#[derive(Debug)]
struct Tickets;

#[async_trait]
impl Rules for Tickets {
    async fn evaluate(&self, input: &RulesInput<'_>) -> Ruling {
        let subject = input
            .summary
            .envelope
            .subject
            .as_deref()
            .unwrap_or_default();
        let subject = String::from_utf8_lossy(subject);
        let number = subject.split('#').nth(1).unwrap_or_default();
        let number: String = number.chars().take_while(char::is_ascii_digit).collect();
        if let Ok(mailbox) = MailboxName::parse(&format!("Tickets/{number}")) {
            let (flags, create, form) = (Flags::NONE, true, Form::Unchanged);
            let file = Action::File {
                mailbox,
                flags,
                create,
                form,
            };
            return Ruling::actions([file]);
        }
        match input.reverse_path.address() {
            Some(sender) if input.recipient.local_part() == "support" => {
                let text =
                    "Subject: It is here\r\nAuto-Submitted: auto-replied\r\n\r\nThank you.\r\n";
                let tomorrow = input.received_at.after(Duration::from_secs(24 * 3_600));
                let letter = Letter::new(ReversePath::Null, [sender.clone()], text)
                    .once(StateKey::new("thanks", &sender.to_string()), tomorrow);
                Ruling::keep().with_letter(letter)
            }
            _ => Ruling::keep(),
        }
    }
}

/// A server in memory; `Server::builder` has the same `rules`.
async fn start() -> Result<MemoryServer, KitError> {
    MemoryServer::builder("desk.test")
        .stores(MemoryStore::with)
        .with(|it| it.rules(Arc::new(Tickets)))
        .serve(Smtp::mx())
        .start()
        .await
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = start().await?;
    let (ann, support) = ("ann@desk.test", "support@desk.test");
    server
        .send(ann, support, "Subject: help\n\nPlease.")
        .await?;
    let thanks = to(ann).and(subject("It is here"));
    println!("{}", server.expect_mail(thanks).await.text);
    for text in ["Subject: again\n\nPlease.", "Subject: Re: #17\n\nMore."] {
        server.send(ann, support, text).await?;
    }
    let filed = server.mailbox(support, "Tickets/17")?.count().await?;
    let thanked = server.mailbox(ann, "INBOX")?.count().await?;
    assert_eq!((filed, thanked), (1, 1));
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn tickets_are_filed_and_senders_thanked_once() {
        super::main().unwrap();
    }
}
