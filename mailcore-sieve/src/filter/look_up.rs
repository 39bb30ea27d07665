//! What scripts ask of DNS. However many records an answer has, few are followed:
//! they are a stranger's.

use std::net::IpAddr;

use mailcore::address::Domain;
use mailcore::seams::{DnsError, Resolver};

use crate::engine::{Answer, LookUp};

/// Names of an address, and hosts of a domain, that are followed.
const MOST: usize = 10;

/// The answer of DNS; [`Answer::No`] where it can't be asked now.
pub(crate) async fn look_up(dns: &dyn Resolver, kind: LookUp, name: &str) -> Answer {
    let found = match kind {
        LookUp::Pointers => pointers(dns, name).await,
        LookUp::Names => confirmed(dns, name).await,
        LookUp::Addresses => addresses(dns, name).await,
        LookUp::MailHosts => mail_hosts(dns, name).await.map(shown),
        LookUp::MailAddresses => mail_addresses(dns, name).await,
    };
    match found {
        Ok(found) => Answer::Texts(found),
        Err(DnsError::NotFound { .. }) => Answer::Texts(Vec::new()),
        Err(_) => Answer::No,
    }
}

async fn pointers(dns: &dyn Resolver, ip: &str) -> Result<Vec<String>, DnsError> {
    let Ok(ip) = ip.parse::<IpAddr>() else {
        return Ok(Vec::new());
    };
    let found = dns.ptr(ip.to_canonical()).await?;
    Ok(shown(found.records.into_iter().take(MOST)))
}

/// Names that lead back (RFC 8601 section 2.7.3, `iprev`).
async fn confirmed(dns: &dyn Resolver, ip: &str) -> Result<Vec<String>, DnsError> {
    let Ok(wanted) = ip.parse::<IpAddr>() else {
        return Ok(Vec::new());
    };
    let wanted = wanted.to_canonical();
    let mut names = Vec::new();
    let mut failure = None;
    for name in dns.ptr(wanted).await?.records.iter().take(MOST) {
        match dns.addresses(name).await {
            Ok(found) if found.records.iter().any(|ip| ip.to_canonical() == wanted) => {
                names.push(name.to_string());
            }
            Ok(_) | Err(DnsError::NotFound { .. }) => {}
            Err(error) => failure = Some(error),
        }
    }
    match failure {
        Some(error) if names.is_empty() => Err(error),
        _ => Ok(names),
    }
}

async fn addresses(dns: &dyn Resolver, name: &str) -> Result<Vec<String>, DnsError> {
    match Domain::for_lookup(name) {
        Ok(name) => Ok(shown(dns.addresses(&name).await?.records)),
        Err(_) => Ok(Vec::new()),
    }
}

/// Hosts that MX names; where there is no MX, the domain itself if it has an
/// address (RFC 5321 section 5.1). A null MX (RFC 7505) is nobody.
async fn mail_hosts(dns: &dyn Resolver, name: &str) -> Result<Vec<Domain>, DnsError> {
    let Ok(domain) = Domain::for_lookup(name) else {
        return Ok(Vec::new());
    };
    match dns.mx(&domain).await {
        Ok(found) => {
            let hosts = found.records.into_iter().filter_map(|mx| mx.host);
            Ok(hosts.take(MOST).collect())
        }
        Err(DnsError::NotFound { .. }) => {
            dns.addresses(&domain).await?;
            Ok(vec![domain])
        }
        Err(error) => Err(error),
    }
}

async fn mail_addresses(dns: &dyn Resolver, name: &str) -> Result<Vec<String>, DnsError> {
    let mut all = Vec::new();
    let mut failure = None;
    for host in mail_hosts(dns, name).await? {
        match dns.addresses(&host).await {
            Ok(found) => all.extend(shown(found.records)),
            Err(DnsError::NotFound { .. }) => {}
            Err(error) => failure = Some(error),
        }
    }
    match failure {
        Some(error) if all.is_empty() => Err(error),
        _ => Ok(all),
    }
}

fn shown<T: ToString>(records: impl IntoIterator<Item = T>) -> Vec<String> {
    records.into_iter().map(|it| it.to_string()).collect()
}

#[cfg(test)]
mod tests {
    use mailcore::testing::FixedResolver;

    use super::*;

    #[tokio::test]
    async fn dns_answers_what_scripts_ask() {
        let dns = FixedResolver::new();
        let ip = "192.0.2.7".parse().unwrap();
        dns.add_ptr(ip, "mx.example.org")
            .add_ptr(ip, "liar.example.net")
            .add_address("mx.example.org", ip)
            .add_mx("example.org", 10, "mx.example.org");
        let asked = [
            (
                LookUp::Pointers,
                "192.0.2.7",
                vec!["mx.example.org", "liar.example.net"],
            ),
            (LookUp::Names, "192.0.2.7", vec!["mx.example.org"]),
            (LookUp::Names, "192.0.2.8", vec![]),
            (LookUp::Names, "no address", vec![]),
            (LookUp::Addresses, "mx.example.org", vec!["192.0.2.7"]),
            (LookUp::Addresses, "missing.example.org", vec![]),
            (LookUp::Addresses, "not a name", vec![]),
            (LookUp::MailHosts, "example.org", vec!["mx.example.org"]),
            (LookUp::MailHosts, "mx.example.org", vec!["mx.example.org"]),
            (LookUp::MailHosts, "missing.example.org", vec![]),
            (LookUp::MailAddresses, "example.org", vec!["192.0.2.7"]),
        ];
        for (kind, name, wanted) in asked {
            let wanted = Answer::Texts(wanted.into_iter().map(str::to_owned).collect());
            assert_eq!(look_up(&dns, kind, name).await, wanted, "{kind:?} {name}");
        }
    }
}
