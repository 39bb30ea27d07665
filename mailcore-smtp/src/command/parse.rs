//! Octets as commands: what the server reads.
//!
//! Tolerated, because deployed clients do it: spaces after the colon of
//! `MAIL FROM:` and `RCPT TO:`, several spaces between parameters, spaces at
//! the end, an IPv6 literal without its tag in EHLO. Anything else that the
//! grammar forbids is refused.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mailcore::account::Secret;
use mailcore::address::{Address, AddressError, Domain, ForwardPath, ReversePath};
use mailcore::envelope::{BodyType, MailParams, Notify, OriginalRecipient, Priority, Ret};

use super::encode::is_address_type_char;
use super::{
    Auth, By, Command, CommandError, Hold, MAX_ENVID, MAX_ORCPT, Mail, Rcpt, Verb, Xclient, xtext,
};

impl Command {
    /// Parses one line, given without its CRLF.
    ///
    /// # Errors
    /// [`CommandError`], typed by what is to blame.
    pub fn parse(line: &[u8]) -> Result<Self, CommandError> {
        let text = std::str::from_utf8(line).map_err(|_| CommandError::NotText)?;
        if is_http(text) {
            return Err(CommandError::Http);
        }
        if text.chars().any(char::is_control) {
            return Err(CommandError::NotText);
        }
        let (word, arguments) = text.split_once(' ').unwrap_or((text, ""));
        let arguments = arguments.trim_matches(' ');
        match Verb::parse(word)? {
            Verb::Helo => client_name(arguments, "HELO domain").map(Self::Helo),
            Verb::Ehlo => client_name(arguments, "EHLO domain").map(Self::Ehlo),
            Verb::Lhlo => client_name(arguments, "LHLO domain").map(Self::Lhlo),
            Verb::Mail => mail(arguments).map(Self::Mail),
            Verb::Rcpt => rcpt(arguments).map(Self::Rcpt),
            Verb::Data => none(arguments, Self::Data, "DATA, without arguments"),
            Verb::Bdat => bdat(arguments),
            Verb::Rset => none(arguments, Self::Rset, "RSET, without arguments"),
            Verb::Noop => Ok(Self::Noop),
            Verb::Quit => none(arguments, Self::Quit, "QUIT, without arguments"),
            Verb::Vrfy => some(arguments, "VRFY string").map(Self::Vrfy),
            Verb::Expn => some(arguments, "EXPN string").map(Self::Expn),
            Verb::Help => Ok(Self::Help(some(arguments, "").ok())),
            Verb::StartTls => none(arguments, Self::StartTls, "STARTTLS, without arguments"),
            Verb::Auth => auth(arguments).map(Self::Auth),
            Verb::Etrn => some(arguments, "ETRN node").map(Self::Etrn),
            Verb::Xclient => Xclient::parse(arguments).map(Self::Xclient),
        }
    }
}

impl Verb {
    fn parse(word: &str) -> Result<Self, CommandError> {
        if let Some(verb) = Self::ALL
            .into_iter()
            .find(|verb| word.eq_ignore_ascii_case(verb.as_str()))
        {
            return Ok(verb);
        }
        // RFC 821's and RFC 2645's, which RFC 5321 appendix F retires.
        let retired = ["SEND", "SOML", "SAML", "TURN", "ATRN"];
        Err(
            match retired.iter().any(|verb| word.eq_ignore_ascii_case(verb)) {
                true => CommandError::NotImplemented,
                false => CommandError::UnknownVerb,
            },
        )
    }
}

/// The beginnings of an HTTP request and of the header line that follows it.
fn is_http(text: &str) -> bool {
    let starts = |prefix: &str| {
        text.get(..prefix.len())
            .is_some_and(|head| head.eq_ignore_ascii_case(prefix))
    };
    [
        "GET ", "POST ", "PUT ", "HEAD ", "CONNECT ", "OPTIONS ", "DELETE ", "PATCH ", "Host:",
    ]
    .into_iter()
    .any(starts)
}

