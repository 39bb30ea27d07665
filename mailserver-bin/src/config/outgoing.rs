//! `[outgoing]`: how mail leaves, and by which hosts some of it goes.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use mailcore::address::{Address, Domain};
use mailcore::net::HttpProxy;
use mailcore::route::SmartHostRule;
use mailcore::route::mx::AddressOrder;
use mailcore_smtp::client::{Chunking, LoopbackHosts, Protocol, SourceAddress, TlsPolicy};

use super::SmartHost;
use super::file::{At, Section};
use super::resolve::login;

const ORDERS: [(&str, AddressOrder); 4] = [
    ("ipv6-first", AddressOrder::Ipv6First),
    ("ipv4-first", AddressOrder::Ipv4First),
    ("ipv4-only", AddressOrder::Ipv4Only),
    ("ipv6-only", AddressOrder::Ipv6Only),
];
const CHUNKING: [(&str, Chunking); 2] = [
    ("offered", Chunking::WhereOffered),
    ("binary-only", Chunking::ForBinary),
];
/// How a connection to a host is secured.
pub(super) const TLS_POLICIES: [(&str, TlsPolicy); 5] = [
    ("none", TlsPolicy::Never),
    ("opportunistic", TlsPolicy::Opportunistic),
    ("encrypted", TlsPolicy::Encrypted),
    ("starttls", TlsPolicy::Verified),
    ("implicit", TlsPolicy::Implicit),
];
const PROTOCOLS: [(&str, Protocol); 2] = [("smtp", Protocol::Smtp), ("lmtp", Protocol::Lmtp)];
/// What stands before the path of a socket of this host.
const SOCKET: &str = "unix:";

/// How mail leaves.
#[derive(Debug, Clone, Default)]
pub(crate) struct OutgoingConfig {
    pub(crate) sources: Vec<SourceAddress>,
    pub(crate) address_order: AddressOrder,
    pub(crate) chunking: Chunking,
    pub(crate) loopback: LoopbackHosts,
    pub(crate) routes: Vec<OutgoingRoute>,
    /// By which the server's own HTTPS goes.
    pub(crate) proxy: Option<HttpProxy>,
}

/// Mail that goes by hosts of its own.
#[derive(Debug, Clone)]
pub(crate) struct OutgoingRoute {
    pub(crate) name: String,
    pub(crate) rule: SmartHostRule,
    pub(crate) place: RoutePlace,
    pub(crate) protocol: Protocol,
    pub(crate) sources: Vec<SourceAddress>,
}

/// Where a route leads.
#[derive(Debug, Clone)]
pub(crate) enum RoutePlace {
    /// Hosts, each tried when the one before does not serve; at least one.
    Hosts(Vec<SmartHost>),
    /// A socket of this host, for LMTP.
    Socket(PathBuf),
}

/// Reads the table.
pub(super) fn outgoing(root: &Section<'_, '_>, folder: &Path, config: &mut OutgoingConfig) {
    let section = root.section("outgoing", "[outgoing]");
    config.sources = sources(&section);
    if let Some(text) = section.string("addresses") {
        let order = section.word("addresses", text, &ORDERS);
        config.address_order = order.unwrap_or_default();
    }
    if let Some(text) = section.string("chunking") {
        let chunking = section.word("chunking", text, &CHUNKING);
        config.chunking = chunking.unwrap_or_default();
    }
    if let Some(text) = section.string("proxy") {
        match text.value.parse() {
            Ok(proxy) => config.proxy = Some(proxy),
            Err(error) => section.problem(text.line, format!("proxy: {error}")),
        }
    }
    if section.flag("loopback") == Some(true) {
        config.loopback = LoopbackHosts::Allowed;
    }
    let routes = section.sections("route", "[[outgoing.route]]");
    for section in routes.unwrap_or_default() {
        if let Some(route) = route(&section, folder) {
            if config.routes.iter().any(|known| known.name == route.name) {
                let text = format!("there are two routes called \"{}\"", route.name);
                section.problem(section.line(), text);
            }
            config.routes.push(route);
        }
        section.finish();
    }
    section.finish();
}

