//! `environment` (RFC 5183).

use std::net::IpAddr;
use std::sync::Arc;

use super::{Extension, imapsieve};
use crate::engine::ast::Test;
use crate::engine::compile::{Args, Compile, Known, Text};
use crate::engine::matching::{Matching, Options};
use crate::engine::program::Instruction;
use crate::engine::run::{Context, Fault, Flow};
use crate::engine::{CompileError, Environment, Event};

pub(super) static ENVIRONMENT: Extension = Extension::new("environment")
    .tests(&[("environment", compile)])
    .at(&Event::ALL);

#[derive(Debug)]
struct TestEnvironment {
    name: Text,
    matching: Matching,
}

fn compile(cx: &mut Compile<'_>, test: &Test) -> Result<Known, CompileError> {
    let mut args = Args::test(test)?;
    let options = Options::take(cx, &mut args)?;
    let name = args.text(cx, "the name of an item")?;
    let matching = options.keys(cx, &mut args)?;
    args.end()?;
    Ok(cx.emit_test(TestEnvironment { name, matching }))
}

impl Instruction for TestEnvironment {
    fn run(&self, cx: &mut Context<'_>) -> Result<Flow, Fault> {
        let name = self.name.value(cx)?;
        let Some(value) = item(cx.environment, &name) else {
            return Ok(Flow::Result(false));
        };
        // The empty string counts for nothing (RFC 5183 section 4).
        let value: Option<Arc<str>> =
            (!value.is_empty() || !self.matching.counts()).then(|| value.into());
        self.matching.test(cx, value.as_slice())
    }
}

/// The value of an item; `None` for one that is not known.
fn item(environment: &Environment, name: &str) -> Option<String> {
    let session = &environment.session;
    let of = |text: &Option<String>| text.clone().unwrap_or_default();
    Some(match name.to_ascii_lowercase().as_str() {
        "domain" => environment.domain.clone(),
        "host" => environment.host.clone(),
        "location" => match environment.event {
            Event::Delivery => "MDA",
            // RFC 6785 section 4.1.
            Event::Imap => "MS",
            _ => "MTA",
        }
        .into(),
        "name" => "mailcore".into(),
        "phase" => match environment.event {
            Event::Delivery => "during",
            Event::Imap => "post",
            _ => "pre",
        }
        .into(),
        "remote-host" => of(&session.host),
        "remote-ip" => session.ip.map(literal).unwrap_or_default(),
        "version" => env!("CARGO_PKG_VERSION").into(),
        "vnd.mailcore.event" => environment.event.as_str().into(),
        "vnd.mailcore.helo" => of(&session.helo),
        other => {
            let mut items = environment.items.iter();
            let found = items.find(|(item, _)| item.eq_ignore_ascii_case(other));
            match found {
                Some((_, value)) => value.clone(),
                None if imapsieve::ITEMS.contains(&other) => String::new(),
                None => return None,
            }
        }
    })
}

/// As in an address literal (RFC 5321 section 4.1.3), which is how RFC 5183 section
/// 4.1 has it written.
fn literal(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("IPv6:{ip}"),
    }
}