fn none(arguments: &str, command: Command, usage: &'static str) -> Result<Command, CommandError> {
    if arguments.is_empty() {
        Ok(command)
    } else {
        Err(CommandError::Usage(usage))
    }
}

fn some(arguments: &str, usage: &'static str) -> Result<String, CommandError> {
    if arguments.is_empty() {
        Err(CommandError::Usage(usage))
    } else {
        Ok(arguments.to_owned())
    }
}

/// `Domain / address-literal`, in A-labels: the name goes into trace fields of
/// messages that may not be internationalized (RFC 6531 section 3.7.3).
fn client_name(arguments: &str, usage: &'static str) -> Result<Domain, CommandError> {
    let untagged = || {
        let inner = arguments.strip_prefix('[')?.strip_suffix(']')?;
        inner.parse::<IpAddr>().ok().map(Domain::literal)
    };
    let named = Domain::parse(arguments)
        .and_then(|name| name.to_ascii())
        .ok();
    named.or_else(untagged).ok_or(CommandError::Usage(usage))
}

const MAIL_USAGE: &str = "MAIL FROM:<address> [parameters]";
const RCPT_USAGE: &str = "RCPT TO:<address> [parameters]";

fn mail(arguments: &str) -> Result<Mail, CommandError> {
    let (path, rest) = split_path(arguments, "FROM:", MAIL_USAGE)?;
    let path = path.ok_or(CommandError::ReversePath(AddressError::Brackets))?;
    let reverse_path = ReversePath::parse(path).map_err(CommandError::ReversePath)?;
    let mut mail = Mail::new(reverse_path);
    let mut seen = Seen::default();
    for (keyword, value) in params(rest, MAIL_USAGE)? {
        mail_param(&mut mail, &mut seen, keyword, value)?;
    }
    Ok(mail)
}

/// The one or the other (RFC 4865): one name counts them together.
const HOLD: &str = "HOLDFOR or HOLDUNTIL";

fn mail_param(
    mail: &mut Mail,
    seen: &mut Seen,
    keyword: &str,
    value: Option<&str>,
) -> Result<(), CommandError> {
    let params: &mut MailParams = &mut mail.params;
    match keyword.to_ascii_uppercase().as_str() {
        "SIZE" => params.size = Some(seen.once("SIZE", value.and_then(size))?),
        "BODY" => params.body = seen.once("BODY", value.and_then(body))?,
        "SMTPUTF8" => params.smtputf8 = seen.once("SMTPUTF8", value.is_none().then_some(true))?,
        "REQUIRETLS" => {
            params.require_tls = seen.once("REQUIRETLS", value.is_none().then_some(true))?
        }
        "RET" => params.ret = Some(seen.once("RET", value.and_then(ret))?),
        "ENVID" => params.envelope_id = Some(seen.once("ENVID", value.and_then(envelope_id))?),
        "MT-PRIORITY" => {
            params.priority = seen.once("MT-PRIORITY", value.and_then(priority))?;
        }
        "HOLDFOR" => mail.hold = Some(seen.once(HOLD, value.and_then(Hold::parse_for))?),
        "HOLDUNTIL" => mail.hold = Some(seen.once(HOLD, value.and_then(Hold::parse_until))?),
        "BY" => mail.by = Some(seen.once("BY", value.and_then(By::parse))?),
        "AUTH" => mail.submitter = Some(seen.once("AUTH", value.and_then(submitter))?),
        _ => return Err(CommandError::UnknownParameter(keyword.to_owned())),
    }
    Ok(())
}