/// `"192.0.2.5"`, or with what EHLO says there: `"192.0.2.5 out5.example.com"`.
fn sources(section: &Section<'_, '_>) -> Vec<SourceAddress> {
    let mut sources = Vec::new();
    for text in section.strings("source").unwrap_or_default() {
        let (ip, name) = text.value.split_once(' ').unwrap_or((text.value, ""));
        let name = match name.trim() {
            "" => Ok(None),
            name => Domain::parse(name).map(Some),
        };
        match (ip.parse(), name) {
            (Ok(ip), Ok(name)) => sources.push(SourceAddress { ip, name }),
            _ => section.problem(
                text.line,
                format!(
                    "source: \"{}\" is not an IP address, with a host name after it or not",
                    text.value
                ),
            ),
        }
    }
    sources
}

fn route(section: &Section<'_, '_>, folder: &Path) -> Option<OutgoingRoute> {
    let rule = rule(section);
    let protocol = match section.string("protocol") {
        Some(text) => section.word("protocol", text, &PROTOCOLS),
        None => Some(Protocol::Smtp),
    };
    let sources = sources(section);
    let name = section.string("name").map(|name| name.value.to_owned());
    let place = place(section, folder, protocol);
    let (rule, text) = rule?;
    Some(OutgoingRoute {
        name: name.unwrap_or(text),
        rule,
        place: place?,
        protocol: protocol?,
        sources,
    })
}

/// The rule, and its text for a route without a name.
fn rule(section: &Section<'_, '_>) -> Option<(SmartHostRule, String)> {
    let wrong = |text: At<&str>, error: String| section.problem(text.line, error);
    match (section.string("domain"), section.string("sender")) {
        (Some(domain), None) => {
            let (name, below) = match domain.value.strip_prefix('.') {
                Some(name) => (name, true),
                None => (domain.value, false),
            };
            match Domain::parse(name) {
                Ok(name) if below => Some(SmartHostRule::Subdomains(name)),
                Ok(name) => Some(SmartHostRule::Domain(name)),
                Err(error) => {
                    wrong(domain, format!("domain: {error}"));
                    None
                }
            }
            .map(|rule| (rule, domain.value.to_owned()))
        }
        (None, Some(sender)) => {
            let rule = match sender.value.contains('@') {
                true => sender.value.parse::<Address>().map(SmartHostRule::Sender),
                false => Domain::parse(sender.value).map(SmartHostRule::SenderDomain),
            };
            match rule {
                Ok(rule) => Some((rule, sender.value.to_owned())),
                Err(error) => {
                    wrong(sender, format!("sender: {error}"));
                    None
                }
            }
        }
        (Some(_), Some(sender)) => {
            wrong(sender, "give domain or sender, not both".to_owned());
            None
        }
        (None, None) => {
            let text = "a route needs domain (\"x.example\", \".x.example\") or sender";
            section.problem(section.line(), text);
            None
        }
    }
}

fn place(
    section: &Section<'_, '_>,
    folder: &Path,
    protocol: Option<Protocol>,
) -> Option<RoutePlace> {
    let lmtp = protocol == Some(Protocol::Lmtp);
    let tls = match section.string("tls") {
        Some(text) => section.word("tls", text, &TLS_POLICIES),
        None if lmtp => Some(TlsPolicy::Never),
        None => Some(TlsPolicy::Verified),
    };
    let port = port(section, lmtp, tls);
    let login = login(section, folder);
    let names = match section.strings_or_string("host") {
        Some(names) => names,
        None => {
            section.problem(section.line(), "host is missing in [[outgoing.route]]");
            return None;
        }
    };
    if let [name] = names.as_slice()
        && let Some(path) = name.value.strip_prefix(SOCKET)
    {
        if !lmtp {
            section.problem(name.line, "a socket takes protocol = \"lmtp\"");
        }
        return Some(RoutePlace::Socket(folder.join(path)));
    }
    let (tls, port) = (tls?, port?);
    let mut hosts = Vec::new();
    for name in names {
        match host(name.value) {
            Ok(host) => hosts.push(SmartHost {
                host,
                port,
                tls,
                login: login.clone(),
            }),
            Err(error) => section.problem(name.line, format!("host: {error}")),
        }
    }
    (!hosts.is_empty()).then_some(RoutePlace::Hosts(hosts))
}

