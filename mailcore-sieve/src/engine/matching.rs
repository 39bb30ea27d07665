//! The match of a test: match type, comparator and keys (RFC 5228 section 2.7).

use std::sync::Arc;

use super::compile::{Args, Compile, Text, Texts};
use super::matcher::{Comparator, KeyError, Keys, MatchType, Relation};
use super::run::{Context, Fault, Flow};
use super::{CompileError, Position, Question};

/// Steps that compiling a regular expression takes in a run: as long as some
/// milliseconds, where a step is a fraction of a microsecond.
const PATTERN_STEPS: u64 = 5_000;

/// What the tags of a test say of its match.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Options {
    match_type: Option<MatchType>,
    list: bool,
    comparator: Comparator,
}

/// A match, ready to be run.
#[derive(Debug)]
pub(crate) struct Matching {
    keys: Kind,
    /// True where wildcards and groups set variables.
    captures: bool,
}

#[derive(Debug)]
enum Kind {
    /// The same in each run.
    Ready(Keys),
    /// Of variables.
    Made {
        match_type: MatchType,
        comparator: Comparator,
        keys: Texts,
    },
    /// The names of lists (RFC 6134 section 2.2).
    Lists(Texts),
}

impl Options {
    /// Takes `:is`, `:contains`, `:comparator` and their like.
    pub(crate) fn take(cx: &mut Compile<'_>, args: &mut Args<'_>) -> Result<Self, CompileError> {
        let mut match_type = None;
        let mut list = false;
        let mut given: Option<&str> = None;
        let mut choose = |name: &'static str, at: Position| match given.replace(name) {
            Some(other) => Err(CompileError::new(
                at,
                format!("`:{other}` and `:{name}` can't go together: choose one"),
            )),
            None => Ok(()),
        };
        for (name, kind) in [
            ("is", MatchType::Is),
            ("contains", MatchType::Contains),
            ("matches", MatchType::Matches),
        ] {
            if let Some(at) = args.flag(cx, name)? {
                choose(name, at)?;
                match_type = Some(kind);
            }
        }
        if let Some(at) = args.flag(cx, ("regex", "regex"))? {
            choose("regex", at)?;
            match_type = Some(MatchType::Regex);
        }
        if let Some(at) = args.flag(cx, ("list", "extlists"))? {
            choose("list", at)?;
            list = true;
        }
        type Make = fn(Relation) -> MatchType;
        for (name, kind) in [
            ("value", MatchType::Value as Make),
            ("count", MatchType::Count as Make),
        ] {
            if let Some((relation, at)) = args.tag_fixed(cx, (name, "relational"))? {
                choose(name, at)?;
                let relation = Relation::parse(relation).ok_or_else(|| {
                    CompileError::new(
                        at,
                        "write one of \"gt\", \"ge\", \"lt\", \"le\", \"eq\", \"ne\"",
                    )
                })?;
                match_type = Some(kind(relation));
            }
        }
        let comparator = comparator(cx, args)?;
        Ok(Self {
            match_type,
            list,
            comparator,
        })
    }

    /// Whether `:count` was given.
    pub(crate) fn counts(self) -> bool {
        matches!(self.match_type, Some(MatchType::Count(_)))
    }

    /// An error where `:list` was given: for tests that ask their host for what
    /// they match (RFC 6134 section 2.2 names those that need not).
    pub(crate) fn without_lists(self, args: &Args<'_>) -> Result<(), CompileError> {
        match self.list {
            true => Err(args.error(format!("`:list` can't be used with `{}`", args.name()))),
            false => Ok(()),
        }
    }

    /// The match type that was given, if any.
    pub(crate) fn match_type(self) -> Option<MatchType> {
        self.match_type
    }

    /// Takes the keys.
    pub(crate) fn keys(
        self,
        cx: &mut Compile<'_>,
        args: &mut Args<'_>,
    ) -> Result<Matching, CompileError> {
        let at = args.peek().map_or(args.at(), |argument| argument.at);
        let keys = args.texts(cx, "a list of keys")?;
        self.with(cx, keys, at)
    }

    /// With these keys.
    pub(crate) fn with(
        self,
        cx: &mut Compile<'_>,
        keys: Texts,
        at: Position,
    ) -> Result<Matching, CompileError> {
        let match_type = self.match_type.unwrap_or_default();
        if match_type == MatchType::Regex {
            cx.count_patterns(keys.len(), at)?;
        }
        let keys = if self.list {
            Kind::Lists(keys)
        } else if let Some(fixed) = keys.iter().map(Text::fixed).collect::<Option<Vec<_>>>() {
            let ready = Keys::new(match_type, self.comparator, fixed.iter().map(|key| &***key))
                .map_err(|error| CompileError::new(at, error.to_string()))?;
            cx.holds(ready.memory_size());
            Kind::Ready(ready)
        } else {
            // What is wrong with every key is known before there are any.
            Keys::new(match_type, self.comparator, [""])
                .map_err(|error| CompileError::new(at, error.to_string()))?;
            Kind::Made {
                match_type,
                comparator: self.comparator,
                keys,
            }
        };
        Ok(Matching {
            keys,
            captures: cx.requires("variables"),
        })
    }
}

