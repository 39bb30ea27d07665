//! A message of tests.

use std::borrow::Cow;

use mailcore_sieve::engine::{Mail, PartInfo, PartKind};

/// A message without parts, whose text is not encoded.
#[derive(Debug)]
pub struct TestMail {
    text: String,
    body: usize,
    parts: Vec<PartInfo>,
}

impl TestMail {
    /// The message of a text; its lines may end with LF alone.
    pub fn new(text: &str) -> Self {
        let text = text.replace("\r\n", "\n").replace('\n', "\r\n");
        let body = text.find("\r\n\r\n").map_or(text.len(), |end| end + 4);
        Self {
            body,
            text,
            parts: vec![PartInfo::new(None, 1, PartKind::Leaf, ("text", "plain"))],
        }
    }
}

impl Mail for TestMail {
    fn size(&self) -> u64 {
        self.text.len() as u64
    }

    fn header(&self, part: usize) -> &[u8] {
        if part == 0 {
            self.text.as_bytes().get(..self.body).unwrap_or_default()
        } else {
            &[]
        }
    }

    fn parts(&self) -> &[PartInfo] {
        &self.parts
    }

    fn body(&self, part: usize) -> &[u8] {
        if part == 0 {
            self.text.as_bytes().get(self.body..).unwrap_or_default()
        } else {
            &[]
        }
    }

    fn content(&self, part: usize, limit: usize) -> Cow<'_, [u8]> {
        let body = self.body(part);
        Cow::Borrowed(body.get(..limit).unwrap_or(body))
    }

    fn text<'a>(&self, value: &'a [u8]) -> Cow<'a, str> {
        String::from_utf8_lossy(value)
    }

    fn addresses(&self, value: &[u8]) -> Vec<String> {
        String::from_utf8_lossy(value)
            .split(',')
            .filter_map(|one| {
                let one = one.trim();
                let inner = one.rsplit_once('<').map_or(one, |(_, rest)| rest);
                let inner = inner.split('>').next()?.trim();
                inner.contains('@').then(|| inner.to_owned())
            })
            .collect()
    }
}