fn port(section: &Section<'_, '_>, lmtp: bool, tls: Option<TlsPolicy>) -> Option<u16> {
    match section.number("port") {
        None if lmtp => Some(24),
        None if tls == Some(TlsPolicy::Implicit) => Some(465),
        None => Some(587),
        Some(number) => match u16::try_from(number.value) {
            Ok(port) if port > 0 => Some(port),
            _ => {
                section.problem(number.line, "port must be 1 to 65535");
                None
            }
        },
    }
}

/// A name or an address.
pub(crate) fn host(text: &str) -> Result<Domain, String> {
    match text.parse::<IpAddr>() {
        Ok(ip) => Ok(Domain::literal(ip)),
        Err(_) => Domain::parse(text).map_err(|error| error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Problems;
    use super::super::file::File;
    use super::*;

    fn read(text: &str) -> (OutgoingConfig, String) {
        let file = File::parse(text, Problems::new(Path::new("x.toml")));
        let mut config = OutgoingConfig::default();
        outgoing(&file.root(), Path::new("/etc"), &mut config);
        (config, file.into_problems().to_string())
    }

    #[test]
    fn routes_have_a_rule_and_a_place() {
        let (config, problems) = read(
            "[outgoing]\nsource = [\"192.0.2.5 out5.example.com\", \"2001:db8::5\"]\n\
             addresses = \"ipv4-first\"\n\
             [[outgoing.route]]\ndomain = \".example.org\"\nhost = [\"a.test\", \"192.0.2.9\"]\n\
             [[outgoing.route]]\nname = \"boss\"\nsender = \"boss@me.test\"\nhost = \"a.test\"\n\
             tls = \"implicit\"\nlogin = \"l\"\npassword = \"p\"\n\
             [[outgoing.route]]\ndomain = \"store.test\"\nprotocol = \"lmtp\"\nhost = \"unix:run/lmtp\"\n",
        );
        assert_eq!(problems, "");
        assert_eq!(config.sources.len(), 2);
        let [below, boss, store] = config.routes.as_slice() else {
            panic!("{config:?}")
        };
        assert_eq!(
            (below.name.as_str(), boss.name.as_str()),
            (".example.org", "boss")
        );
        assert!(matches!(&below.place, RoutePlace::Hosts(hosts) if hosts.len() == 2));
        assert!(matches!(&boss.place, RoutePlace::Hosts(hosts) if hosts[0].port == 465));
        assert!(
            matches!(&store.place, RoutePlace::Socket(path) if path == Path::new("/etc/run/lmtp"))
        );
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        let (_, problems) = read(
            "[outgoing]\nsource = [\"here\"]\nadresses = \"ipv4-first\"\n\
             [[outgoing.route]]\nhost = \"a.test\"\n\
             [[outgoing.route]]\ndomain = \"a.test\"\nsender = \"b.test\"\nhost = \"unix:/x\"\n",
        );
        for expected in [
            "source: \"here\" is not an IP address",
            "did you mean \"addresses\"",
            "a route needs domain",
            "give domain or sender, not both",
            "a socket takes protocol = \"lmtp\"",
        ] {
            assert!(problems.contains(expected), "{expected}: {problems}");
        }
    }
}
