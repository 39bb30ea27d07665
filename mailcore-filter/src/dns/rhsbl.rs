//! [`Rhsbl`] and [`RhsblFrom`]: whether the sender's domain is on a list.

use async_trait::async_trait;
use mailcore::address::{Domain, ReversePath};
use mailcore::plan::Stage;

use super::names::NameLists;
use super::results::{ALLOWED, DISPUTED, LISTED, SCORED, TEMPERROR};
use super::{DnsLists, NameExceptions, Zone};
use crate::pipeline::{Look, Reaction, Said, Test};

/// Domains of From fields asked about: there is one in mail that is well made.
const MAX_FROM: usize = 5;

/// Asks lists of names about the domain in MAIL FROM. As shipped, one that is
/// listed is refused and the connection closed.
#[derive(Debug, Clone)]
pub struct Rhsbl {
    names: NameLists,
    helo: AskHelo,
}

/// Whether the name in HELO is asked about, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AskHelo {
    /// It is not.
    #[default]
    No,
    /// It is.
    Yes,
}

impl Rhsbl {
    /// Asks these lists.
    pub fn new(lists: DnsLists, zones: impl IntoIterator<Item = Zone>) -> Self {
        Self {
            names: NameLists::new(lists, zones),
            helo: AskHelo::default(),
        }
    }

    /// Asks about the name in HELO, or not.
    #[must_use]
    pub fn helo(mut self, helo: AskHelo) -> Self {
        self.helo = helo;
        self
    }

    /// Names for which no listing counts.
    #[must_use]
    pub fn except(mut self, exceptions: NameExceptions) -> Self {
        self.names.exceptions = exceptions;
        self
    }
}

const RESULTS: &[&str] = &[LISTED, SCORED, DISPUTED, ALLOWED, TEMPERROR];

#[async_trait]
impl Test for Rhsbl {
    fn name(&self) -> &'static str {
        "rhsbl"
    }

    fn stage(&self) -> Stage {
        Stage::Mail
    }

    fn results(&self) -> &'static [&'static str] {
        RESULTS
    }

    fn reaction(&self, result: &str) -> Reaction {
        match result {
            LISTED => Reaction::disconnect(),
            DISPUTED => Reaction::score(4.0),
            _ => Reaction::none(),
        }
    }

    async fn look(&self, at: &Look<'_>) -> Vec<Said> {
        let sender = at.reverse_path.and_then(ReversePath::address);
        let sender = sender.map(|address| address.domain().clone());
        let helo = match self.helo {
            AskHelo::Yes => at.session.helo.as_deref(),
            AskHelo::No => None,
        };
        let helo = helo.and_then(|name| Domain::parse(name).ok());
        let names: Vec<_> = sender.into_iter().chain(helo).collect();
        self.names.look(&names).await
    }
}

/// Asks lists of names about the domains in the From field. As shipped, a
/// listing scores.
#[derive(Debug, Clone)]
pub struct RhsblFrom(NameLists);

impl RhsblFrom {
    /// Asks these lists.
    pub fn new(lists: DnsLists, zones: impl IntoIterator<Item = Zone>) -> Self {
        Self(NameLists::new(lists, zones))
    }

    /// Names for which no listing counts.
    #[must_use]
    pub fn except(mut self, exceptions: NameExceptions) -> Self {
        self.0.exceptions = exceptions;
        self
    }
}

#[async_trait]
impl Test for RhsblFrom {
    fn name(&self) -> &'static str {
        "rhsbl-from"
    }

    fn stage(&self) -> Stage {
        Stage::Content
    }

    fn results(&self) -> &'static [&'static str] {
        RESULTS
    }

    fn reaction(&self, result: &str) -> Reaction {
        match result {
            LISTED => Reaction::score(6.0),
            DISPUTED => Reaction::score(4.0),
            _ => Reaction::none(),
        }
    }

    async fn look(&self, at: &Look<'_>) -> Vec<Said> {
        let Some(mail) = at.mail else {
            return Vec::new();
        };
        let from = mail.summary.envelope.from.iter();
        let domain = |host: &[u8]| Domain::parse(str::from_utf8(host).ok()?).ok();
        let domains = from.filter_map(|it| domain(&it.mailbox()?.host));
        let domains: Vec<_> = domains.take(MAX_FROM).collect();
        self.0.look(&domains).await
    }
}

