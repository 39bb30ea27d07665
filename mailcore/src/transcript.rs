//! [`Transcript`]: what two hosts said to each other about a message, for its
//! log.

use std::collections::VecDeque;
use std::fmt::Display;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Octets kept of one transcript unless another limit is asked for.
const LIMIT: usize = 8 * 1024;
/// Octets kept of one line.
const LINE: usize = 600;

/// Lines of a dialogue, bounded: of a long one the beginning and the end are
/// kept. Clones share their lines.
///
/// Whoever writes leaves secrets out: the answers within AUTH, and content.
#[derive(Debug, Clone)]
pub struct Transcript(Arc<Mutex<Lines>>);

#[derive(Debug)]
struct Lines {
    limit: usize,
    head: String,
    tail: VecDeque<String>,
    tail_octets: usize,
    left_out: usize,
}

impl Default for Transcript {
    fn default() -> Self {
        Self::with_limit(LIMIT)
    }
}

impl Transcript {
    /// A transcript of at most so many octets, and a line for what is left out.
    pub fn with_limit(limit: usize) -> Self {
        Self(Arc::new(Mutex::new(Lines {
            limit,
            head: String::new(),
            tail: VecDeque::new(),
            tail_octets: 0,
            left_out: 0,
        })))
    }

    /// The client said this line.
    pub fn client(&self, line: impl Display) {
        self.lines().add("C: ", &line.to_string());
    }

    /// The server said this line.
    pub fn server(&self, line: impl Display) {
        self.lines().add("S: ", &line.to_string());
    }

    /// Something happened that nobody said: a connection, a handshake.
    pub fn note(&self, line: impl Display) {
        self.lines().add("-- ", &line.to_string());
    }

    /// The lines, each ended by LF: `C: `, `S: ` or `-- ` before it.
    pub fn text(&self) -> String {
        let lines = self.lines();
        let mut text = lines.head.clone();
        if lines.left_out > 0 {
            text.push_str(&format!("-- {} lines left out\n", lines.left_out));
        }
        lines.tail.iter().for_each(|line| text.push_str(line));
        text
    }

    /// The last `count` lines, as [`Self::text`] has them.
    pub fn last(&self, count: usize) -> String {
        let text = self.text();
        let from = text.len()
            - text
                .split_inclusive('\n')
                .rev()
                .take(count)
                .map(str::len)
                .sum::<usize>();
        text.get(from..).unwrap_or_default().to_owned()
    }

    /// True when nothing was written.
    pub fn is_empty(&self) -> bool {
        self.lines().head.is_empty()
    }

    /// Forgets all lines: the next message begins.
    pub fn clear(&self) {
        let mut lines = self.lines();
        lines.head.clear();
        lines.tail.clear();
        (lines.tail_octets, lines.left_out) = (0, 0);
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lines {
    fn add(&mut self, mark: &str, line: &str) {
        let mut text = String::with_capacity(mark.len() + line.len().min(LINE) + 1);
        text.push_str(mark);
        for c in line.chars() {
            if text.len() >= LINE {
                text.push('…');
                break;
            }
            text.push(if c.is_control() { ' ' } else { c });
        }
        text.push('\n');
        if self.tail.is_empty()
            && self.left_out == 0
            && self.head.len() + text.len() <= self.limit / 2
        {
            self.head.push_str(&text);
            return;
        }
        self.tail_octets += text.len();
        self.tail.push_back(text);
        while self.tail_octets > self.limit / 2
            && let Some(first) = self.tail.pop_front()
        {
            self.tail_octets -= first.len();
            self.left_out += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_dialogue_the_beginning_and_the_end_are_kept() {
        let transcript = Transcript::with_limit(100);
        transcript.note("connected");
        for number in 0..50 {
            transcript.client(format_args!("line {number}\r\n"));
        }
        transcript.server("250 taken");
        let text = transcript.text();
        assert!(text.starts_with("-- connected\nC: line 0"), "{text}");
        assert!(text.ends_with("C: line 49  \nS: 250 taken\n"), "{text}");
        assert!(text.contains(" lines left out\n"), "{text}");
        assert!(text.len() < 130, "{text}");
        assert_eq!(transcript.last(2), "C: line 49  \nS: 250 taken\n");
        assert_eq!(transcript.last(1_000), text);
        transcript.clear();
        assert!(transcript.is_empty() && transcript.text().is_empty());
    }
}
