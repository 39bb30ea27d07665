//! Work at set times: when ([`Crontab`]), in which zone ([`Zone`]).

mod crontab;
mod zone;

pub use crontab::{Crontab, CrontabError, Field};
pub use zone::{Utc, Zone};
