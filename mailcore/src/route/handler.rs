//! [`AddressHandler`]: what holds for one address before anything else does,
//! and the text form in which it is kept: a line for each word.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

use super::host::HostRoute;
use crate::address::Address;
use crate::mailbox::MailboxName;
use crate::seams::Attachments;

/// Addresses that one handler may name.
const MAX_ADDRESSES: usize = 1_000;

/// What is done with mail for one address. The default changes nothing and
/// still puts the address on the list of a domain that takes listed ones only.
///
/// ```
/// # use mailcore::route::AddressHandler;
/// let handler: AddressHandler = "to ann@b.test\ncopy watch@b.test\nno-attachments".parse()?;
/// assert_eq!(handler.copy_to.len(), 1);
/// assert_eq!(handler.to_string().parse(), Ok(handler));
/// # Ok::<(), mailcore::route::HandlerError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct AddressHandler {
    /// Where it goes instead of where it would go.
    pub delivery: Option<Delivery>,
    /// Who gets a copy.
    pub copy_to: Vec<Address>,
    /// Octets that a message may have.
    pub max_size: Option<u64>,
    /// Whether it may have attachments.
    pub attachments: Attachments,
}

/// Where a handler sends mail.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Delivery {
    /// To other addresses.
    Addresses(Vec<Address>),
    /// To a host, under the same address.
    Host(HostRoute),
    /// To an agent in this process: `hook:orders@b.test`.
    Agent(Arc<str>),
    /// Into this mailbox of the account that the address stands for.
    Mailbox(MailboxName),
    /// Nowhere, without a word.
    Discard,
    /// Nowhere, with these words.
    Refuse(Arc<str>),
}

/// Why a text is no [`AddressHandler`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "\"{line}\": {reason}; write to ADDRESS, host HOST:PORT, agent NAME, mailbox NAME, discard, \
     refuse WORDS, copy ADDRESS, max-size OCTETS or no-attachments"
)]
pub struct HandlerError {
    line: String,
    reason: String,
}

impl AddressHandler {
    fn line(&mut self, word: &str, rest: &str) -> Result<(), String> {
        let address = || Address::parse(rest).map_err(|error| error.to_string());
        match word {
            "to" => return self.deliver_to(address()?),
            "copy" => {
                self.copy_to.push(address()?);
                if self.copy_to.len() > MAX_ADDRESSES {
                    return Err(format!("up to {MAX_ADDRESSES} addresses get a copy"));
                }
            }
            "max-size" => {
                let size = rest.parse().map_err(|_| "not a number of octets");
                self.max_size = Some(size?);
            }
            "no-attachments" => self.attachments = Attachments::Refused,
            _ => {
                let delivery = delivery(word, rest)?;
                if self.delivery.replace(delivery).is_some() {
                    return Err("there is another place already".to_owned());
                }
            }
        }
        Ok(())
    }

    fn deliver_to(&mut self, address: Address) -> Result<(), String> {
        match &mut self.delivery {
            None => self.delivery = Some(Delivery::Addresses(vec![address])),
            Some(Delivery::Addresses(all)) if all.len() < MAX_ADDRESSES => all.push(address),
            Some(_) => return Err("there is another place already".to_owned()),
        }
        Ok(())
    }
}

fn delivery(word: &str, rest: &str) -> Result<Delivery, String> {
    let needed = || match rest.is_empty() {
        true => Err("something is missing after it".to_owned()),
        false => Ok(rest),
    };
    Ok(match word {
        "host" => Delivery::Host(
            rest.parse()
                .map_err(|error: super::HostError| error.to_string())?,
        ),
        "agent" => Delivery::Agent(needed()?.into()),
        "mailbox" => {
            let name = MailboxName::parse(rest);
            Delivery::Mailbox(name.map_err(|error| error.to_string())?)
        }
        "discard" => Delivery::Discard,
        "refuse" => Delivery::Refuse(needed()?.into()),
        _ => return Err("not known here".to_owned()),
    })
}

impl FromStr for AddressHandler {
    type Err = HandlerError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut handler = Self::default();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            let read = handler.line(word, rest.trim());
            read.map_err(|reason| HandlerError {
                line: line.to_owned(),
                reason,
            })?;
        }
        Ok(handler)
    }
}

impl fmt::Display for AddressHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines: Vec<String> = match &self.delivery {
            None => Vec::new(),
            Some(Delivery::Addresses(all)) => all.iter().map(|it| format!("to {it}")).collect(),
            Some(Delivery::Host(host)) => vec![format!("host {host}")],
            Some(Delivery::Agent(name)) => vec![format!("agent {name}")],
            Some(Delivery::Mailbox(name)) => vec![format!("mailbox {name}")],
            Some(Delivery::Discard) => vec!["discard".to_owned()],
            Some(Delivery::Refuse(words)) => vec![format!("refuse {words}")],
        };
        lines.extend(self.copy_to.iter().map(|it| format!("copy {it}")));
        lines.extend(self.max_size.map(|size| format!("max-size {size}")));
        if self.attachments == Attachments::Refused {
            lines.push("no-attachments".to_owned());
        }
        f.write_str(&lines.join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handler_comes_back_as_it_went() {
        for text in [
            "",
            "to a@b.test\nto c@b.test\ncopy d@b.test\nmax-size 1000\nno-attachments",
            "host inner.test:2525",
            "host lmtp:[192.0.2.1]:24\ncopy a@b.test",
            "agent hook:orders@b.test",
            "mailbox Lists/rust",
            "discard",
            "refuse write to sales@b.test instead",
        ] {
            let handler: AddressHandler = text.parse().unwrap();
            assert_eq!(handler.to_string(), text);
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, said) in [
            ("to nobody", "\"to nobody\""),
            ("fly away", "\"fly away\": not known"),
            ("discard\nto a@b.test", "\"to a@b.test\": there is another"),
            ("refuse", "\"refuse\": something is missing"),
            ("max-size big", "not a number"),
        ] {
            let error = text.parse::<AddressHandler>().unwrap_err().to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
