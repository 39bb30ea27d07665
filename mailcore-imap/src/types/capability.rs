//! [`Capability`]: the names this server can announce.
//!
//! Which of them hold in a session is derived in [`crate::session`] from the
//! state, the store's abilities and the configuration.

/// A capability's name, as registered with IANA.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Capability {
    /// RFC 3501.
    Imap4Rev1,
    /// RFC 7888: non-synchronising literals of any size the server takes.
    LiteralPlus,
    /// RFC 4959: an initial response with AUTHENTICATE.
    SaslIr,
    /// RFC 9051 section 6.2.1.
    StartTls,
    /// RFC 9051 section 6.2.3: LOGIN is refused.
    LoginDisabled,
    /// `AUTH=` and a mechanism.
    Auth(&'static str),
    /// RFC 2971.
    Id,
    /// RFC 5161.
    Enable,
    /// RFC 7162.
    CondStore,
    /// RFC 6154 section 3.
    CreateSpecialUse,
    /// RFC 2177.
    Idle,
    /// RFC 2342.
    Namespace,
    /// RFC 4315.
    UidPlus,
    /// RFC 3691.
    Unselect,
    /// RFC 3348.
    Children,
    /// RFC 6154.
    SpecialUse,
    /// RFC 5258.
    ListExtended,
    /// RFC 5819.
    ListStatus,
    /// RFC 6851.
    Move,
    /// RFC 8438.
    StatusSize,
    /// RFC 7889: APPENDLIMIT of every mailbox.
    AppendLimit(u64),
}

impl std::fmt::Display for Capability {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = match self {
            Self::Imap4Rev1 => "IMAP4rev1",
            Self::LiteralPlus => "LITERAL+",
            Self::SaslIr => "SASL-IR",
            Self::StartTls => "STARTTLS",
            Self::LoginDisabled => "LOGINDISABLED",
            Self::Auth(mechanism) => return write!(f, "AUTH={mechanism}"),
            Self::Id => "ID",
            Self::Enable => "ENABLE",
            Self::CondStore => "CONDSTORE",
            Self::CreateSpecialUse => "CREATE-SPECIAL-USE",
            Self::Idle => "IDLE",
            Self::Namespace => "NAMESPACE",
            Self::UidPlus => "UIDPLUS",
            Self::Unselect => "UNSELECT",
            Self::Children => "CHILDREN",
            Self::SpecialUse => "SPECIAL-USE",
            Self::ListExtended => "LIST-EXTENDED",
            Self::ListStatus => "LIST-STATUS",
            Self::Move => "MOVE",
            Self::StatusSize => "STATUS=SIZE",
            Self::AppendLimit(octets) => return write!(f, "APPENDLIMIT={octets}"),
        };
        f.write_str(name)
    }
}