#[cfg(test)]
mod tests {
    use mailcore::envelope::Envelope;
    use mailcore::message::{Message, Summary};
    use mailcore::seams::{FilterSession, IncomingMail};

    use super::super::tests::{Scene, domain};
    use super::*;

    fn zones(scene: &Scene) -> [Zone; 1] {
        scene
            .add_zone("rhs.test")
            .add("spam.test", "rhs.test", "127.0.0.2");
        [Zone::names(domain("rhs.test"))]
    }

    async fn results(test: &Rhsbl, helo: &str, sender: &str) -> Vec<&'static str> {
        let mut session = FilterSession::new(Some("192.0.2.9:25".parse().unwrap()));
        session.helo = Some(helo.to_owned());
        let sender = ReversePath::parse(sender).unwrap();
        let said = test.look(&Look::at(&session).from(&sender)).await;
        said.iter().map(|it| it.result).collect()
    }

    #[tokio::test]
    async fn the_senders_domain_is_asked_about_and_the_greeting_where_it_is_wanted() {
        let scene = Scene::new();
        let test = Rhsbl::new(scene.lists.clone(), zones(&scene));
        assert_eq!(results(&test, "good.test", "<a@spam.test>").await, [LISTED]);
        for (helo, sender) in [
            ("spam.test", "<a@good.test>"),
            ("spam.test", "<>"),
            ("[192.0.2.9]", "<a@[192.0.2.9]>"),
        ] {
            assert!(results(&test, helo, sender).await.is_empty(), "{sender}");
        }
        let test = test.helo(AskHelo::Yes);
        assert_eq!(results(&test, "spam.test", "<>").await, [LISTED]);
        assert!(results(&test, "no name at all", "<>").await.is_empty());
    }

    #[cfg(feature = "psl")]
    #[tokio::test]
    async fn a_name_below_a_listed_domain_is_listed_once() {
        let scene = Scene::new();
        let test = Rhsbl::new(scene.lists.clone(), zones(&scene));
        scene.add("news.spam.test", "rhs.test", "127.0.0.2");
        for sender in ["<a@mail.spam.test>", "<a@news.spam.test>"] {
            assert_eq!(results(&test, "x.test", sender).await, [LISTED], "{sender}");
        }
    }

    #[tokio::test]
    async fn an_excepted_domain_is_not_asked_about() {
        let scene = Scene::new();
        let mut exceptions = NameExceptions::default();
        exceptions.add("spam.test").unwrap();
        let test = Rhsbl::new(scene.lists.clone(), zones(&scene)).except(exceptions);
        assert!(results(&test, "x.test", "<a@spam.test>").await.is_empty());
        assert_eq!(scene.dns.asked(), 0);
    }

    #[tokio::test]
    async fn the_domains_of_the_from_field_are_asked_about() {
        let scene = Scene::new();
        let test = RhsblFrom::new(scene.lists.clone(), zones(&scene));
        let text = "From: A <a@good.test>, b@Spam.Test, \"c\" <broken>\r\n\r\n";
        let envelope = Envelope::from_sender(ReversePath::Null);
        let message = Message::from_bytes(text.as_bytes());
        let summary = Summary::scan(text.as_bytes());
        let mail = IncomingMail::new(&envelope, &message, &summary);
        let session = FilterSession::new(None);
        let said = test.look(&Look::at(&session).mail(&mail)).await;
        assert_eq!(said.len(), 1);
        assert_eq!(said[0].input, "spam.test rhs.test");
    }
}
