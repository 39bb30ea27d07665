//! `mailserver queue`.

use super::{CliError, Place, log};
use crate::control::queue::{Kept, Part, QueueRequest};
use crate::control::{Request, Response};
use crate::out;

/// Carries one command out.
pub(super) fn run(place: &Place, request: QueueRequest) -> Result<(), CliError> {
    if let Some(problem) = request.problem() {
        return Err(CliError::Usage(problem.to_owned()));
    }
    match request {
        QueueRequest::Content(part) | QueueRequest::Kept(Kept::Content(part)) => {
            content(place, part)
        }
        QueueRequest::Show(ref one) | QueueRequest::Kept(Kept::Show(ref one)) if !one.json => {
            with_story(place, &Request::Queue { request })
        }
        request => place.ask(Request::Queue { request }),
    }
}

/// What the answer shows, and what the journal has of it.
pub(super) fn with_story(place: &Place, request: &Request) -> Result<(), CliError> {
    let config = place.config()?;
    let Response::Done(mut lines) = place.answer(&config, request)? else {
        return Ok(());
    };
    let trace = lines.iter().find_map(|line| line.strip_prefix("trace "));
    let trace = trace.and_then(|text| log::trace(text.trim()).ok());
    if let Some(trace) = trace
        && let Ok(story) = log::story(&config, trace)
        && !story.is_empty()
    {
        lines.push(String::new());
        lines.extend(story);
    }
    out::lines(&lines);
    Ok(())
}

/// Prints a message, a piece at a time.
fn content(place: &Place, mut part: Part) -> Result<(), CliError> {
    let config = place.config()?;
    let mut header = HeaderEnd::default();
    loop {
        let request = QueueRequest::Content(part.clone());
        let Response::Octets(octets) = place.answer(&config, &Request::Queue { request })? else {
            return Ok(());
        };
        if octets.is_empty() {
            return Ok(());
        }
        part.offset += octets.len() as u64;
        let end = if part.header {
            header.find(&octets)
        } else {
            None
        };
        out::octets(
            octets
                .get(..end.unwrap_or(octets.len()))
                .unwrap_or_default(),
        );
        if end.is_some() {
            return Ok(());
        }
    }
}

/// Finds where a header ends: after the first empty line.
#[derive(Default)]
struct HeaderEnd {
    /// How much of CR LF CR LF the octets so far end with.
    matched: usize,
}

impl HeaderEnd {
    fn find(&mut self, octets: &[u8]) -> Option<usize> {
        for (at, octet) in octets.iter().enumerate() {
            self.matched = match (octet, self.matched) {
                (b'\r', 2) => 3,
                (b'\r', _) => 1,
                (b'\n', 3) => return Some(at + 1),
                (b'\n', 1) => 2,
                _ => 0,
            };
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_ends_at_the_empty_line_wherever_it_is_cut() {
        let message = b"A: b\r\n c\r\n\r\nbody\r\n\r\n";
        assert_eq!(HeaderEnd::default().find(message), Some(12));
        for cut in 0..12 {
            let mut header = HeaderEnd::default();
            let (one, two) = message.split_at(cut);
            assert_eq!(header.find(one), None);
            assert_eq!(header.find(two), Some(12 - cut));
        }
    }
}
