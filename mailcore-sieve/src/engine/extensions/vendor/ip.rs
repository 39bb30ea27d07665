//! `vnd.mailcore.ip`: the test `ip`, of the peer's address.
//!
//! `ip :cidr ["192.0.2.0/24", "10.*"]`; `ip "public"`, `"private"`, `"ssl"`,
//! `"known"`.

use std::net::IpAddr;

use super::super::{Extension, IN_SESSION};
use super::network::Network;
use crate::engine::CompileError;
use crate::engine::ast::Test;
use crate::engine::compile::{Args, Compile, Known, Text, Texts};
use crate::engine::program::Instruction;
use crate::engine::run::{Context, Fault, Flow};

pub(in super::super) static IP: Extension = Extension::new("vnd.mailcore.ip")
    .tests(&[("ip", ip)])
    .at(IN_SESSION);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Public,
    Private,
    /// The session is encrypted.
    Ssl,
    /// The peer logged in, or is trusted.
    Known,
}

fn ip(cx: &mut Compile<'_>, test: &Test) -> Result<Known, CompileError> {
    let mut args = Args::test(test)?;
    if args.flag(cx, "cidr")?.is_some() {
        let networks = args.texts(cx, "networks, such as \"192.0.2.0/24\"")?;
        args.end()?;
        for network in networks.iter().filter_map(Text::fixed) {
            if Network::parse(network).is_none() {
                return Err(CompileError::new(test.at, wrong(network)));
            }
        }
        return Ok(cx.emit_test(InNetwork(networks)));
    }
    let (name, at) = args.fixed("`:cidr` and networks, or \"public\" or \"private\"")?;
    args.end()?;
    let class = match name.to_ascii_lowercase().as_str() {
        "public" => Class::Public,
        "private" => Class::Private,
        "ssl" => Class::Ssl,
        "known" | "des" => Class::Known,
        _ => {
            let words =
                "write \"public\", \"private\", \"ssl\", \"known\", or `:cidr` and networks";
            return Err(CompileError::new(at, words));
        }
    };
    Ok(cx.emit_test(class))
}

fn wrong(network: &str) -> String {
    format!(
        "\"{}\" is no network: write \"192.0.2.0/24\", \"2001:db8::/32\" or \"10.*.*.*\"",
        network.escape_debug()
    )
}

#[derive(Debug)]
struct InNetwork(Texts);

impl Instruction for InNetwork {
    fn run(&self, cx: &mut Context<'_>) -> Result<Flow, Fault> {
        let Some(ip) = cx.environment.session.ip else {
            return Ok(Flow::Result(false));
        };
        for text in &self.0 {
            let text = text.value(cx)?;
            cx.look(text.len() * 16)?;
            let network = Network::parse(&text).ok_or_else(|| Fault::new(wrong(&text)))?;
            if network.contains(ip) {
                return Ok(Flow::Result(true));
            }
        }
        Ok(Flow::Result(false))
    }
}

impl Instruction for Class {
    fn run(&self, cx: &mut Context<'_>) -> Result<Flow, Fault> {
        let has = |name: &str| {
            let mut items = cx.environment.items.iter();
            items.any(|(item, value)| &**item == name && !value.is_empty())
        };
        let ip = cx.environment.session.ip;
        Ok(Flow::Result(match self {
            Self::Public => ip.is_some_and(|ip| !is_private(ip)),
            Self::Private => ip.is_some_and(is_private),
            Self::Ssl => has("vnd.mailcore.tls"),
            Self::Known => has("vnd.mailcore.known"),
        }))
    }
}

/// Addresses that nobody has on the Internet.
fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_private() || ip.is_loopback() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}
