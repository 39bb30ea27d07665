//! [`Legal`]: when a command may be given, by state and by what was enabled.

use crate::session::{Context, State};
use crate::types::Extension;
use crate::wording::{self, Status};

/// When a command is legal (RFC 9051 section 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Legal {
    Always,
    NotAuthenticated,
    /// Authenticated or selected.
    LoggedIn,
    Selected,
    /// Selected, and messages have numbers: it takes or tells them, which
    /// UIDONLY ends (RFC 9586 section 3).
    Numbered,
}

impl Legal {
    /// The refusal of such a command, unless it may be given now.
    pub(crate) fn refusal(self, cx: &Context) -> Option<Status> {
        if !self.holds_in(&cx.state) {
            return Some(wording::wrong_state());
        }
        let numberless = self == Self::Numbered && cx.enabled.has(Extension::UidOnly);
        numberless.then(wording::uid_required)
    }

    /// True when such a command may be given in `state`.
    fn holds_in(self, state: &State) -> bool {
        match self {
            Self::Always => true,
            Self::NotAuthenticated => matches!(state, State::NotAuthenticated),
            Self::LoggedIn => matches!(state, State::Authenticated(_) | State::Selected(..)),
            Self::Selected | Self::Numbered => matches!(state, State::Selected(..)),
        }
    }
}
