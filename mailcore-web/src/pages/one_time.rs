//! Pages that work once: [`Tokens`] makes the links, [`OneTimePage`] shows them.
//!
//! A link is opened by mail scanners before its reader does: so GET only asks,
//! and POST does what was asked.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use mailcore::batch::StateChange;
use mailcore::seams::{Clock, Entropy, State, StateKey, StoreError};
use mailcore::server::{Parts, StartError};

use crate::{Method, Page, Request, Response, Status};

/// Octets of chance in a token.
const TOKEN: usize = 24;

/// What a link ends in: who has it may do the one thing that it is for.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

impl Token {
    /// The text for the link.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// Makes tokens and takes them back, once each. What they stand for is in the
/// server's state, under a hash: who reads the store can open no link.
#[derive(Debug, Clone)]
pub struct Tokens {
    state: Arc<dyn State>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    purpose: Arc<str>,
}

impl Tokens {
    /// Tokens of one purpose; one of another purpose is none.
    ///
    /// # Errors
    /// [`StartError::Missing`] without a store.
    pub fn new(parts: &Parts, purpose: &str) -> Result<Self, StartError> {
        Ok(Self::over(
            parts.state()?,
            parts.clock(),
            parts.entropy(),
            purpose,
        ))
    }

    /// Tokens over seams of one's own.
    pub fn over(
        state: Arc<dyn State>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        purpose: &str,
    ) -> Self {
        Self {
            state,
            clock,
            entropy,
            purpose: purpose.into(),
        }
    }

    /// A token that stands for `content`, for so long.
    ///
    /// # Errors
    /// The store's.
    pub async fn issue(&self, content: &[u8], lifetime: Duration) -> Result<Token, StoreError> {
        let mut octets = [0; TOKEN];
        self.entropy.fill(&mut octets);
        let token: String = octets.iter().map(|octet| format!("{octet:02x}")).collect();
        let put = StateChange::Put {
            key: self.key(&token, "held"),
            value: content.to_vec(),
            expires: Some(self.clock.now().after(lifetime)),
        };
        self.state.change(vec![put]).await?;
        Ok(Token(token))
    }

    /// What a token stands for; `None` when it was used, is too old or was never
    /// one. Using it is left to [`Tokens::redeem`].
    ///
    /// # Errors
    /// The store's.
    pub async fn look(&self, token: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let held = self.state.read(&self.key(token, "held")).await?;
        Ok(held.map(|held| held.value))
    }

    /// As [`Tokens::look`], and the token is used up, however many ask at once.
    ///
    /// # Errors
    /// The store's.
    pub async fn redeem(&self, token: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let key = self.key(token, "held");
        let Some(held) = self.state.read(&key).await? else {
            return Ok(None);
        };
        // The first to count is the one; the count outlives what it guards.
        let count = StateChange::Add {
            key: self.key(token, "used"),
            amount: 1,
            expires: held.expires.map(|at| at.after(Duration::from_secs(3600))),
        };
        let counted = self.state.change(vec![count]).await?;
        let first = counted.first().and_then(Option::as_ref);
        if first.and_then(|it| it.counter()) != Some(1) {
            return Ok(None);
        }
        self.state.change(vec![StateChange::Remove { key }]).await?;
        Ok(Some(held.value))
    }

    fn key(&self, token: &str, part: &str) -> StateKey {
        let hash = blake3::hash(token.as_bytes()).to_hex();
        StateKey::new("one-time", &format!("{}/{hash}/{part}", self.purpose))
    }
}

/// What a link does.
#[async_trait]
pub trait Redeem: fmt::Debug + Send + Sync {
    /// Does it; `content` is what the token stands for. Says what became of it.
    async fn redeem(&self, content: &[u8]) -> Response;
}

/// What people read on the page, as text.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Wording {
    /// What is asked.
    pub question: String,
    /// What the button says.
    pub button: String,
    /// Said of a link that does not work any more.
    pub gone: String,
}

impl Wording {
    /// A question and a button.
    pub fn new(question: &str, button: &str, gone: &str) -> Self {
        Self {
            question: question.to_owned(),
            button: button.to_owned(),
            gone: gone.to_owned(),
        }
    }
}

/// The pages below a path that ends in `/`, one for each token.
#[derive(Debug)]
pub struct OneTimePage {
    tokens: Tokens,
    wording: Wording,
    action: Arc<dyn Redeem>,
}

impl OneTimePage {
    /// Pages that ask so and do that.
    pub fn new(tokens: Tokens, wording: Wording, action: Arc<dyn Redeem>) -> Self {
        Self {
            tokens,
            wording,
            action,
        }
    }

    async fn shown(&self, token: &str, method: Method) -> Result<Response, StoreError> {
        let found = match method {
            Method::Post => self.tokens.redeem(token).await?,
            _ => self.tokens.look(token).await?,
        };
        Ok(match (found, method) {
            (None, _) => Response::html(Status::GONE, page(&text(&self.wording.gone))),
            (Some(content), Method::Post) => self.action.redeem(&content).await,
            (Some(_), _) => {
                let (question, button) = (text(&self.wording.question), text(&self.wording.button));
                let form = format!(
                    "<p>{question}</p><form method=\"post\"><button>{button}</button></form>"
                );
                Response::html(Status::OK, page(&form))
            }
        })
    }
}

#[async_trait]
impl Page for OneTimePage {
    fn methods(&self) -> &[Method] {
        &[Method::Get, Method::Post]
    }

    async fn answer(&self, request: &Request) -> Response {
        let token = request.path.rsplit('/').next().unwrap_or_default();
        match self.shown(token, request.method).await {
            Ok(response) => response,
            Err(error) => {
                tracing::error!(%error, "a one-time page can't be looked up");
                Response::of(Status::UNAVAILABLE)
            }
        }
    }
}

fn page(content: &str) -> String {
    format!(
        "<!doctype html><html><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title></title></head><body>{content}</body></html>\n"
    )
}

/// Text that is no markup.
fn text(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
