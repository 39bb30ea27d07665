//! The resolver against a name server within the test.

use std::net::SocketAddr;
use std::str::FromStr;

use hickory_resolver::proto::op::{Message, ResponseCode};
use hickory_resolver::proto::rr::Record;
use hickory_resolver::proto::rr::rdata::{A, AAAA, CNAME, MX, PTR, TXT};
use tokio::net::UdpSocket;

use super::*;

fn name(text: &str) -> Name {
    Name::from_str(text).unwrap()
}

/// The zone: what is asked, and what is said.
fn answer(asked: &str, kind: RecordType) -> Result<Vec<RData>, ResponseCode> {
    Ok(match (asked, kind) {
        ("x.test.", RecordType::MX) => vec![
            RData::MX(MX::new(20, name("b.x.test."))),
            RData::MX(MX::new(10, name("A.x.test."))),
        ],
        ("odd.test.", RecordType::MX) => {
            let exchange = Name::from_labels([&b"not a host"[..], b"test"]).unwrap();
            vec![RData::MX(MX::new(10, exchange))]
        }
        ("null.test.", RecordType::MX) => vec![RData::MX(MX::new(0, Name::root()))],
        ("both.test.", RecordType::A) | ("half.test.", RecordType::A) => {
            vec![RData::A(A::new(192, 0, 2, 1))]
        }
        ("both.test.", RecordType::AAAA) => {
            vec![RData::AAAA(AAAA::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1))]
        }
        ("half.test.", RecordType::AAAA) => return Err(ResponseCode::ServFail),
        ("other.test.", RecordType::AAAA) => return Err(ResponseCode::ServFail),
        ("alias.test.", RecordType::A) => vec![
            RData::CNAME(CNAME(name("both.test."))),
            RData::A(A::new(192, 0, 2, 1)),
        ],
        ("txt.test.", RecordType::TXT) => {
            vec![RData::TXT(TXT::new(vec!["v=spf1 ".into(), "-all".into()]))]
        }
        ("1.2.0.192.in-addr.arpa.", RecordType::PTR) => vec![RData::PTR(PTR(name("a.x.test.")))],
        ("down.test.", _) => return Err(ResponseCode::ServFail),
        ("gone.test.", _) => return Err(ResponseCode::NXDomain),
        _ => Vec::new(),
    })
}

async fn serve(socket: UdpSocket) {
    let mut octets = [0; 1_024];
    while let Ok((length, peer)) = socket.recv_from(&mut octets).await {
        let question = Message::from_vec(&octets[..length]).unwrap();
        let query = question.queries[0].clone();
        let mut reply = Message::response(question.metadata.id, question.metadata.op_code);
        reply.add_query(query.clone());
        match answer(&query.name().to_ascii(), query.query_type()) {
            Ok(data) => {
                let mut owner = query.name().clone();
                for data in data {
                    let next = match &data {
                        RData::CNAME(target) => target.0.clone(),
                        _ => owner.clone(),
                    };
                    reply.add_answer(Record::from_rdata(owner, 300, data));
                    owner = next;
                }
                // Of another name: no part of the answer.
                let stray = RData::MX(MX::new(1, name("stray.test.")));
                reply.add_answer(Record::from_rdata(name("y.test."), 300, stray));
            }
            Err(code) => reply.metadata.response_code = code,
        }
        let _ = socket.send_to(&reply.to_vec().unwrap(), peer).await;
    }
}

async fn resolver() -> HickoryResolver {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let server: SocketAddr = socket.local_addr().unwrap();
    tokio::spawn(serve(socket));
    HickoryResolver::with_servers(&[server]).unwrap()
}

fn domain(text: &str) -> Domain {
    text.parse().unwrap()
}

