//! `vnd.mailcore.lookup`: the test `lookup`, of what DNS says of the peer.
//!
//! `lookup "ptr" "resolves"`, `"resolvestoclient"` or `"error"`; the same of
//! `"helo"` and of `"mail"`, the sender's domain. `lookup "ptr" :matches
//! "*.example.org"` matches names that lead back to the peer: others anybody can
//! claim. Where DNS can't be asked now, `"error"` alone is true.

use std::net::IpAddr;
use std::sync::Arc;

use super::super::{Extension, IN_SESSION};
use crate::engine::ast::{Test, Value};
use crate::engine::compile::{Args, Compile, Known};
use crate::engine::matching::{Matching, Options};
use crate::engine::program::Instruction;
use crate::engine::run::{Context, Fault, Flow, mistaken};
use crate::engine::{Answer, CompileError, Event, LookUp, Question};

pub(in super::super) static LOOKUP: Extension = Extension::new("vnd.mailcore.lookup")
    .tests(&[("lookup", lookup)])
    .at(IN_SESSION);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    Ptr,
    Helo,
    Mail,
}

#[derive(Debug)]
enum Want {
    Resolves,
    ResolvesToClient,
    Error,
    Match(Matching),
}

#[derive(Debug)]
struct Lookup {
    of: Of,
    want: Want,
}

fn lookup(cx: &mut Compile<'_>, test: &Test) -> Result<Known, CompileError> {
    let test = tags_first(test);
    let mut args = Args::test(&test)?;
    let options = Options::take(cx, &mut args)?;
    options.without_lists(&args)?;
    let (name, at) = args.fixed("\"ptr\", \"helo\" or \"mail\"")?;
    let of = of(cx.event(), name).map_err(|words| CompileError::new(at, words))?;
    let fixed = match args.peek().map(|argument| &argument.value) {
        Some(Value::Text(text)) if options.match_type().is_none() => text.to_ascii_lowercase(),
        _ => String::new(),
    };
    let want = match fixed.as_str() {
        "resolves" => Want::Resolves,
        "resolvestoclient" => Want::ResolvesToClient,
        "error" => Want::Error,
        _ => Want::Match(options.keys(cx, &mut args)?),
    };
    if !matches!(want, Want::Match(_)) {
        args.fixed("what to know of it")?;
    }
    args.end()?;
    Ok(cx.emit_test(Lookup { of, want }))
}

/// Scripts of others have the match type after what is looked up.
fn tags_first(test: &Test) -> Test {
    let mut test = test.clone();
    let len = test.arguments.len();
    let named =
        matches!(test.arguments.first(), Some(first) if matches!(first.value, Value::Text(_)));
    let tag = matches!(test.arguments.get(1), Some(next) if matches!(next.value, Value::Tag(_)));
    if named && tag && len > 2 {
        let first = test.arguments.remove(0);
        test.arguments.insert(len - 2, first);
    }
    test
}

fn of(event: Event, name: &str) -> Result<Of, String> {
    let (of, from) = match name.to_ascii_lowercase().as_str() {
        "ptr" => (Of::Ptr, Event::Connect),
        "helo" => (Of::Helo, Event::Helo),
        "mail" => (Of::Mail, Event::Mail),
        _ => return Err("write \"ptr\", \"helo\" or \"mail\"".to_owned()),
    };
    if event < from {
        let event = event.as_str();
        return Err(format!("\"{name}\" is not known at `{event}` yet"));
    }
    Ok(of)
}

impl Instruction for Lookup {
    fn run(&self, cx: &mut Context<'_>) -> Result<Flow, Fault> {
        let Some(ip) = cx.environment.session.ip else {
            return Ok(Flow::Result(false));
        };
        let subject = match self.subject(cx, ip) {
            Subject::Known(values) => return self.judge(cx, ip, values),
            Subject::Nothing => return Ok(Flow::Result(matches!(self.want, Want::Resolves))),
            Subject::Asked(kind, name) => (kind, name),
        };
        match cx.answer() {
            None => {
                let (kind, name) = subject;
                Ok(Flow::Ask(Question::LookUp { kind, name }))
            }
            Some(Answer::Texts(found)) => {
                let found = found.into_iter().map(Arc::from).collect();
                self.judge(cx, ip, found)
            }
            Some(Answer::No) => Ok(Flow::Result(matches!(self.want, Want::Error))),
            Some(_) => Err(mistaken()),
        }
    }
}

/// What is looked up, if that is needed.
enum Subject {
    Asked(LookUp, String),
    Known(Vec<Arc<str>>),
    /// The sender of notices has no domain to look up; it resolves, or scripts
    /// that refuse what does not would refuse every notice.
    Nothing,
}

impl Lookup {
    fn subject(&self, cx: &Context<'_>, ip: IpAddr) -> Subject {
        let to_client = matches!(self.want, Want::ResolvesToClient);
        match self.of {
            Of::Ptr if to_client || matches!(self.want, Want::Match(_)) => {
                Subject::Asked(LookUp::Names, ip.to_string())
            }
            Of::Ptr => Subject::Asked(LookUp::Pointers, ip.to_string()),
            Of::Helo => {
                let helo = cx.environment.session.helo.as_deref().unwrap_or_default();
                match (&self.want, literal(helo)) {
                    (Want::Match(_), _) => Subject::Known(vec![helo.into()]),
                    (_, Some(ip)) => Subject::Known(vec![ip.to_string().into()]),
                    _ => Subject::Asked(LookUp::Addresses, helo.to_owned()),
                }
            }
            Of::Mail => {
                let from = cx.environment.envelope.from.as_deref().unwrap_or_default();
                match from.rsplit_once('@') {
                    None => Subject::Nothing,
                    Some((_, domain)) if to_client => {
                        Subject::Asked(LookUp::MailAddresses, domain.to_owned())
                    }
                    Some((_, domain)) => Subject::Asked(LookUp::MailHosts, domain.to_owned()),
                }
            }
        }
    }

    fn judge(&self, cx: &mut Context<'_>, ip: IpAddr, found: Vec<Arc<str>>) -> Result<Flow, Fault> {
        let result = match &self.want {
            Want::Error => false,
            Want::Resolves => !found.is_empty(),
            // Names of an address were confirmed by who found them.
            Want::ResolvesToClient if self.of == Of::Ptr => !found.is_empty(),
            Want::ResolvesToClient => found
                .iter()
                .filter_map(|text| text.parse::<IpAddr>().ok())
                .any(|found| found.to_canonical() == ip),
            Want::Match(keys) => return keys.test(cx, &found),
        };
        Ok(Flow::Result(result))
    }
}

/// `[192.0.2.7]`, `[IPv6:2001:db8::1]` (RFC 5321 section 4.1.3).
fn literal(helo: &str) -> Option<IpAddr> {
    let inner = helo.strip_prefix('[')?.strip_suffix(']')?;
    let tagged = inner
        .get(..5)
        .filter(|tag| tag.eq_ignore_ascii_case("IPv6:"));
    let inner = tagged.and_then(|_| inner.get(5..)).unwrap_or(inner);
    inner.parse().ok()
}