fn rcpt(arguments: &str) -> Result<Rcpt, CommandError> {
    let (path, rest) = split_path(arguments, "TO:", RCPT_USAGE)?;
    let path = path.ok_or(CommandError::ForwardPath(AddressError::Brackets))?;
    let forward_path = ForwardPath::parse(path).map_err(CommandError::ForwardPath)?;
    let mut rcpt = Rcpt::new(forward_path);
    let mut seen = Seen::default();
    for (keyword, value) in params(rest, RCPT_USAGE)? {
        match keyword.to_ascii_uppercase().as_str() {
            "NOTIFY" => rcpt.notify = seen.once("NOTIFY", value.and_then(notify))?,
            "ORCPT" => rcpt.original = Some(seen.once("ORCPT", value.and_then(original))?),
            _ => return Err(CommandError::UnknownParameter(keyword.to_owned())),
        }
    }
    Ok(rcpt)
}

/// Which parameters a command has already given: none may come twice (RFC
/// 3461 section 4.5; the others follow it).
#[derive(Default)]
struct Seen(Vec<&'static str>);

impl Seen {
    fn once<T>(&mut self, keyword: &'static str, value: Option<T>) -> Result<T, CommandError> {
        if self.0.contains(&keyword) {
            return Err(CommandError::RepeatedParameter(keyword));
        }
        self.0.push(keyword);
        value.ok_or(CommandError::BadParameter(keyword))
    }
}

/// Splits `FROM:<path> rest`; the path keeps its brackets and is `None` when
/// they are not there.
fn split_path<'a>(
    arguments: &'a str,
    label: &str,
    usage: &'static str,
) -> Result<(Option<&'a str>, &'a str), CommandError> {
    let (head, tail) = arguments
        .split_at_checked(label.len())
        .ok_or(CommandError::Usage(usage))?;
    if !head.eq_ignore_ascii_case(label) {
        return Err(CommandError::Usage(usage));
    }
    let tail = tail.trim_start_matches(' ');
    let Some((path, rest)) = path_end(tail).and_then(|end| tail.split_at_checked(end)) else {
        return Ok((None, tail));
    };
    if rest.is_empty() || rest.starts_with(' ') {
        Ok((Some(path), rest))
    } else {
        Err(CommandError::Usage(usage))
    }
}

/// The length of the `<...>` that `text` starts with; a `>` within a quoted
/// local part does not end it.
fn path_end(text: &str) -> Option<usize> {
    if !text.starts_with('<') {
        return None;
    }
    let (mut quoted, mut escaped) = (false, false);
    for (at, octet) in text.bytes().enumerate() {
        match octet {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'>' if !quoted => return Some(at + 1),
            _ => {}
        }
    }
    None
}

type Param<'a> = (&'a str, Option<&'a str>);

/// `esmtp-param = esmtp-keyword ["=" esmtp-value]` (RFC 5321 section 4.1.2).
fn params<'a>(rest: &'a str, usage: &'static str) -> Result<Vec<Param<'a>>, CommandError> {
    let is_keyword = |text: &str| {
        text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    rest.split(' ')
        .filter(|word| !word.is_empty())
        .map(|word| match word.split_once('=') {
            Some((keyword, value)) if is_keyword(keyword) && !value.is_empty() => {
                Ok((keyword, Some(value)))
            }
            None if is_keyword(word) => Ok((word, None)),
            _ => Err(CommandError::Usage(usage)),
        })
        .collect()
}

/// `size-value = 1*20DIGIT` (RFC 1870 section 5). A number that 64 bits cannot
/// hold is as malformed as one of 21 digits.
fn size(value: &str) -> Option<u64> {
    let digits = (1..=20).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| value.parse().ok()).flatten()
}

fn body(value: &str) -> Option<BodyType> {
    match value.to_ascii_uppercase().as_str() {
        "7BIT" => Some(BodyType::SevenBit),
        "8BITMIME" => Some(BodyType::EightBitMime),
        "BINARYMIME" => Some(BodyType::BinaryMime),
        _ => None,
    }
}

