//! The form in which a message goes to a host: as it is, or converted into what
//! the host takes (RFC 6152 section 3, RFC 3030 section 4).

use mailcore::envelope::BodyType;
use mailcore::message::{
    CannotConvert, Conversion, Goal, Inspector, Limits, Message, PartInspector, Scanner, Traits,
};
use mailcore::status::Status;

use super::source::read;
use super::transaction::{ContentNeeds, takes_binary, unreadable};
use crate::extension::{Extension, Extensions};

/// How a message is sent.
#[derive(Debug)]
pub(super) struct Form {
    pub(super) needs: ContentNeeds,
    /// `None` for as it is.
    pub(super) conversion: Option<(Goal, Conversion)>,
}

/// A message's content, looked at once for all hosts.
#[derive(Debug)]
pub(super) struct Content<'a> {
    message: &'a Message,
    /// `None` when it can't be read.
    traits: Option<Traits>,
}

impl<'a> Content<'a> {
    /// Reads the message once.
    pub(super) async fn inspect(message: &'a Message) -> Self {
        let mut inspector = Inspector::default();
        let read = each_piece(message, |octets| inspector.push(octets)).await;
        Self {
            message,
            traits: read.map(|()| inspector.finish()),
        }
    }

    pub(super) fn message(&self) -> &'a Message {
        self.message
    }

    /// The form for a host that offers this.
    pub(super) async fn form(&self, offered: &Extensions) -> Result<Form, Status> {
        let traits = self.traits.ok_or_else(unreadable)?;
        let as_it_is = |body| Form {
            needs: ContentNeeds {
                body,
                utf8_header: traits.eight_bit_header,
            },
            conversion: None,
        };
        let takes_eight = offered.offers(&Extension::EightBitMime);
        let body = match traits.eight_bit {
            true => BodyType::EightBitMime,
            false => BodyType::SevenBit,
        };
        if traits.stray && takes_binary(offered) {
            return Ok(as_it_is(BodyType::BinaryMime));
        }
        let must = traits.stray || (traits.eight_bit && !takes_eight);
        if !must && !traits.long_line {
            return Ok(as_it_is(body));
        }
        let goal = match takes_eight {
            true => Goal::EightBit,
            false => Goal::SevenBit,
        };
        match self.convert(goal).await? {
            Ok(conversion) => Ok(Form {
                conversion: Some((goal, conversion)),
                ..as_it_is(match goal {
                    Goal::SevenBit => BodyType::SevenBit,
                    Goal::EightBit => body,
                })
            }),
            // A long line that can't be avoided is sent: most hosts take it.
            Err(_) if !must => Ok(as_it_is(body)),
            Err(reason) => Err(refusal(reason)),
        }
    }

    /// Reads the message twice: for its structure, and for what each part holds.
    async fn convert(&self, goal: Goal) -> Result<Result<Conversion, CannotConvert>, Status> {
        let mut scanner = Scanner::new(Limits::default());
        let read = each_piece(self.message, |octets| scanner.push(octets)).await;
        read.ok_or_else(unreadable)?;
        let summary = scanner.finish();
        let mut inspector = PartInspector::new(&summary);
        let read = each_piece(self.message, |octets| inspector.push(octets)).await;
        read.ok_or_else(unreadable)?;
        Ok(inspector.finish(goal))
    }
}

async fn each_piece(message: &Message, mut take: impl FnMut(&[u8]) + Send) -> Option<()> {
    let mut offset = 0;
    while offset < message.len() {
        let octets = read(message, offset).await?;
        take(&octets);
        offset += octets.len() as u64;
    }
    Some(())
}

fn refusal(reason: CannotConvert) -> Status {
    let (detail, lack) = match reason {
        // RFC 6531 section 3.6: as for a header in UTF-8.
        CannotConvert::EightBitHeader => (7, "8-bit header fields"),
        CannotConvert::StrayInHeader | CannotConvert::NotMime => (0, "such content"),
        _ => (3, "8-bit or binary content"),
    };
    let text = format!("the next host takes no {lack}, and {reason}");
    Status::permanent(6, detail, text)
}
