//! [`Talk`]: one connection to a scripted host.

use std::io;
use std::sync::Arc;

use mailcore::seams::Clock;
use mailcore::time::Timestamp;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, DuplexStream};

use super::host::{ScriptedHost, Taken};
use super::manner::{Act, END, GREETING, Manner, Pipelined};

/// Whether the dialogue goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Go {
    On,
    End,
}

pub(super) struct Talk {
    host: Arc<ScriptedHost>,
    stream: BufReader<DuplexStream>,
    manner: Manner,
    /// Set once MAIL was taken.
    from: Option<String>,
    to: Vec<String>,
    /// The message taken last and when it was answered, while its sender may
    /// not have read the reply.
    fresh: Option<(usize, Timestamp)>,
}

impl Talk {
    pub(super) fn new(host: Arc<ScriptedHost>, stream: DuplexStream, manner: Manner) -> Self {
        Self {
            host,
            stream: BufReader::new(stream),
            manner,
            from: None,
            to: Vec::new(),
            fresh: None,
        }
    }

    pub(super) async fn run(mut self) -> io::Result<()> {
        let ended = self.dialogue().await;
        // A connection that ends later was idle, its reply long read.
        let now = self.host.plan.clock().now();
        if let Some((fresh, _)) = self.fresh.filter(|(_, at)| *at == now) {
            self.host.tell(fresh, false);
        }
        ended
    }

    async fn dialogue(&mut self) -> io::Result<()> {
        if self.answer(GREETING, "220 host.test ESMTP").await? == Go::End {
            return Ok(());
        }
        let mut line = String::new();
        loop {
            line.clear();
            let mut octets = Vec::new();
            if self.stream.read_until(b'\n', &mut octets).await? == 0 {
                return Ok(());
            }
            line.push_str(String::from_utf8_lossy(&octets).trim_end());
            // Who says more has read the reply before.
            self.fresh = None;
            self.host.hear(&line);
            if self.manner.pipelined == Pipelined::Dropped {
                let waiting = self.stream.buffer().len();
                self.stream.consume(waiting);
            }
            if self.command(&line).await? == Go::End {
                return Ok(());
            }
        }
    }

    async fn command(&mut self, line: &str) -> io::Result<Go> {
        let verb = line
            .split(' ')
            .next()
            .unwrap_or_default()
            .to_ascii_uppercase();
        let usual = match verb.as_str() {
            "EHLO" => self.greeting(),
            "QUIT" => "221 2.0.0 bye".to_owned(),
            "MAIL" if self.from.is_some() => "503 5.5.1 one at a time".to_owned(),
            "RCPT" if self.from.is_none() => "503 5.5.1 MAIL first".to_owned(),
            "DATA" if self.to.is_empty() => "554 5.5.1 no recipient".to_owned(),
            "DATA" => "354 go on".to_owned(),
            "HELO" | "MAIL" | "RCPT" | "RSET" | "NOOP" => "250 2.0.0 ok".to_owned(),
            _ => "500 5.5.2 what?".to_owned(),
        };
        let reply = self.reply_of(line, &usual);
        match verb.as_str() {
            "EHLO" | "HELO" | "RSET" => {
                self.to.clear();
                self.from = None;
            }
            "MAIL" if reply.starts_with('2') => self.from = Some(path(line)),
            "RCPT" if reply.starts_with('2') => self.to.push(path(line)),
            _ => {}
        }
        let go = self.answer(line, &usual).await?;
        if go == Go::On && verb == "DATA" && reply.starts_with("354") {
            return self.content().await;
        }
        Ok(go)
    }

    fn greeting(&self) -> String {
        let mut lines = vec!["host.test"];
        lines.extend(&self.manner.offers);
        let last = lines.len() - 1;
        let lines = lines.iter().enumerate();
        let lines = lines.map(|(at, line)| {
            let mark = if at == last { ' ' } else { '-' };
            format!("250{mark}{line}")
        });
        lines.collect::<Vec<_>>().join("\r\n")
    }

