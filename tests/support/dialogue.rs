//! A line-by-line conversation, as a person at a terminal would have it.
#![expect(
    clippy::panic,
    clippy::expect_used,
    reason = "a test helper: what is not as expected ends the test"
)]

use std::fmt::Debug;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, DuplexStream};

/// One end of a conversation.
#[derive(Debug)]
pub struct Dialogue {
    stream: BufReader<DuplexStream>,
    /// What was said, for the message of a failing test.
    said: Vec<String>,
}

impl Dialogue {
    /// Begins a conversation.
    pub fn new(stream: DuplexStream) -> Self {
        Self {
            stream: BufReader::new(stream),
            said: Vec::new(),
        }
    }

    /// Sends octets as they are.
    pub async fn send_raw(&mut self, octets: impl AsRef<[u8]>) {
        let octets = octets.as_ref();
        self.said.push(format!(
            "> {}",
            String::from_utf8_lossy(octets.get(..octets.len().min(200)).unwrap_or(octets))
        ));
        self.stream
            .get_mut()
            .write_all(octets)
            .await
            .expect("the server closed the connection");
    }

    /// Sends a line.
    pub async fn send(&mut self, line: &str) {
        self.send_raw(format!("{line}\r\n")).await;
    }

    /// The next line, without its end.
    pub async fn line(&mut self) -> String {
        let mut line = Vec::new();
        self.stream
            .read_until(b'\n', &mut line)
            .await
            .expect("reading failed");
        let text = String::from_utf8_lossy(&line)
            .trim_end_matches("\r\n")
            .to_owned();
        self.said.push(format!("< {text}"));
        text
    }

    /// `count` octets.
    pub async fn octets(&mut self, count: usize) -> Vec<u8> {
        let mut octets = vec![0; count];
        self.stream
            .read_exact(&mut octets)
            .await
            .expect("the server closed the connection");
        octets
    }

    /// The next line, which must begin so.
    pub async fn expect(&mut self, begin: &str) -> String {
        let line = self.line().await;
        if !line.starts_with(begin) {
            panic!(
                "expected {begin:?}, got {line:?} after:\n{}",
                self.said.join("\n")
            );
        }
        line
    }

    /// Reads lines up to the one that begins so; all of them.
    pub async fn until(&mut self, begin: &str) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            let line = self.line().await;
            let done = line.starts_with(begin);
            if line.is_empty() && lines.last().is_some_and(String::is_empty) {
                panic!(
                    "the server closed while {begin:?} was expected after:\n{}",
                    self.said.join("\n")
                );
            }
            lines.push(line);
            if done {
                return lines;
            }
        }
    }

    /// Sends a line and expects an answer that begins so; the last line of a
    /// multiline SMTP reply.
    pub async fn ask(&mut self, line: &str, begin: &str) -> String {
        self.send(line).await;
        let code = begin.get(..3).unwrap_or(begin);
        loop {
            let answer = self.line().await;
            if answer.get(..3) == Some(code) && answer.as_bytes().get(3) == Some(&b'-') {
                continue;
            }
            if !answer.starts_with(begin) {
                panic!(
                    "expected {begin:?} to {line:?}, got {answer:?} after:\n{}",
                    self.said.join("\n")
                );
            }
            return answer;
        }
    }

    /// Sends a line and reads up to the one that begins so; all of them.
    pub async fn ask_all(&mut self, line: &str, begin: &str) -> Vec<String> {
        self.send(line).await;
        self.until(begin).await
    }

    /// Sends a message by SMTP; the final reply.
    pub async fn send_mail(&mut self, from: &str, to: &[&str], message: &[u8]) -> String {
        self.ask(&format!("MAIL FROM:<{from}>"), "250").await;
        for to in to {
            self.ask(&format!("RCPT TO:<{to}>"), "250").await;
        }
        self.ask("DATA", "354").await;
        self.send_raw(stuffed(message)).await;
        self.line().await
    }

    /// Reads an IMAP literal that ends `line`, and what stands on the line after.
    pub async fn literal(&mut self, line: &str) -> Vec<u8> {
        let count = line
            .rsplit_once('{')
            .and_then(|(_, rest)| rest.trim_end_matches('}').parse().ok());
        let Some(count) = count else {
            panic!("{line:?} ends in no literal")
        };
        self.octets(count).await
    }

    /// Reads a POP3 multiline answer, dots undone.
    pub async fn multiline(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        loop {
            let mut line = Vec::new();
            self.stream
                .read_until(b'\n', &mut line)
                .await
                .expect("reading failed");
            match line.as_slice() {
                b".\r\n" => return all,
                [] => panic!("the server closed within a multiline answer"),
                [b'.', rest @ ..] => all.extend_from_slice(rest),
                line => all.extend_from_slice(line),
            }
        }
    }
}

/// A message as DATA sends it, the final dot included.
fn stuffed(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() + 16);
    for line in message.split_inclusive(|octet| *octet == b'\n') {
        if line.first() == Some(&b'.') {
            out.push(b'.');
        }
        out.extend_from_slice(line);
    }
    if !out.ends_with(b"\r\n") {
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b".\r\n");
    out
}

/// Base64, for AUTH lines.
pub fn base64(octets: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in octets.chunks(3) {
        let bits = chunk
            .iter()
            .fold(0u32, |bits, octet| bits << 8 | u32::from(*octet))
            << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let digit = DIGITS
                .get((bits >> (18 - 6 * place) & 63) as usize)
                .copied()
                .unwrap_or(b'=');
            out.push(if place > chunk.len() {
                '='
            } else {
                char::from(digit)
            });
        }
    }
    out
}
