//! Signs and checks messages by DKIM from the command line, to compare with
//! other programs.
//!
//! ```sh
//! dkim sign DOMAIN SELECTOR KEY.pem < message        # the signed message
//! dkim verify RECORDS < message                      # a verdict a line
//! ```
//!
//! RECORDS has a line for each key: its name, a space, the TXT record.

use std::error::Error;
use std::io::{Read, Write};
use std::sync::Arc;

use async_trait::async_trait;
use mailcore::address::Domain;
use mailcore::message::Message;
use mailcore::seams::{Clock, DnsError, DnssecStatus, Lookup, Mx, Resolver, SystemClock, Tlsa};
use mailcore_filter::sender_auth::dkim::{DkimSigner, DkimVerifier, SigningKey};

/// DNS that has these TXT records and nothing else.
#[derive(Debug)]
struct Records(Vec<(Domain, Vec<u8>)>);

impl Records {
    fn read(text: &str) -> Result<Self, Box<dyn Error>> {
        let lines = text.lines().filter_map(|line| line.split_once(' '));
        let records = lines.map(|(name, txt)| Ok((Domain::for_lookup(name)?, txt.into())));
        records.collect::<Result<_, _>>().map(Self)
    }
}

fn nothing<T>() -> Result<Lookup<T>, DnsError> {
    Err(DnsError::NotFound {
        dnssec: DnssecStatus::Insecure,
    })
}

#[async_trait]
impl Resolver for Records {
    async fn mx(&self, _: &Domain) -> Result<Lookup<Mx>, DnsError> {
        nothing()
    }
    async fn addresses(&self, _: &Domain) -> Result<Lookup<std::net::IpAddr>, DnsError> {
        nothing()
    }
    async fn txt(&self, name: &Domain) -> Result<Lookup<Vec<u8>>, DnsError> {
        let found = self.0.iter().filter(|(of, _)| of == name);
        let records: Vec<_> = found.map(|(_, txt)| txt.clone()).collect();
        if records.is_empty() {
            return nothing();
        }
        Ok(Lookup {
            records,
            dnssec: DnssecStatus::Insecure,
            ttl: std::time::Duration::ZERO,
            alias: None,
        })
    }
    async fn ptr(&self, _: std::net::IpAddr) -> Result<Lookup<Domain>, DnsError> {
        nothing()
    }
    async fn tlsa(&self, _: &Domain) -> Result<Lookup<Tlsa>, DnsError> {
        nothing()
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut octets = Vec::new();
    std::io::stdin().read_to_end(&mut octets)?;
    let message = Message::from_bytes(octets.clone());
    let clock = Arc::new(SystemClock::new());
    match arguments.as_slice() {
        ["sign", domain, selector, key] => {
            let key = SigningKey::from_pem(&std::fs::read_to_string(key)?)?;
            let signer = DkimSigner::new(domain.parse()?, selector.parse()?, key);
            let field = signer.sign(&message, clock.now()).await?;
            std::io::stdout().write_all(&[field, octets].concat())?;
        }
        ["verify", records] => {
            let records = Records::read(&std::fs::read_to_string(records)?)?;
            let verifier = DkimVerifier::new(Arc::new(records), clock);
            for verdict in verifier.verify(&message).await {
                let of = (verdict.signature.as_ref()).map_or("?", |it| it.domain.as_str());
                match &verdict.problem {
                    None => println!("{} {of}", verdict.result),
                    Some(problem) => println!("{} {of}: {problem}", verdict.result),
                }
            }
        }
        _ => return Err("say: dkim sign DOMAIN SELECTOR KEY.pem, or: dkim verify RECORDS".into()),
    }
    Ok(())
}