/// Takes `:comparator` (RFC 5228 section 2.7.3).
pub(crate) fn comparator(
    cx: &mut Compile<'_>,
    args: &mut Args<'_>,
) -> Result<Comparator, CompileError> {
    let Some((name, at)) = args.tag_fixed(cx, "comparator")? else {
        return Ok(Comparator::AsciiCasemap);
    };
    let Some(comparator) = Comparator::parse(name) else {
        cx.is_missing();
        return Err(CompileError::new(
            at,
            "there is no such comparator: \"i;ascii-casemap\" and \"i;octet\" are always there",
        ));
    };
    // Two comparators are part of the language.
    if !matches!(comparator, Comparator::AsciiCasemap | Comparator::Octet) {
        cx.demand(&format!("comparator-{name}"), name, at)?;
    }
    Ok(comparator)
}

impl Matching {
    /// Whether `:count` is asked.
    pub(crate) fn counts(&self) -> bool {
        let match_type = match &self.keys {
            Kind::Ready(keys) => keys.match_type(),
            Kind::Made { match_type, .. } => *match_type,
            Kind::Lists(_) => return false,
        };
        matches!(match_type, MatchType::Count(_))
    }

    /// Whether each value can be tested by itself, as one that matches is enough.
    pub(crate) fn is_alternative(&self) -> bool {
        !self.counts() && matches!(self.keys, Kind::Ready(_))
    }

    /// The same match, which leaves match variables alone.
    pub(crate) fn without_captures(self) -> Self {
        Self {
            captures: false,
            ..self
        }
    }

    /// Tests values that may be no text.
    pub(crate) fn octets(&self, cx: &mut Context<'_>, values: &[Vec<u8>]) -> Result<Flow, Fault> {
        let Kind::Ready(keys) = &self.keys else {
            let text = |value: &Vec<u8>| Arc::from(String::from_utf8_lossy(value));
            let values: Vec<Arc<str>> = values.iter().map(text).collect();
            return self.test(cx, &values);
        };
        if self.counts() {
            return Ok(Flow::Result(keys.test_count(values.len(), &mut cx.meter)?));
        }
        for value in values {
            if keys.test(value, None, &mut cx.meter)? {
                return Ok(Flow::Result(true));
            }
        }
        Ok(Flow::Result(false))
    }

    /// Tests the values: whether one of them matches one of the keys, or for
    /// `:count`, how many there are.
    pub(crate) fn test(&self, cx: &mut Context<'_>, values: &[Arc<str>]) -> Result<Flow, Fault> {
        match &self.keys {
            Kind::Ready(keys) => self.run(cx, keys, values),
            Kind::Made {
                match_type,
                comparator,
                keys,
            } => {
                let texts = keys
                    .iter()
                    .map(|key| key.value(cx))
                    .collect::<Result<Vec<_>, _>>()?;
                if *match_type == MatchType::Regex {
                    let patterns = u64::try_from(texts.len()).unwrap_or(u64::MAX);
                    cx.meter.charge(patterns.saturating_mul(PATTERN_STEPS))?;
                }
                let keys = Keys::new(*match_type, *comparator, texts.iter().map(|key| &**key))
                    .map_err(|error| fault(&error))?;
                self.run(cx, &keys, values)
            }
            Kind::Lists(lists) => on_lists(cx, lists, values),
        }
    }

    fn run(&self, cx: &mut Context<'_>, keys: &Keys, values: &[Arc<str>]) -> Result<Flow, Fault> {
        if self.counts() {
            return Ok(Flow::Result(keys.test_count(values.len(), &mut cx.meter)?));
        }
        for value in values {
            let (captures, meter) = cx.captures();
            let captures = captures.filter(|_| self.captures);
            if keys.test(value.as_bytes(), captures, meter)? {
                return Ok(Flow::Result(true));
            }
        }
        Ok(Flow::Result(false))
    }
}

fn fault(error: &KeyError) -> Fault {
    Fault::new(error.to_string())
}

/// Asks for each list in turn, until the values are on one.
fn on_lists(cx: &mut Context<'_>, lists: &[Text], values: &[Arc<str>]) -> Result<Flow, Fault> {
    let answered = cx.yes()?;
    if answered == Some(true) {
        cx.asked = 0;
        return Ok(Flow::Result(true));
    }
    let next = if answered.is_some() { cx.asked + 1 } else { 0 };
    let Some(list) = lists.get(next).filter(|_| !values.is_empty()) else {
        cx.asked = 0;
        return Ok(Flow::Result(false));
    };
    cx.asked = next;
    Ok(Flow::Ask(Question::OnList {
        list: list.value(cx)?.to_string(),
        values: values.iter().map(ToString::to_string).collect(),
    }))
}
