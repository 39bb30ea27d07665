//! [`Dnsbl`]: whether the client is on a list.

use async_trait::async_trait;
use mailcore::plan::Stage;

use super::clients::ClientLists;
use super::results::{ALLOWED, DISPUTED, EXCEPTED, LISTED, SCORED, TEMPERROR};
use super::{ClientExceptions, DnsLists, Zone};
use crate::pipeline::{Look, Reaction, Said, Test};

/// Asks lists of addresses about the client when it connects. As shipped, one
/// that is listed is refused and the connection closed (RFC 5321 section 3.1:
/// 554 in place of a greeting).
///
/// A client that another list knows for good mail is refused by none.
#[derive(Debug, Clone)]
pub struct Dnsbl(ClientLists);

impl Dnsbl {
    /// Asks these lists.
    pub fn new(lists: DnsLists, zones: impl IntoIterator<Item = Zone>) -> Self {
        Self(ClientLists::new(lists, zones))
    }

    /// Clients for which no listing counts.
    #[must_use]
    pub fn except(mut self, exceptions: ClientExceptions) -> Self {
        self.0.exceptions = exceptions;
        self
    }
}

#[async_trait]
impl Test for Dnsbl {
    fn name(&self) -> &'static str {
        "dnsbl"
    }

    fn stage(&self) -> Stage {
        Stage::Connect
    }

    fn results(&self) -> &'static [&'static str] {
        &[LISTED, SCORED, DISPUTED, ALLOWED, EXCEPTED, TEMPERROR]
    }

    fn reaction(&self, result: &str) -> Reaction {
        match result {
            LISTED => Reaction::disconnect(),
            DISPUTED => Reaction::score(4.0),
            _ => Reaction::none(),
        }
    }

    async fn look(&self, at: &Look<'_>) -> Vec<Said> {
        match at.session.peer {
            Some(peer) => self.0.look(peer.ip()).await,
            None => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use mailcore::seams::{DnsError, FilterSession};

    use super::super::Effect;
    use super::super::tests::{Scene, domain};
    use super::*;

    /// Two lists that refuse and score, one of good hosts.
    fn dnsbl(scene: &Scene) -> Dnsbl {
        let any = || "127.0.0.*".parse().unwrap();
        let zones = [
            Zone::addresses(domain("bl.test")),
            Zone::addresses(domain("score.test")).meaning(any(), Effect::Score(2.5)),
            Zone::addresses(domain("wl.test")).meaning(any(), Effect::Allowed(-3.0)),
        ];
        for zone in &zones {
            scene.add_zone(zone.name.as_str());
        }
        Dnsbl::new(scene.lists.clone(), zones)
    }

    async fn said(test: &Dnsbl, client: &str) -> Vec<Said> {
        let session = FilterSession::new(Some(format!("{client}:25").parse().unwrap()));
        test.look(&Look::at(&session)).await
    }

    fn results(said: &[Said]) -> Vec<&'static str> {
        said.iter().map(|it| it.result).collect()
    }

    #[tokio::test]
    async fn a_client_on_a_list_is_refused_in_the_words_of_the_list() {
        let scene = Scene::new();
        let test = dnsbl(&scene);
        (scene.add("9.2.0.192", "bl.test", "127.0.0.2"))
            .say("9.2.0.192", "bl.test", "see https://bl.test/9")
            .add("9.2.0.192", "score.test", "127.0.0.2");
        let said = said(&test, "192.0.2.9").await;
        assert_eq!(results(&said), [LISTED, SCORED]);
        let words = "192.0.2.9 is listed by bl.test: see https://bl.test/9";
        assert_eq!(said[0].detail, words);
        assert_eq!(said[1].score, Some(2.5));
        assert_eq!(test.reaction(LISTED), Reaction::disconnect());
    }

    #[tokio::test]
    async fn a_client_known_for_good_mail_is_refused_by_no_other_list() {
        let scene = Scene::new();
        let test = dnsbl(&scene);
        scene.add("9.2.0.192", "bl.test", "127.0.0.2");
        scene.add("9.2.0.192", "wl.test", "127.0.0.2");
        assert_eq!(
            results(&said(&test, "192.0.2.9").await),
            [DISPUTED, ALLOWED]
        );
    }

    #[tokio::test]
    async fn an_excepted_client_is_not_refused_and_the_listing_is_told() {
        let scene = Scene::new();
        let exceptions = ["192.0.2.1", "mail.good.test", "down.test"];
        let exceptions = exceptions.iter().map(|it| it.parse().unwrap()).collect();
        let test = dnsbl(&scene).except(exceptions);
        for last in [1, 2, 3] {
            scene.add(&format!("{last}.2.0.192"), "bl.test", "127.0.0.2");
        }
        scene
            .dns
            .add_address("mail.good.test", [192, 0, 2, 2].into());
        assert!(said(&test, "192.0.2.1").await.is_empty());
        assert_eq!(results(&said(&test, "192.0.2.2").await), [EXCEPTED]);
        assert_eq!(results(&said(&test, "192.0.2.3").await), [LISTED]);
        // It may be excepted; who knows.
        let error = DnsError::Temporary("SERVFAIL".into());
        scene.dns.fail("down.test", error);
        assert_eq!(results(&said(&test, "192.0.2.3").await), [TEMPERROR]);
    }

    #[tokio::test]
    async fn an_outage_refuses_nobody() {
        let scene = Scene::new();
        let test = dnsbl(&scene);
        assert!(said(&test, "192.0.2.8").await.is_empty());
        let error = DnsError::Temporary("SERVFAIL".into());
        for zone in ["bl.test", "score.test", "wl.test"] {
            scene.dns.fail(&format!("9.2.0.192.{zone}"), error.clone());
        }
        let said = said(&test, "192.0.2.9").await;
        assert_eq!(results(&said), [TEMPERROR; 3]);
        assert_eq!(test.reaction(TEMPERROR), Reaction::none());
    }

    #[tokio::test]
    async fn a_key_in_the_name_of_a_list_is_told_to_nobody() {
        let scene = Scene::new();
        let mut zone = Zone::addresses(domain("secret.zen.test"));
        zone.shown_as = Some("zen.test".into());
        scene
            .add_zone("secret.zen.test")
            .add("9.2.0.192", "secret.zen.test", "127.0.0.2");
        let said = said(&Dnsbl::new(scene.lists.clone(), [zone]), "192.0.2.9").await;
        assert_eq!(said[0].input, "192.0.2.9 zen.test");
        assert!(!said[0].detail.contains("secret"));
    }
}