    /// What it will say in the end; nothing for what is not a reply.
    fn reply_of(&self, point: &str, usual: &str) -> String {
        let mut act = self.manner.act(point);
        while let Some(Act::Wait(_, then)) = act {
            act = Some(then);
        }
        match act {
            None => usual.to_owned(),
            Some(Act::Say(reply)) => reply.clone(),
            Some(_) => String::new(),
        }
    }

    async fn answer(&mut self, point: &str, usual: &str) -> io::Result<Go> {
        let act = self.manner.act(point).cloned();
        self.perform(act.unwrap_or_else(|| Act::say(usual))).await
    }

    async fn perform(&mut self, act: Act) -> io::Result<Go> {
        match act {
            Act::Say(reply) => {
                let closes = reply.starts_with("421") || reply.starts_with("221");
                self.stream
                    .write_all(format!("{reply}\r\n").as_bytes())
                    .await?;
                self.host.plan.stir();
                Ok(if closes { Go::End } else { Go::On })
            }
            Act::Cut | Act::TakeAndCut => Ok(Go::End),
            Act::Hold => {
                tokio::io::copy(&mut self.stream, &mut tokio::io::sink()).await?;
                Ok(Go::End)
            }
            Act::Flood(octets) => {
                let piece = [b'x'; 4_096];
                for _ in 0..octets.div_ceil(piece.len()) {
                    self.stream.write_all(&piece).await?;
                    self.host.plan.stir();
                }
                Ok(Go::End)
            }
            Act::Wait(time, then) => {
                let clock = self.host.plan.clock().clone();
                clock.sleep_until(clock.monotonic().after(time)).await;
                Box::pin(self.perform(*then)).await
            }
        }
    }

    /// Reads a message up to its dot, or to where the manner stops it.
    async fn content(&mut self) -> io::Result<Go> {
        let (mut message, mut read) = (Vec::new(), 0);
        let mut stop = self.manner.in_content.clone();
        let mut answered = false;
        loop {
            let mut line = Vec::new();
            let room = match &stop {
                Some((octets, _)) => octets.saturating_sub(read),
                None => usize::MAX,
            };
            let limit = u64::try_from(room).unwrap_or(u64::MAX).max(1);
            let count = (&mut self.stream)
                .take(limit)
                .read_until(b'\n', &mut line)
                .await?;
            if count == 0 {
                return Ok(Go::End);
            }
            read += count;
            self.host.plan.stir();
            if let Some((_, act)) = stop.take_if(|(octets, _)| read >= *octets) {
                if self.perform(act).await? == Go::End {
                    return Ok(Go::End);
                }
                answered = true;
            }
            if line == b".\r\n" {
                break;
            }
            let stuffed = message.last().is_none_or(|last| *last == b'\n');
            let line = match line.as_slice() {
                [b'.', rest @ ..] if stuffed => rest,
                line => line,
            };
            message.extend_from_slice(line);
        }
        if answered {
            return Ok(Go::On);
        }
        self.end(message).await
    }

    async fn end(&mut self, message: Vec<u8>) -> io::Result<Go> {
        let act = self.manner.act(END).cloned();
        let act = act.unwrap_or_else(|| Act::say("250 2.0.0 taken"));
        let takes = act == Act::TakeAndCut || self.reply_of(END, "250").starts_with('2');
        if takes {
            let taken = Taken {
                at: self.host.plan.clock().now(),
                from: self.from.take().unwrap_or_default(),
                to: std::mem::take(&mut self.to),
                message,
                told: false,
            };
            let fresh = self.host.take(taken);
            let go = self.perform(act).await?;
            if go == Go::On {
                self.host.tell(fresh, true);
                self.fresh = Some((fresh, self.host.plan.clock().now()));
            }
            return Ok(go);
        }
        self.from = None;
        self.to.clear();
        self.perform(act).await
    }
}

/// What stands between the angle brackets.
fn path(line: &str) -> String {
    let path = line
        .split_once('<')
        .and_then(|(_, rest)| rest.split_once('>'));
    path.map(|(path, _)| path.to_owned()).unwrap_or_default()
}