/// `priority-value = (["-"] NZDIGIT) / "0"` (RFC 6710 section 7).
fn priority(value: &str) -> Option<Priority> {
    let number: i8 = value.parse().ok()?;
    let exact = number.to_string() == value;
    exact.then(|| Priority::new(number)).flatten()
}

fn ret(value: &str) -> Option<Ret> {
    match value.to_ascii_uppercase().as_str() {
        "FULL" => Some(Ret::Full),
        "HDRS" => Some(Ret::Headers),
        _ => None,
    }
}

/// Decoded xtext of printable ASCII: what a DSN's fields can show (RFC 3461
/// sections 4.2 and 4.4).
fn printable(value: &str) -> Option<String> {
    let octets = xtext::decode(value)?;
    let printable = !octets.is_empty() && octets.iter().all(|octet| (b' '..=b'~').contains(octet));
    printable.then(|| String::from_utf8(octets).ok()).flatten()
}

fn envelope_id(value: &str) -> Option<String> {
    if value.len() > MAX_ENVID {
        None
    } else {
        printable(value)
    }
}

fn submitter(value: &str) -> Option<ReversePath> {
    if value == "<>" {
        return Some(ReversePath::Null);
    }
    let text = String::from_utf8(xtext::decode(value)?).ok()?;
    Address::parse(&text).ok().map(ReversePath::Address)
}

fn notify(value: &str) -> Option<Notify> {
    let mut notify = Notify::NEVER;
    if value.eq_ignore_ascii_case("NEVER") {
        return Some(notify);
    }
    for word in value.split(',') {
        match word.to_ascii_uppercase().as_str() {
            "SUCCESS" => notify.success = true,
            "FAILURE" => notify.failure = true,
            "DELAY" => notify.delay = true,
            _ => return None,
        }
    }
    Some(notify)
}

fn original(value: &str) -> Option<OriginalRecipient> {
    if value.len() > MAX_ORCPT {
        return None;
    }
    let (address_type, address) = value.split_once(';')?;
    if address_type.is_empty() || !address_type.chars().all(is_address_type_char) {
        return None;
    }
    let address = if address_type.eq_ignore_ascii_case("utf-8") {
        xtext::decode_unitext(address)
            .filter(|decoded| !decoded.is_empty() && !decoded.chars().any(char::is_control))?
    } else {
        printable(address)?
    };
    Some(OriginalRecipient {
        address_type: address_type.to_owned(),
        address,
    })
}

fn bdat(arguments: &str) -> Result<Command, CommandError> {
    let usage = CommandError::Usage("BDAT size [LAST]");
    let mut words = arguments.split(' ').filter(|word| !word.is_empty());
    let size = words.next().and_then(size).ok_or(usage.clone())?;
    let last = match words.next() {
        None => false,
        Some(word) if word.eq_ignore_ascii_case("LAST") => true,
        Some(_) => return Err(usage),
    };
    if words.next().is_some() {
        Err(usage)
    } else {
        Ok(Command::Bdat { size, last })
    }
}

/// `sasl-mech = 1*20mech-char` (RFC 4422 section 3.1).
fn auth(arguments: &str) -> Result<Auth, CommandError> {
    let usage = CommandError::Usage("AUTH mechanism [initial-response]");
    let (mechanism, response) = match arguments.split_once(' ') {
        Some((mechanism, response)) => (mechanism, Some(response.trim_start_matches(' '))),
        None => (arguments, None),
    };
    let mechanism_char = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if !(1..=20).contains(&mechanism.len()) || !mechanism.bytes().all(mechanism_char) {
        return Err(usage);
    }
    let initial_response = match response {
        None => None,
        Some("=") => Some(Secret::default()),
        Some(text) => Some(Secret::new(
            STANDARD.decode(text).map_err(|_| CommandError::Base64)?,
        )),
    };
    Ok(Auth {
        mechanism: mechanism.to_ascii_uppercase(),
        initial_response,
    })
}