#[tokio::test]
async fn records_are_told_apart_from_nothing_and_nothing_from_no_answer() {
    let resolver = resolver().await;
    let mx = resolver.mx(&domain("x.test")).await.unwrap();
    let hosts: Vec<_> = mx
        .records
        .into_iter()
        .map(|mx| (mx.preference, mx.host))
        .collect();
    assert_eq!(
        hosts,
        [
            (20, Some(domain("b.x.test"))),
            (10, Some(domain("a.x.test")))
        ]
    );
    assert_eq!(mx.ttl, Duration::from_secs(300));
    let null = resolver.mx(&domain("null.test")).await.unwrap();
    assert_eq!(null.records[0].host, None);
    for none in ["gone.test", "both.test", "[192.0.2.1]"] {
        assert_eq!(resolver.mx(&domain(none)).await, Err(not_found()), "{none}");
    }
    for unknown in ["down.test", "odd.test"] {
        let answer = resolver.mx(&domain(unknown)).await;
        assert!(matches!(answer, Err(DnsError::Temporary(_))), "{answer:?}");
    }
}

#[tokio::test]
async fn both_families_are_asked_and_one_is_enough() {
    let resolver = resolver().await;
    let addresses = |name: &'static str| {
        let resolver = &resolver;
        async move {
            resolver
                .addresses(&domain(name))
                .await
                .map(|found| found.records)
        }
    };
    let v4: IpAddr = "192.0.2.1".parse().unwrap();
    let v6: IpAddr = "2001:db8::1".parse().unwrap();
    assert_eq!(addresses("both.test").await.unwrap(), [v6, v4]);
    assert_eq!(addresses("half.test").await.unwrap(), [v4]);
    assert_eq!(addresses("alias.test").await.unwrap(), [v4]);
    let alias = resolver.addresses(&domain("alias.test")).await.unwrap();
    assert_eq!(alias.alias.unwrap().target, domain("both.test"));
    assert_eq!(addresses("gone.test").await, Err(not_found()));
    assert!(matches!(
        addresses("other.test").await,
        Err(DnsError::Temporary(_))
    ));
}

#[tokio::test]
async fn strings_are_joined_and_addresses_have_names() {
    let resolver = resolver().await;
    let txt = resolver.txt(&domain("txt.test")).await.unwrap();
    assert_eq!(txt.records, [b"v=spf1 -all"]);
    let ptr = resolver.ptr("192.0.2.1".parse().unwrap()).await.unwrap();
    assert_eq!(ptr.records, [domain("a.x.test")]);
}

#[test]
fn a_resolver_needs_a_server() {
    assert!(matches!(
        HickoryResolver::with_servers(&[]),
        Err(ResolverError::NoServers)
    ));
}

#[test]
fn a_denial_holds_as_long_as_its_zone_says() {
    let (denials, clock) = (Denials::default(), crate::testing::VirtualClock::new());
    let (gone, kind) = (name("gone.test."), RecordType::TLSA);
    let seconds = Duration::from_secs;
    let key = (gone.clone(), kind);
    denials.keep(key, DnssecStatus::Secure, seconds(60), clock.monotonic());
    clock.advance(seconds(59));
    let found = denials.find(&gone, kind, clock.monotonic());
    assert_eq!(found, Some(DnssecStatus::Secure));
    clock.advance(seconds(1));
    assert_eq!(denials.find(&gone, kind, clock.monotonic()), None);
    assert_eq!(denials.find(&gone, RecordType::A, clock.monotonic()), None);
}

#[cfg(feature = "dnssec")]
#[test]
fn anchors_are_dnskey_records() {
    assert!(matches!(
        TrustAnchors::parse("; nothing\n"),
        Err(AnchorError::Empty)
    ));
    let cut = "example.test. 3600 IN DNSKEY 257 3";
    assert!(matches!(
        TrustAnchors::parse(cut),
        Err(AnchorError::Syntax(_))
    ));
    let key = "example.test. 3600 IN DNSKEY 257 3 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=";
    TrustAnchors::parse(key).unwrap();
    TrustAnchors::parse(&key.replace(" 3600 IN", "")).unwrap();
}
