//! A message brought in by SMTP, as any client would.

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream};

use super::error::KitError;
use super::mailbox::with_crlf;

/// Sends one message; the reply to its content.
pub(super) async fn send(
    stream: DuplexStream,
    from: &str,
    to: &str,
    message: &str,
) -> Result<String, KitError> {
    let mut talk = Talk(BufReader::new(stream));
    talk.heard("the greeting").await?;
    talk.say("EHLO client.test").await?;
    talk.say(&format!("MAIL FROM:<{from}>")).await?;
    talk.say(&format!("RCPT TO:<{to}>")).await?;
    talk.say("DATA").await?;
    let content = stuffed(&with_crlf(message.as_bytes()));
    talk.0.get_mut().write_all(&content).await?;
    let reply = talk.heard("the content").await?;
    talk.say("QUIT").await?;
    Ok(reply)
}

struct Talk(BufReader<DuplexStream>);

impl Talk {
    async fn say(&mut self, line: &str) -> Result<String, KitError> {
        let octets = format!("{line}\r\n");
        self.0.get_mut().write_all(octets.as_bytes()).await?;
        self.heard(line).await
    }

    /// The last line of a reply, when it is a good one.
    async fn heard(&mut self, after: &str) -> Result<String, KitError> {
        let mut line = String::new();
        loop {
            line.clear();
            self.0.read_line(&mut line).await?;
            if line.get(3..4) != Some("-") {
                break;
            }
        }
        let reply = line.trim_end().to_owned();
        match reply.starts_with(['2', '3']) {
            true => Ok(reply),
            false => Err(KitError::Refused {
                after: after.to_owned(),
                reply,
            }),
        }
    }
}

/// The content with its dots doubled and its end (RFC 5321 section 4.5.2).
fn stuffed(content: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(content.len() + 5);
    for line in content.split_inclusive(|octet| *octet == b'\n') {
        if line.starts_with(b".") {
            out.push(b'.');
        }
        out.extend_from_slice(line);
    }
    if !content.ends_with(b"\n") && !content.is_empty() {
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b".\r\n");
    out
}
