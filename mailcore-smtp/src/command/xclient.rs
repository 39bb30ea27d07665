//! XCLIENT: what a trusted proxy says of the client it speaks for, as Postfix
//! defines it in its XCLIENT_README.
//!
//! Attributes that are not known are an error, since the EHLO reply names those
//! that are.

use std::net::IpAddr;

use super::{CommandError, xtext};

/// The attributes of one XCLIENT command; `None` is one that was not given.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Xclient {
    /// `ADDR`: the client's address.
    pub address: Option<Told<IpAddr>>,
    /// `PORT`: its port.
    pub port: Option<Told<u16>>,
    /// `NAME`: its host name.
    pub name: Option<Told<String>>,
    /// `HELO`: what it called itself.
    pub helo: Option<Told<String>>,
    /// `PROTO`: `SMTP` or `ESMTP`.
    pub protocol: Option<String>,
    /// `LOGIN`: who it proved to be.
    pub login: Option<Told<String>>,
}

/// What a proxy tells of an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told<T> {
    /// Its value.
    Is(T),
    /// `[UNAVAILABLE]` or `[TEMPUNAVAIL]`.
    Unknown,
}

impl<T> Told<T> {
    fn shown(&self, show: impl FnOnce(&T) -> String) -> String {
        match self {
            Self::Is(value) => show(value),
            Self::Unknown => "[UNAVAILABLE]".to_owned(),
        }
    }
}

/// Octets of a value: a host name at its longest.
const MAX_VALUE: usize = 255;

const USAGE: CommandError = CommandError::Usage("XCLIENT name=value [name=value]");

impl Xclient {
    /// The attributes, as the EHLO reply lists them. `DESTADDR` and `DESTPORT`
    /// are taken and mean nothing here.
    pub const ATTRIBUTES: &str = "NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT";

    pub(super) fn parse(arguments: &str) -> Result<Self, CommandError> {
        let mut found = Self::default();
        let mut words = arguments
            .split(' ')
            .filter(|word| !word.is_empty())
            .peekable();
        if words.peek().is_none() {
            return Err(USAGE);
        }
        for word in words {
            let (name, value) = word.split_once('=').ok_or(USAGE)?;
            found.take(&name.to_ascii_uppercase(), value)?;
        }
        Ok(found)
    }

    pub(super) fn encode(&self, line: &mut String) {
        let address = self.address.as_ref().map(|told| {
            told.shown(|address| match address {
                IpAddr::V4(_) => address.to_string(),
                IpAddr::V6(_) => format!("IPV6:{address}"),
            })
        });
        let text = |told: &Option<Told<String>>| told.as_ref().map(|it| it.shown(String::clone));
        let given = [
            ("NAME", text(&self.name)),
            ("ADDR", address),
            (
                "PORT",
                self.port.as_ref().map(|it| it.shown(u16::to_string)),
            ),
            ("PROTO", self.protocol.clone()),
            ("HELO", text(&self.helo)),
            ("LOGIN", text(&self.login)),
        ];
        for (name, value) in given {
            if let Some(value) = value {
                line.push_str(&format!(" {name}="));
                xtext::encode(value.as_bytes(), line);
            }
        }
    }

    fn take(&mut self, name: &str, value: &str) -> Result<(), CommandError> {
        let text = xtext::decode(value)
            .and_then(|octets| String::from_utf8(octets).ok())
            .filter(|text| !text.is_empty() && text.len() <= MAX_VALUE)
            .filter(|text| !text.chars().any(char::is_control));
        let bad = CommandError::BadParameter;
        match name {
            "ADDR" => self.address = Some(told(text, address).ok_or(bad("ADDR"))?),
            "PORT" => self.port = Some(told(text, |text| text.parse().ok()).ok_or(bad("PORT"))?),
            "NAME" => self.name = Some(told(text, own).ok_or(bad("NAME"))?),
            "HELO" => self.helo = Some(told(text, own).ok_or(bad("HELO"))?),
            "LOGIN" => self.login = Some(told(text, own).ok_or(bad("LOGIN"))?),
            "PROTO" => self.protocol = Some(text.and_then(|it| protocol(&it)).ok_or(bad("PROTO"))?),
            "DESTADDR" | "DESTPORT" => {
                text.ok_or(bad("DESTADDR"))?;
            }
            _ => return Err(USAGE),
        }
        Ok(())
    }
}

fn told<T>(text: Option<String>, read: impl FnOnce(&str) -> Option<T>) -> Option<Told<T>> {
    let text = text?;
    let unknown = ["[UNAVAILABLE]", "[TEMPUNAVAIL]"]
        .iter()
        .any(|word| text.eq_ignore_ascii_case(word));
    if unknown {
        Some(Told::Unknown)
    } else {
        read(&text).map(Told::Is)
    }
}

fn own(text: &str) -> Option<String> {
    Some(text.to_owned())
}

/// IPv6 addresses have `IPV6:` before them.
fn address(text: &str) -> Option<IpAddr> {
    match text.split_at_checked(5) {
        Some((tag, rest)) if tag.eq_ignore_ascii_case("IPV6:") => rest.parse().ok().map(IpAddr::V6),
        _ => text.parse().ok(),
    }
}

fn protocol(text: &str) -> Option<String> {
    let word = text.to_ascii_uppercase();
    matches!(word.as_str(), "SMTP" | "ESMTP").then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_read_in_any_order_and_case() {
        let asked = Xclient::parse("addr=IPv6:2001:db8::1 PORT=4711 helo=a+2Bb NAME=[UNAVAILABLE]")
            .unwrap();
        assert_eq!(
            asked.address,
            Some(Told::Is("2001:db8::1".parse().unwrap()))
        );
        assert_eq!(asked.port, Some(Told::Is(4711)));
        assert_eq!(asked.helo, Some(Told::Is("a+b".into())));
        assert_eq!((asked.name, asked.login), (Some(Told::Unknown), None));
        let mut line = String::from("XCLIENT");
        let given = Xclient::parse("LOGIN=tim ADDR=IPV6:2001:db8::1 PROTO=esmtp").unwrap();
        given.encode(&mut line);
        assert_eq!(line, "XCLIENT ADDR=IPV6:2001:db8::1 PROTO=ESMTP LOGIN=tim");
        for bad in [
            "",
            "ADDR",
            "ADDR=x",
            "PROTO=HTTP",
            "PORT=70000",
            "FOO=1",
            "HELO=a+0Db",
        ] {
            assert!(Xclient::parse(bad).is_err(), "{bad}");
        }
    }
}
