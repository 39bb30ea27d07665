//! A relay between the machines of a house and their provider: takes mail from
//! this network alone, marks for whom it was taken, and hands everything to
//! one smart host, queued on disk while that does not answer.

use std::error::Error;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use mailcore::access::{AccessRules, TrustedHosts, TrustedPeer};
use mailcore::address::Domain;
use mailcore::net::HickoryResolver;
use mailcore::plan::{Edit, Plan};
use mailcore::seams::{Filter, FilterSession, IncomingMail, SystemClock};
use mailcore::server::{RunningServer, Server};
use mailcore_smtp::client::{HostSettings, Outgoing};
use mailcore_smtp::server::Smtp;
use mailcore_store::embedded::{EmbeddedOptions, EmbeddedStore};

/// Marks what passes: the provider's support asks for it.
#[derive(Debug)]
struct Mark;

#[async_trait]
impl Filter for Mark {
    fn name(&self) -> &str {
        "mark"
    }

    async fn message(&self, session: &FilterSession, _: &IncomingMail<'_>, plan: &mut Plan) {
        let peer = session.peer.map(|peer| peer.ip().to_string());
        for recipient in &mut plan.recipients {
            recipient.edits.push(Edit::AddHeader {
                name: "X-Relayed-For".to_owned(),
                value: peer.clone().unwrap_or("this host".to_owned()),
            });
        }
    }
}

/// Listens at `address` for machines of `network`, and hands over to `host`.
async fn start(
    folder: &Path,
    (address, network): (&str, &str),
    host: SocketAddr,
) -> Result<RunningServer, Box<dyn Error>> {
    let resolver = Arc::new(HickoryResolver::from_system()?);
    let peers = [network.parse::<TrustedPeer>()?];
    let house = TrustedHosts::new(
        peers,
        Arc::clone(&resolver) as _,
        Arc::new(SystemClock::new()),
    );
    let host = HostSettings::new(Domain::literal(host.ip()), host.port());
    let builder = Server::builder("relay.house.test")
        .stores(EmbeddedStore::open(
            folder.join("queue"),
            EmbeddedOptions::default(),
        )?)
        .filter(Arc::new(Mark))
        .resolver(resolver)
        .outgoing(Outgoing::new().smart_host(host))
        .listen(address, Smtp::mx().internal())
        .admitting(AccessRules::new().allow(house));
    Ok(builder.start().await?)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let provider = "127.0.0.1:2526".parse()?;
    let server = start(Path::new("."), ("127.0.0.1:2525", "127.0.0.0/8"), provider).await?;
    tokio::signal::ctrl_c().await?;
    server.shutdown().await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::mpsc;

    #[tokio::test]
    async fn what_the_house_sends_reaches_the_provider_marked() {
        let (took, mut mail) = mpsc::unbounded_channel();
        let provider = Server::builder("mx.provider.test")
            .deliver_to("carol@else.test", move |mail| {
                let _ = took.send(mail);
                std::future::ready(Ok(()))
            })
            .listen("127.0.0.1:0", Smtp::mx())
            .start()
            .await
            .unwrap();
        let folder = tempfile::tempdir().unwrap();
        let at = ("127.0.0.1:0", "127.0.0.0/8");
        let host = provider.address("smtp").unwrap();
        let relay = start(folder.path(), at, host).await.unwrap();
        let text = "From: ann@house.test\r\nTo: carol@else.test\r\nSubject: hi\r\n\r\nHi.\r\n";
        let sent = relay.send(text).await.unwrap().outcome().await.unwrap();
        assert!(sent.iter().all(|it| it.success), "{sent:?}");
        let mail = String::from_utf8_lossy(&mail.recv().await.unwrap().message).into_owned();
        assert!(mail.contains("\r\nX-Relayed-For: this host\r\n"), "{mail}");
        relay.shutdown().await;
        provider.shutdown().await;
    }
}
