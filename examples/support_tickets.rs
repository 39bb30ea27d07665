//! A support desk: each mail becomes a ticket, or a comment on the one that it
//! answers, and gets an answer that stays in its thread. Programs get none, so
//! that no two of them write to one another for ever (RFC 3834).

use std::collections::HashMap;
use std::error::Error;
use std::future::ready;
use std::sync::{Arc, Mutex, PoisonError};

use mailcore::address::ReversePath;
use mailcore::envelope::Envelope;
use mailcore::intake::{HookError, ReceivedMail};
use mailcore::message::{Header, HeaderWriter};
use mailcore::server::{RunningServer, Server, StartError};
use mailcore_smtp::server::Smtp;
use mailcore_store::MemoryStore;
use tokio::sync::mpsc;

const DESK: &str = "support@desk.test";

/// Tickets by the Message-IDs of their mail.
#[derive(Debug, Default)]
struct Tickets {
    by_id: HashMap<String, u32>,
    count: u32,
}

impl Tickets {
    /// The ticket that a mail is about: one that it answers, or a new one.
    fn take(&mut self, mail: &ReceivedMail) -> u32 {
        let own = message_id(mail);
        let mut about = references(mail).into_iter().chain([own.clone()]);
        let number = about.find_map(|id| self.by_id.get(&id).copied());
        let number = number.unwrap_or_else(|| {
            self.count += 1;
            self.count
        });
        self.by_id.insert(own, number);
        number
    }
}

fn message_id(mail: &ReceivedMail) -> String {
    let id = mail.summary.message_id().unwrap_or_default();
    String::from_utf8_lossy(id).into_owned()
}

/// The messages before it in its thread, oldest first.
fn references(mail: &ReceivedMail) -> Vec<String> {
    let before = mail.summary.references.iter().map(Vec::as_slice);
    let ids = before.chain(mail.summary.in_reply_to());
    ids.map(|id| String::from_utf8_lossy(id).into_owned())
        .collect()
}

/// Whether a person waits for an answer (RFC 3834 section 2): notices have no
/// sender, programs and lists say what they are.
fn is_from_a_person(mail: &ReceivedMail) -> bool {
    let header = Header::new(&mail.message);
    let is = |name: &str, values: &[&str]| {
        let value = header
            .first(name)
            .map(|field| field.value().to_ascii_lowercase());
        value.is_some_and(|it| values.iter().any(|known| it.starts_with(known.as_bytes())))
    };
    let automatic = header.first("Auto-Submitted").is_some() && !is("Auto-Submitted", &["no"]);
    let list = header.first("List-Id").is_some() || is("Precedence", &["bulk", "list", "junk"]);
    !mail.reverse_path.is_null() && !automatic && !list
}

/// The answer, in the thread of the question (RFC 5322 section 3.6.4).
fn answer(mail: &ReceivedMail, ticket: u32) -> Option<(Envelope, Vec<u8>)> {
    let to = mail
        .reverse_path
        .address()
        .filter(|_| is_from_a_person(mail))?;
    let mut thread = references(mail);
    thread.push(message_id(mail));
    // In-Reply-To names the last of References once more.
    thread.dedup();
    let thread: Vec<_> = thread.iter().map(|id| format!("<{id}>")).collect();
    let mut fields = HeaderWriter::new();
    fields.text("From", DESK);
    fields.addresses("To", [("", to)]);
    fields.text(
        "Subject",
        &format!("Re: {} [ticket {ticket}]", mail.subject()),
    );
    fields.structured("In-Reply-To", format_args!("<{}>", message_id(mail)));
    fields.structured("References", thread.join(" "));
    fields.text("Auto-Submitted", "auto-replied");
    let mut message = fields.finish();
    message.extend_from_slice(b"\r\nWe have your mail and will write again.\r\n");
    // From nobody: what can't be delivered is told to nobody.
    Some((Envelope::new(ReversePath::Null, [to.clone()]), message))
}

