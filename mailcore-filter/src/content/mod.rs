//! What a message says: its text as people see it, and where it leads.
//!
//! [`View`] is made once a message, in turns and within bounds, and is what tests
//! of content look at: rules, lists of bad hosts, statistics of words.
//!
//! | RFC | what of it |
//! |---|---|
//! | 2045, 2047 | transfer encodings and encoded-words undone, by mailcore |
//! | 3986 | URLs, with what browsers make of broken ones |
//! | 5891 | names of hosts in other letters, as A-labels |

mod html;
mod text;
mod urls;
mod view;

pub use html::{Html, HtmlCounts, HtmlReader, Link, LinkKind, Turn};
pub use text::{FieldText, Placement, Text, TextBody};
pub use urls::{Origin, Scheme, Trick, Tricks, Url, UrlHost, UrlLimits, Urls};
pub use view::{View, ViewLimits};
