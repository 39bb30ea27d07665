//! What goes before a message is made of the octets that are sent.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use mailcore::message::Goal;
use mailcore::seams::{LeavingMail, SentOctets, SignError, Signer, StoreError};

use super::agent::Bench;
use super::host::Script;
use crate::client::RemoteConfig;

/// Writes down what it is shown, or has no keys at hand.
#[derive(Debug)]
enum Copyist {
    Ready,
    Unready,
}

#[async_trait]
impl Signer for Copyist {
    async fn sign(
        &self,
        mail: &LeavingMail<'_>,
        octets: &mut dyn SentOctets,
    ) -> Result<Bytes, SignError> {
        if let Self::Unready = self {
            return Err(SignError::Keys(StoreError::Unavailable("down")));
        }
        let mut seen = Vec::new();
        while let Some(piece) = octets.next().await.map_err(SignError::Message)? {
            seen.extend_from_slice(&piece);
        }
        assert_eq!(
            mail.conversion == Some(Goal::SevenBit),
            seen.is_ascii() && seen.contains(&b'=')
        );
        let seen = String::from_utf8(seen).unwrap().replace("\r\n", "|");
        Ok(format!("Signed: {seen}\r\n").into())
    }
}

fn bench(signer: Copyist, offers: &'static str) -> Bench {
    let signer = Arc::new(signer);
    let bench = Bench::with(|agent| agent.config(RemoteConfig::default()).signer(signer));
    bench.resolver.add_mx("x.test", 10, "one.x.test");
    let ip = "192.0.2.1";
    bench
        .resolver
        .add_address("one.x.test", ip.parse().unwrap());
    bench
        .hosts
        .add(ip, Script::default().answer("EHLO", &[offers]));
    bench
}

#[tokio::test]
async fn a_message_is_signed_in_the_form_in_which_it_is_sent() {
    let content = "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\né\r\n";
    let encoded = "Content-Transfer-Encoding: quoted-printable||=C3=A9|";
    for (offers, sent) in [
        (
            "250-host\r\n250-8BITMIME\r\n250 SIZE",
            content.replace("\r\n", "|"),
        ),
        (
            "250 host",
            format!("MIME-Version: 1.0|Content-Type: text/plain; charset=utf-8|{encoded}"),
        ),
    ] {
        let bench = bench(Copyist::Ready, offers);
        let outcomes = bench.send_content(&["a@x.test"], content).await;
        assert_eq!(outcomes, ["relayed one.x.test"]);
        let message = format!("message Signed: {sent}|{sent}.");
        let heard = bench.hosts.heard.lock().unwrap().clone();
        assert!(heard.contains(&message), "{heard:?}");
        if offers.ends_with("SIZE") {
            let size = 2 * content.len() + "Signed: \r\n".len() - 4;
            let mail = format!("MAIL FROM:<s@me.test> SIZE={size} BODY=8BITMIME");
            assert!(heard.contains(&mail), "{heard:?} {size}");
        }
    }
}

#[tokio::test]
async fn a_message_waits_for_keys_that_can_not_be_read_now() {
    let bench = bench(Copyist::Unready, "250 host");
    let outcomes = bench.send(&["a@x.test"]).await;
    assert_eq!(outcomes, ["deferred 4.7.0 one.x.test"]);
    assert_eq!(bench.hosts.heard("MAIL"), 0);
}
