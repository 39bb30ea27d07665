//! [`Uribl`] as a test of the pipeline: the hosts are those of the message's
//! view.

use async_trait::async_trait;
use mailcore::address::Domain;
use mailcore::plan::Stage;

use super::Uribl;
use super::results::{LISTED, SCORED, TEMPERROR};
use crate::content::{UrlHost, View, ViewLimits};
use crate::pipeline::{Look, Reaction, Said, Test};

#[async_trait]
impl Test for Uribl {
    fn name(&self) -> &'static str {
        "uribl"
    }

    fn stage(&self) -> Stage {
        Stage::Content
    }

    fn results(&self) -> &'static [&'static str] {
        &[LISTED, SCORED, TEMPERROR]
    }

    fn reaction(&self, result: &str) -> Reaction {
        match result {
            LISTED => Reaction::quarantine(),
            _ => Reaction::none(),
        }
    }

    async fn look(&self, at: &Look<'_>) -> Vec<Said> {
        let Some(view) = View::of(at, &ViewLimits::default()).await else {
            return Vec::new();
        };
        let hosts: Vec<Domain> = view.urls.hosts().into_iter().filter_map(domain).collect();
        self.check(hosts).await
    }
}

fn domain(host: &UrlHost) -> Option<Domain> {
    match host.ip() {
        Some(ip) => Some(Domain::literal(ip)),
        None => Domain::parse(host.name()?).ok(),
    }
}

#[cfg(test)]
mod tests {
    use mailcore::address::ReversePath;
    use mailcore::envelope::Envelope;
    use mailcore::message::{Message, Summary};
    use mailcore::seams::{FilterSession, IncomingMail};

    use super::super::Zone;
    use super::super::tests::{Scene, domain};
    use super::*;

    #[tokio::test]
    async fn where_links_lead_is_asked_about_however_they_are_written() {
        let scene = Scene::new();
        scene
            .add_zone("surbl.test")
            .add("bad.co.uk", "surbl.test", "127.0.0.2");
        let test = Uribl::new(scene.lists.clone(), [Zone::names(domain("surbl.test"))]);
        let html = "Content-Type: text/html\r\n\r\n";
        for (body, want) in [
            ("\r\nsee http://WWW.bad.co.uk/x\r\n".to_owned(), 1),
            (
                format!("{html}<a href='https://good.test/u?q=http%3A%2F%2Fb%61d.co.uk'>x</a>"),
                1,
            ),
            (
                format!("{html}<a href='http://good.test@bad.co.uk'>x</a>"),
                1,
            ),
            (format!("{html}<a href='http://good.test/'>x</a>"), 0),
        ] {
            let message = Message::from_bytes(body.clone().into_bytes());
            let summary = Summary::scan(body.as_bytes());
            let envelope = Envelope::from_sender(ReversePath::Null);
            let mail = IncomingMail::new(&envelope, &message, &summary);
            let session = FilterSession::new(None);
            let said = test.look(&Look::at(&session).mail(&mail)).await;
            assert_eq!(said.len(), want, "{body}");
        }
    }
}
