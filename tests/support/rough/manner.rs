//! [`Manner`]: how a host behaves over one connection.

use std::time::Duration;

/// What a host does at a point of the dialogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Replies so; several lines are parted by CRLF. 421 and 221 close. At
    /// [`END`], a 2yz reply takes the message.
    Say(String),
    /// Closes without a word.
    Cut,
    /// Says nothing more and waits for the other side to leave.
    Hold,
    /// Takes the message and closes without a word; at [`END`] alone.
    TakeAndCut,
    /// Sends so many octets without a line end, then closes.
    Flood(usize),
    /// Waits first.
    Wait(Duration, Box<Act>),
}

impl Act {
    /// Replies so.
    pub fn say(reply: &str) -> Self {
        Self::Say(reply.to_owned())
    }

    /// Does this after so many seconds.
    pub fn after(seconds: u64, act: Self) -> Self {
        Self::Wait(Duration::from_secs(seconds), Box::new(act))
    }
}

/// The point before anything is said.
pub const GREETING: &str = "greeting";
/// The point after the final dot.
pub const END: &str = "end";

/// What becomes of commands that came along with one that was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Pipelined {
    /// They are answered in turn.
    #[default]
    Answered,
    /// They are dropped, by a host that offers PIPELINING and can't do it.
    Dropped,
}

/// How a host behaves: the first rule whose key starts the command, else well.
#[derive(Debug, Clone, Default)]
pub struct Manner {
    pub(super) name: &'static str,
    pub(super) offers: Vec<&'static str>,
    pub(super) rules: Vec<(String, Act)>,
    pub(super) in_content: Option<(usize, Act)>,
    pub(super) pipelined: Pipelined,
}

impl Manner {
    /// A good host, for more to be said of it. The name is for records.
    pub fn named(name: &'static str) -> Self {
        Self {
            name,
            offers: vec!["PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES"],
            ..Self::default()
        }
    }

    /// A good host.
    pub fn good() -> Self {
        Self::named("good")
    }

    /// Does so when a command begins with `point`, or at [`GREETING`] or [`END`].
    #[must_use]
    pub fn at(mut self, point: &str, act: Act) -> Self {
        self.rules.push((point.to_owned(), act));
        self
    }

    /// Does so after so many octets of content.
    #[must_use]
    pub fn in_content(mut self, octets: usize, act: Act) -> Self {
        self.in_content = Some((octets, act));
        self
    }

    /// Offers these extensions alone.
    #[must_use]
    pub fn offering(mut self, offers: &[&'static str]) -> Self {
        self.offers = offers.to_vec();
        self
    }

    /// Drops what is pipelined.
    #[must_use]
    pub fn dropping_pipelined(mut self) -> Self {
        self.pipelined = Pipelined::Dropped;
        self
    }

    /// 421 before anything else.
    pub fn busy() -> Self {
        Self::named("421 at once").at(GREETING, Act::say("421 4.3.2 too busy"))
    }

    /// Not a word.
    pub fn silent() -> Self {
        Self::named("silent").at(GREETING, Act::Hold)
    }

    /// Words of another protocol.
    pub fn garbage() -> Self {
        Self::named("garbage").at(GREETING, Act::say("SSH-2.0-OpenSSH_9.9\r\n\0\u{1}\u{2}"))
    }

    /// Breaks the connection after so many octets of content.
    pub fn cuts_content(octets: usize) -> Self {
        Self::named("cut mid-DATA").in_content(octets, Act::Cut)
    }

    /// Takes the message and breaks the connection before it says so.
    pub fn cuts_after_dot() -> Self {
        Self::named("cut after the dot").at(END, Act::TakeAndCut)
    }

    /// Stalls for good at a point.
    pub fn stalls_at(point: &str) -> Self {
        Self::named("stalls").at(point, Act::Hold)
    }

    /// Refuses a message after its dot.
    pub fn refuses_content(reply: &str) -> Self {
        Self::named("refuses content").at(END, Act::say(reply))
    }

    /// Takes those recipients whose address does not begin so.
    pub fn refuses_recipients(begin: &str, reply: &str) -> Self {
        Self::named("some recipients").at(&format!("RCPT TO:<{begin}"), Act::say(reply))
    }

    pub(super) fn act(&self, point: &str) -> Option<&Act> {
        let mut rules = self.rules.iter();
        let starts = |key: &str| {
            let start = point.get(..key.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(key))
        };
        rules.find(|(key, _)| starts(key)).map(|(_, act)| act)
    }
}
