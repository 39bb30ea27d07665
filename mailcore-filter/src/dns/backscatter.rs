//! [`Backscatter`]: whether a notice comes from a host known for notices about
//! mail that its receivers never sent.

use async_trait::async_trait;
use mailcore::address::ReversePath;
use mailcore::plan::Stage;

use super::clients::ClientLists;
use super::results::{ALLOWED, DISPUTED, EXCEPTED, LISTED, SCORED, TEMPERROR};
use super::{ClientExceptions, DnsLists, Zone};
use crate::pipeline::{Look, Reaction, Said, Test};

/// Asks lists of addresses about the client when it says MAIL FROM:<>, and then
/// alone: such hosts send real mail, too. As shipped, one that is listed is
/// refused.
///
/// The connection stays open: mail under a sender's name may follow.
#[derive(Debug, Clone)]
pub struct Backscatter(ClientLists);

impl Backscatter {
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
impl Test for Backscatter {
    fn name(&self) -> &'static str {
        "backscatter"
    }

    fn stage(&self) -> Stage {
        Stage::Mail
    }

    fn results(&self) -> &'static [&'static str] {
        &[LISTED, SCORED, DISPUTED, ALLOWED, EXCEPTED, TEMPERROR]
    }

    fn reaction(&self, result: &str) -> Reaction {
        match result {
            LISTED => Reaction::reject(),
            DISPUTED => Reaction::score(4.0),
            _ => Reaction::none(),
        }
    }

    async fn look(&self, at: &Look<'_>) -> Vec<Said> {
        let is_notice = at.reverse_path.is_some_and(ReversePath::is_null);
        match at.session.peer.filter(|_| is_notice) {
            Some(peer) => self.0.look(peer.ip()).await,
            None => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use mailcore::seams::FilterSession;

    use super::super::tests::{Scene, domain};
    use super::*;

    #[tokio::test]
    async fn only_notices_are_asked_about() {
        let scene = Scene::new();
        scene
            .add_zone("back.test")
            .add("9.2.0.192", "back.test", "127.0.0.2");
        let test = Backscatter::new(scene.lists.clone(), [Zone::addresses(domain("back.test"))]);
        let session = FilterSession::new(Some("192.0.2.9:25".parse().unwrap()));
        let sender = ReversePath::parse("<a@b.test>").unwrap();
        let said = test.look(&Look::at(&session).from(&sender)).await;
        assert!(said.is_empty());
        assert_eq!(scene.dns.asked(), 0);
        let said = test
            .look(&Look::at(&session).from(&ReversePath::Null))
            .await;
        assert_eq!(said[0].result, LISTED);
    }
}
