//! Commands as octets: what the client sends.
//!
//! No value can add a line: control characters in free text become spaces, all
//! else is encoded by its own grammar.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mailcore::address::ReversePath;
use mailcore::envelope::{BodyType, Notify, OriginalRecipient, Priority, Ret};

use super::times::moment;
use super::{Auth, Command, Hold, Mail, Rcpt, xtext};

impl Command {
    /// The command line with its CRLF.
    ///
    /// Which of the parameters the peer takes is for the caller to decide: all
    /// that are set are written.
    pub fn encode(&self) -> String {
        let mut line = String::from(self.verb().as_str());
        match self {
            Self::Helo(name) | Self::Ehlo(name) | Self::Lhlo(name) => {
                push_word(&name.to_string(), &mut line);
            }
            Self::Mail(mail) => encode_mail(mail, &mut line),
            Self::Rcpt(rcpt) => encode_rcpt(rcpt, &mut line),
            Self::Bdat { size, last } => {
                push_word(&size.to_string(), &mut line);
                if *last {
                    push_word("LAST", &mut line);
                }
            }
            Self::Vrfy(text) | Self::Expn(text) | Self::Etrn(text) | Self::Help(Some(text)) => {
                push_word(text, &mut line);
            }
            Self::Auth(auth) => encode_auth(auth, &mut line),
            Self::Xclient(asked) => asked.encode(&mut line),
            Self::Data
            | Self::Rset
            | Self::Noop
            | Self::Quit
            | Self::Help(None)
            | Self::StartTls => {}
        }
        line.push_str("\r\n");
        line
    }
}

fn push_word(text: &str, line: &mut String) {
    line.push(' ');
    line.extend(text.chars().map(|c| if c.is_control() { ' ' } else { c }));
}

fn push_param(keyword: &str, value: &str, line: &mut String) {
    line.push(' ');
    line.push_str(keyword);
    line.push('=');
    line.push_str(value);
}

fn encode_mail(mail: &Mail, line: &mut String) {
    line.push_str(" FROM:<");
    line.push_str(&mail.reverse_path.to_string());
    line.push('>');
    let params = &mail.params;
    if let Some(size) = params.size {
        push_param("SIZE", &size.to_string(), line);
    }
    match params.body {
        BodyType::SevenBit => {}
        BodyType::EightBitMime => push_param("BODY", "8BITMIME", line),
        BodyType::BinaryMime => push_param("BODY", "BINARYMIME", line),
    }
    if params.smtputf8 {
        push_word("SMTPUTF8", line);
    }
    if params.require_tls {
        push_word("REQUIRETLS", line);
    }
    if let Some(ret) = params.ret {
        push_param("RET", if ret == Ret::Full { "FULL" } else { "HDRS" }, line);
    }
    if let Some(id) = &params.envelope_id {
        push_param("ENVID", "", line);
        xtext::encode(id.as_bytes(), line);
    }
    if params.priority != Priority::NORMAL {
        push_param("MT-PRIORITY", &params.priority.value().to_string(), line);
    }
    match mail.hold {
        None => {}
        Some(Hold::For(time)) => push_param("HOLDFOR", &time.as_secs().to_string(), line),
        Some(Hold::Until(at)) => push_param("HOLDUNTIL", &moment(at), line),
    }
    if let Some(by) = mail.by {
        push_param("BY", &by.to_string(), line);
    }
    match &mail.submitter {
        None => {}
        Some(ReversePath::Null) => push_param("AUTH", "<>", line),
        Some(ReversePath::Address(address)) => {
            push_param("AUTH", "", line);
            xtext::encode(address.to_string().as_bytes(), line);
        }
    }
}

fn encode_rcpt(rcpt: &Rcpt, line: &mut String) {
    line.push_str(" TO:<");
    line.push_str(&rcpt.forward_path.to_string());
    line.push('>');
    if rcpt.notify != Notify::default() || rcpt.notify.asked {
        push_param("NOTIFY", &notify_value(rcpt.notify), line);
    }
    if let Some(original) = &rcpt.original {
        push_original(original, line);
    }
}

fn notify_value(notify: Notify) -> String {
    let asked = [
        (notify.success, "SUCCESS"),
        (notify.failure, "FAILURE"),
        (notify.delay, "DELAY"),
    ];
    let words: Vec<&str> = asked
        .into_iter()
        .filter(|&(set, _)| set)
        .map(|(_, word)| word)
        .collect();
    if words.is_empty() {
        "NEVER".to_owned()
    } else {
        words.join(",")
    }
}

fn push_original(original: &OriginalRecipient, line: &mut String) {
    push_param("ORCPT", "", line);
    line.extend(
        original
            .address_type
            .chars()
            .filter(|&c| is_address_type_char(c)),
    );
    line.push(';');
    if original.address_type.eq_ignore_ascii_case("utf-8") {
        xtext::encode_unitext(&original.address, line);
    } else {
        xtext::encode(original.address.as_bytes(), line);
    }
}

/// `addr-type = atom`, narrowed to what the registered types are made of.
pub(super) fn is_address_type_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-' || c == '_' || c == '.'
}

fn encode_auth(auth: &Auth, line: &mut String) {
    push_word(&auth.mechanism, line);
    if let Some(response) = &auth.initial_response {
        line.push(' ');
        if response.expose().is_empty() {
            line.push('=');
        } else {
            STANDARD.encode_string(response.expose(), line);
        }
    }
}
