//! Hosts made up: they answer commands from a table.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use mailcore::seams::{BoxStream, DialError, Dialer};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, DuplexStream};

/// How a host answers: the first entry whose key starts the command. Replies
/// are used up one by one, the last one stays. `cut` closes instead, `cut
/// within` after some octets of content, `stall` says nothing more, and `flood`
/// never ends a reply.
#[derive(Debug, Clone, Default)]
pub(super) struct Script(Vec<(&'static str, Vec<&'static str>)>);

impl Script {
    pub(super) fn answer(mut self, command: &'static str, replies: &[&'static str]) -> Self {
        self.0.push((command, replies.to_vec()));
        self
    }
}

#[derive(Debug, Default)]
pub(super) struct Hosts {
    scripts: Mutex<HashMap<IpAddr, Script>>,
    pub(super) dialled: Mutex<Vec<IpAddr>>,
    /// The addresses that were called from.
    pub(super) sources: Mutex<Vec<IpAddr>>,
    /// Addresses where nobody answers.
    pub(super) silent: Mutex<Vec<IpAddr>>,
    /// Commands, and messages as one line each, by the order of arrival.
    pub(super) heard: Mutex<Vec<String>>,
}

impl Hosts {
    pub(super) fn add(self: &Arc<Self>, ip: &str, script: Script) {
        let mut scripts = self.scripts.lock().unwrap();
        scripts.insert(ip.parse().unwrap(), script);
    }

    pub(super) fn heard(&self, command: &str) -> usize {
        let heard = self.heard.lock().unwrap();
        heard
            .iter()
            .filter(|line| line.starts_with(command))
            .count()
    }

    fn reply(&self, ip: IpAddr, command: &str) -> String {
        let mut scripts = self.scripts.lock().unwrap();
        let replies = scripts.get_mut(&ip).and_then(|script| {
            let mut entries = script.0.iter_mut();
            entries.find(|(key, _)| command.starts_with(key))
        });
        match replies {
            Some((_, replies)) if replies.len() > 1 => replies.remove(0).to_owned(),
            Some((_, replies)) => replies[0].to_owned(),
            None => match command.split(' ').next().unwrap() {
                "EHLO" | "LHLO" => "250-host\r\n250-PIPELINING\r\n250 DSN".to_owned(),
                "DATA" => "354 go".to_owned(),
                "QUIT" => "221 bye".to_owned(),
                "greeting" => "220 host".to_owned(),
                _ => "250 ok".to_owned(),
            },
        }
    }

    async fn serve(self: Arc<Self>, ip: IpAddr, stream: DuplexStream) -> io::Result<()> {
        let mut stream = BufReader::new(stream);
        let mut command = "greeting".to_owned();
        loop {
            let reply = self.reply(ip, &command);
            match reply.as_str() {
                "cut" => return Ok(()),
                "stall" => std::future::pending().await,
                "flood" => loop {
                    stream.write_all(b"250-more\r\n").await?;
                },
                _ => {}
            }
            stream.write_all(format!("{reply}\r\n").as_bytes()).await?;
            if reply.starts_with("221") || reply.starts_with("421") {
                return Ok(());
            }
            let content = command == "DATA" && reply.starts_with("354");
            command.clear();
            if content && reply.ends_with("354 cut within") {
                stream.read_line(&mut command).await?;
                return Ok(());
            }
            loop {
                let before = command.len();
                if stream.read_line(&mut command).await? == 0 {
                    return Ok(());
                }
                if !content || command.get(before..) == Some(".\r\n") {
                    break;
                }
            }
            let prefix = if content { "message " } else { "" };
            command = format!("{prefix}{}", command.trim_end().replace("\r\n", "|"));
            if let Some(size) = command.strip_prefix("BDAT ") {
                let mut chunk = vec![0; size.trim_end_matches(" LAST").parse().unwrap()];
                stream.read_exact(&mut chunk).await?;
                let chunk = String::from_utf8_lossy(&chunk);
                command = format!("{command} {}", chunk.replace("\r\n", "|"));
            }
            self.heard.lock().unwrap().push(command.clone());
        }
    }
}

/// Dials the hosts; what has no script refuses.
#[derive(Debug)]
pub(super) struct Network(pub(super) Arc<Hosts>);

#[async_trait]
impl Dialer for Network {
    async fn connect_from(
        &self,
        source: IpAddr,
        address: SocketAddr,
    ) -> Result<BoxStream, DialError> {
        self.0.sources.lock().unwrap().push(source);
        self.connect(address).await
    }

    async fn connect(&self, address: SocketAddr) -> Result<BoxStream, DialError> {
        let ip = address.ip();
        self.0.dialled.lock().unwrap().push(ip);
        let silent = self.0.silent.lock().unwrap().contains(&ip);
        if silent {
            std::future::pending::<()>().await;
        }
        if !self.0.scripts.lock().unwrap().contains_key(&ip) {
            let source = io::ErrorKind::ConnectionRefused.into();
            return Err(DialError::Io { address, source });
        }
        let (ours, theirs) = tokio::io::duplex(4_096);
        tokio::spawn(self.0.clone().serve(ip, theirs));
        Ok(Box::new(ours))
    }
}