/// The desk: mail is a ticket when the sender hears that it arrived; the answers
/// to it come out of the channel.
async fn start(address: &str) -> Result<(RunningServer, Answers), StartError> {
    let (answers, to_send) = mpsc::unbounded_channel();
    // Yours are in a database: a crash must cost nobody's mail.
    let tickets = Arc::new(Mutex::new(Tickets::default()));
    let take = move |mail: ReceivedMail| {
        let mut tickets = tickets.lock().unwrap_or_else(PoisonError::into_inner);
        let ticket = tickets.take(&mail);
        println!("ticket {ticket}: {:?}", mail.subject());
        if let Some(answer) = answer(&mail, ticket) {
            // Nobody listens only when the server goes down.
            let _ = answers.send(answer);
        }
        ready(Ok::<_, HookError>(()))
    };
    let builder = Server::builder("mx.desk.test").stores(MemoryStore::new());
    let builder = builder.deliver_to(DESK, take);
    let server = builder.listen(address, Smtp::mx()).start().await?;
    Ok((server, to_send))
}

/// Answers to be sent.
type Answers = mpsc::UnboundedReceiver<(Envelope, Vec<u8>)>;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (server, mut answers) = start("127.0.0.1:2525").await?;
    let send = async {
        while let Some((envelope, message)) = answers.recv().await {
            if let Err(error) = server.submit(envelope, message).await {
                eprintln!("an answer was not taken: {error}");
            }
        }
    };
    tokio::select! {
        () = send => {}
        ended = tokio::signal::ctrl_c() => ended?,
    }
    server.shutdown().await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends a mail to the desk and returns the answer to it, if there is one.
    async fn ask(
        (server, answers): &mut (RunningServer, Answers),
        from: &str,
        fields: &str,
    ) -> Option<String> {
        let envelope = Envelope::new(
            ReversePath::parse(&format!("<{from}>")).unwrap(),
            [DESK.parse().unwrap()],
        );
        let mail = format!("From: {from}\r\n{fields}\r\nIt burns.\r\n");
        server.submit(envelope, mail).await.unwrap();
        let (envelope, message) = answers.try_recv().ok()?;
        assert!(envelope.reverse_path.is_null());
        Some(String::from_utf8(message).unwrap())
    }

    #[tokio::test]
    async fn a_thread_is_one_ticket_and_stays_one_thread() {
        let mut desk = start("127.0.0.1:0").await.unwrap();
        let first = "Subject: Fire\r\nMessage-ID: <1@shop.test>\r\n";
        let told = ask(&mut desk, "ann@shop.test", first).await.unwrap();
        assert!(told.contains("Subject: Re: Fire [ticket 1]\r\n"), "{told}");
        assert!(told.contains("In-Reply-To: <1@shop.test>\r\n"), "{told}");
        let other = "Subject: Water\r\nMessage-ID: <2@shop.test>\r\n";
        let told = ask(&mut desk, "bob@shop.test", other).await.unwrap();
        assert!(told.contains("[ticket 2]"), "{told}");
        let reply = "Subject: Re: Fire\r\nMessage-ID: <3@shop.test>\r\n\
            In-Reply-To: <1@shop.test>\r\nReferences: <1@shop.test>\r\n";
        let told = ask(&mut desk, "ann@shop.test", reply).await.unwrap();
        assert!(told.contains("[ticket 1]"), "{told}");
        let thread = "References: <1@shop.test> <3@shop.test>\r\n";
        assert!(told.contains(thread), "{told}");
        desk.0.shutdown().await;
    }

    #[tokio::test]
    async fn no_program_is_answered() {
        let mut desk = start("127.0.0.1:0").await.unwrap();
        for (from, field) in [
            ("ann@shop.test", "Auto-Submitted: auto-replied"),
            ("ann@shop.test", "Precedence: bulk"),
            ("ann@shop.test", "List-Id: <fire.shop.test>"),
            ("", "Subject: Undelivered"),
        ] {
            let told = ask(&mut desk, from, &format!("{field}\r\n")).await;
            assert_eq!(told, None, "{field}");
        }
        let no = "Auto-Submitted: no\r\n";
        assert!(ask(&mut desk, "ann@shop.test", no).await.is_some());
        desk.0.shutdown().await;
    }
}
