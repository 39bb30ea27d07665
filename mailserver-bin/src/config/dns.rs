//! `[dns]`: who is asked, and whether what is said is validated.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use mailcore::net::TrustAnchors;

use super::file::Section;

/// How names are looked up.
#[derive(Debug, Clone, Default)]
pub(crate) struct DnsConfig {
    /// Recursive resolvers; none for the system's.
    pub(crate) servers: Vec<SocketAddr>,
    pub(crate) dnssec: Dnssec,
    /// True to believe the system's hosts file before DNS.
    pub(crate) hosts_file: bool,
}

/// What makes an answer count as signed.
#[derive(Debug, Clone, Default)]
pub(crate) enum Dnssec {
    /// Nothing: no answer does.
    #[default]
    Off,
    /// Signatures validated by this server, from these keys on.
    Validate(TrustAnchors),
}

#[derive(Debug, Clone, Copy)]
enum Mode {
    Off,
    Validate,
}

const MODES: [(&str, Mode); 2] = [("off", Mode::Off), ("validate", Mode::Validate)];

/// Reads the table.
pub(super) fn dns(root: &Section<'_, '_>, folder: &Path, config: &mut DnsConfig) {
    let dns = root.section("dns", "[dns]");
    for text in dns.strings("servers").unwrap_or_default() {
        let ip = text.value.parse::<IpAddr>();
        let server = ip.map(|ip| SocketAddr::new(ip, 53));
        match server.or_else(|_| text.value.parse()) {
            Ok(server) => config.servers.push(server),
            Err(_) => {
                let problem = format!(
                    "servers: \"{}\" is not an IP address or IP:port",
                    text.value
                );
                dns.problem(text.line, problem);
            }
        }
    }
    config.hosts_file = dns.flag("use_hosts_file").unwrap_or_default();
    let mode = dns
        .string("dnssec")
        .and_then(|text| dns.word("dnssec", text, &MODES));
    let anchors = dns.string("trust_anchor").and_then(|text| {
        let path = folder.join(text.value);
        let read = std::fs::read_to_string(&path).map_err(|error| error.to_string());
        let anchors =
            read.and_then(|keys| TrustAnchors::parse(&keys).map_err(|error| error.to_string()));
        match anchors {
            Ok(anchors) => Some(anchors),
            Err(error) => {
                let problem = format!("trust_anchor: {}: {error}", path.display());
                dns.problem(text.line, problem);
                None
            }
        }
    });
    if let Some(Mode::Validate) = mode {
        config.dnssec = Dnssec::Validate(anchors.unwrap_or_else(TrustAnchors::root));
    } else if anchors.is_some() {
        let line = dns.line();
        dns.problem(line, "trust_anchor: needs dnssec = \"validate\"");
    }
    dns.finish();
}
