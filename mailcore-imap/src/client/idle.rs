//! IDLE (RFC 2177): waits for news.

use super::command::{Command, Kind};
use super::commands::{Client, outcome};
use super::connection::Found as Next;
use super::error::ClientError;
use super::news::News;
use super::session::Event;

impl Client {
    /// Waits until the server has news of the mailbox that is open. IDLE is
    /// begun anew as often as it must be, so this may wait for days; who wants
    /// to wait for less drops the future, and nothing is lost.
    ///
    /// # Errors
    /// When the server does not offer IDLE, or the session ends.
    pub async fn wait_for_news(&mut self) -> Result<Vec<News>, ClientError> {
        if !self.capabilities().is_rev2() {
            self.need("IDLE")?;
        }
        loop {
            let news = self.take_news();
            if !news.is_empty() {
                return Ok(news);
            }
            self.settle().await?;
            let command = Command::new("IDLE").of_kind(Kind::Idle);
            let id = self.connection.session.start(command)?;
            self.open = Some(id);
            loop {
                match self.connection.next(None).await? {
                    Next::Event(Event::Data(data)) => self.keep(News::Data(data)),
                    Next::Event(Event::Status(status)) => self.keep(News::Status(status)),
                    Next::Event(Event::Done(done, status)) if done == id => {
                        self.open = None;
                        outcome("IDLE", status)?;
                        break;
                    }
                    Next::Event(_) => {}
                    Next::Nothing => return Err(ClientError::Closed),
                }
                if self.has_news() {
                    // What comes together is told together.
                    self.settle().await?;
                    break;
                }
            }
        }
    }
}
