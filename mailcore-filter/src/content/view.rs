//! [`View`]: all that a message says, decoded once.

use std::sync::Arc;

use mailcore::message::decode::TextDecoder;
use mailcore::message::{Header, Message, Part, PartKind, READ_CHUNK, Summary};
use mailcore::seams::StoreError;
use tokio::sync::OnceCell;

use super::html::{HtmlReader, Turn};
use super::text::{FieldText, Placement, Text, TextBody, is_file, is_html, is_text};
use super::urls::{TextUrls, UrlLimits, Urls};
use crate::pipeline::Look;

/// Octets of text that are looked at before others have their turn: less than a
/// millisecond's work.
const TURN: usize = 32 * 1024;
/// Fields of a header decoded before others have their turn.
const FIELDS: usize = 100;

/// How much of a message is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ViewLimits {
    /// Octets of decoded text, over all parts.
    pub text: usize,
    /// Parts of text.
    pub parts: usize,
    /// Octets of the message's header.
    pub header: usize,
    /// URLs.
    pub urls: UrlLimits,
}

impl Default for ViewLimits {
    fn default() -> Self {
        Self {
            text: 1024 * 1024,
            parts: 200,
            header: 256 * 1024,
            urls: UrlLimits::default(),
        }
    }
}

/// What a message says.
///
/// ```
/// use mailcore::message::Message;
/// use mailcore_filter::content::{View, ViewLimits};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let mail = Message::from_bytes(
///     "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nContent-Type: text/html\r\n\r\n\
///      <p>See <a href='http://www.example.com/'>here</a>\r\n",
/// );
/// let view = View::read(&mail, &mail.summarize().await?, &ViewLimits::default()).await?;
/// assert_eq!(view.field("subject"), Some("Grüße"));
/// assert_eq!(view.texts[0].seen(), "See here");
/// assert_eq!(view.urls.organizations(), ["example.com"]);
/// # Ok::<(), mailcore::seams::StoreError>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct View {
    /// The fields of its header in order.
    pub fields: Vec<FieldText>,
    /// Its texts in order.
    pub texts: Vec<Text>,
    /// Where its own words lead: those of its text and of files that come with it,
    /// not those of messages within.
    pub urls: Urls,
    /// True when there is more text than was looked at.
    pub is_cut: bool,
}

/// The view of the message at hand, made by the first test that asks for it.
#[derive(Debug, Default)]
struct Shared(OnceCell<Option<Arc<View>>>);

impl View {
    /// The view of the message that a test looks at, made once for all tests;
    /// `limits` are heeded by the first that asks. None before there is a message,
    /// or when its store can't read it.
    pub async fn of(look: &Look<'_>, limits: &ViewLimits) -> Option<Arc<Self>> {
        let mail = look.mail?;
        let memory = &look.session.memory;
        let shared = memory.get::<Shared>().or_else(|| {
            memory.keep_for_message(Shared::default());
            memory.get()
        })?;
        let view = shared.0.get_or_init(|| async {
            let view = Self::read(mail.message, mail.summary, limits).await;
            let view = view.inspect_err(|error| tracing::warn!(%error, "no view of the message"));
            view.ok().map(Arc::new)
        });
        view.await.clone()
    }

    /// Reads `message`, of which `summary` is. Gives way to other tasks after each
    /// small piece of work.
    ///
    /// # Errors
    /// What the store of the message says.
    pub async fn read(
        message: &Message,
        summary: &Summary,
        limits: &ViewLimits,
    ) -> Result<Self, StoreError> {
        let mut view = Self {
            urls: Urls::new(limits.urls),
            ..Self::default()
        };
        view.read_header(message, summary, limits).await?;
        let mut room = limits.text;
        let mut nested = 0;
        for (index, part) in summary.parts.iter().enumerate() {
            if matches!(part.kind, PartKind::Message(_)) {
                nested = nested.max(part.end);
            }
            if part.kind != PartKind::Leaf || !is_text(&part.content) {
                continue;
            }
            if room == 0 || view.texts.len() >= limits.parts {
                view.is_cut = true;
                break;
            }
            let placement = match () {
                () if index < nested => Placement::Nested,
                () if is_file(&part.content) => Placement::Attached,
                () => Placement::Inline,
            };
            let text = decode(message, part, room).await?;
            room = room.saturating_sub(text.len());
            view.take(index, placement, text, is_html(&part.content))
                .await;
        }
        view.is_cut |= room == 0;
        Ok(view)
    }

    /// The decoded value of the first field called `name` in any case.
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.fields(name);
        fields.next().map(|field| field.text.as_str())
    }

    /// The fields called `name` in any case.
    pub fn fields(&self, name: &str) -> impl Iterator<Item = &FieldText> {
        let is_so = move |field: &&FieldText| field.name.eq_ignore_ascii_case(name);
        self.fields.iter().filter(is_so)
    }

    async fn read_header(
        &mut self,
        message: &Message,
        summary: &Summary,
        limits: &ViewLimits,
    ) -> Result<(), StoreError> {
        let length = summary.header_len().min(limits.header as u64);
        self.is_cut |= length < summary.header_len();
        let octets = message.read(0..length).await?;
        for (count, field) in Header::new(&octets).fields().enumerate() {
            self.fields.push(FieldText::read(&field));
            if count % FIELDS == FIELDS - 1 {
                tokio::task::yield_now().await;
            }
        }
        Ok(())
    }

    /// Takes in the text of a part and where it leads.
    async fn take(&mut self, part: usize, placement: Placement, text: String, is_page: bool) {
        let body = match is_page {
            true => self.read_html(placement, &text).await,
            false => {
                self.read_urls(placement, &text).await;
                TextBody::Plain(text)
            }
        };
        self.texts.push(Text {
            part,
            placement,
            body,
        });
    }

    async fn read_html(&mut self, placement: Placement, text: &str) -> TextBody {
        let mut reader = HtmlReader::new(text, self.urls.room());
        while reader.turn(TURN) == Turn::More {
            tokio::task::yield_now().await;
        }
        let html = reader.finish();
        if placement != Placement::Nested {
            for (count, link) in html.links.iter().enumerate() {
                self.urls.take_link(link, html.base.as_deref());
                if count % FIELDS == FIELDS - 1 {
                    tokio::task::yield_now().await;
                }
            }
        }
        self.read_urls(placement, &html.text).await;
        TextBody::Html(Box::new(html))
    }

    async fn read_urls(&mut self, placement: Placement, text: &str) {
        if placement == Placement::Nested {
            return;
        }
        let mut urls = TextUrls::new(text);
        while self.urls.take_text(&mut urls, TURN) == Turn::More {
            tokio::task::yield_now().await;
        }
    }
}

/// The text of a part, cut to `room`.
async fn decode(message: &Message, part: &Part, room: usize) -> Result<String, StoreError> {
    let mut decoder = TextDecoder::new(&part.content);
    let mut text = String::new();
    let mut at = part.body_start;
    while at < part.body_end && text.len() < room {
        let end = part.body_end.min(at + READ_CHUNK as u64);
        let octets = message.read(at..end).await?;
        if octets.is_empty() {
            break;
        }
        at += octets.len() as u64;
        for piece in octets.chunks(TURN) {
            decoder.push(piece, &mut text);
            if octets.len() >= TURN {
                tokio::task::yield_now().await;
            }
        }
    }
    decoder.finish(&mut text);
    text.truncate(text.floor_char_boundary(room));
    Ok(text)
}

#[cfg(test)]
mod tests;
