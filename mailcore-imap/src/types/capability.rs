//! [`Capability`]: the names this server can announce.
//!
//! Which of them hold in a session is derived in [`crate::session`] from the
//! table of commands, the state, the store's abilities and the configuration.

/// A capability's name, as registered with IANA.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Capability {
    /// RFC 3501.
    Imap4Rev1,
    /// RFC 9051.
    Imap4Rev2,
    /// RFC 7888: non-synchronising literals of any size the server takes.
    LiteralPlus,
    /// RFC 7888: non-synchronising literals of at most 4096 octets.
    LiteralMinus,
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
    /// RFC 7162.
    QResync,
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
    /// RFC 8440.
    ListMyRights,
    /// RFC 6851.
    Move,
    /// RFC 8438.
    StatusSize,
    /// RFC 7889: APPENDLIMIT of every mailbox.
    AppendLimit(u64),
    /// RFC 4731.
    ESearch,
    /// RFC 5182.
    SearchRes,
    /// RFC 5032.
    Within,
    /// RFC 3516.
    Binary,
    /// RFC 6855.
    Utf8Accept,
    /// RFC 8437.
    Unauthenticate,
    /// RFC 8474.
    ObjectId,
    /// RFC 8514.
    SaveDate,
    /// RFC 9586.
    UidOnly,
    /// RFC 9394.
    Partial,
    /// RFC 9738: the most messages one command works on.
    MessageLimit(u32),
    /// RFC 8508.
    Replace,
    /// RFC 3502.
    MultiAppend,
    /// RFC 4469.
    Catenate,
    /// RFC 5465.
    Notify,
    /// RFC 4978.
    CompressDeflate,
    /// RFC 9585.
    InProgress,
    /// RFC 5464.
    Metadata,
    /// RFC 9698.
    JmapAccess,
}

impl Capability {
    /// The name on the wire, without a value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Imap4Rev1 => "IMAP4rev1",
            Self::Imap4Rev2 => "IMAP4rev2",
            Self::LiteralPlus => "LITERAL+",
            Self::LiteralMinus => "LITERAL-",
            Self::SaslIr => "SASL-IR",
            Self::StartTls => "STARTTLS",
            Self::LoginDisabled => "LOGINDISABLED",
            Self::Auth(_) => "AUTH",
            Self::Id => "ID",
            Self::Enable => "ENABLE",
            Self::CondStore => "CONDSTORE",
            Self::QResync => "QRESYNC",
            Self::CreateSpecialUse => "CREATE-SPECIAL-USE",
            Self::Idle => "IDLE",
            Self::Namespace => "NAMESPACE",
            Self::UidPlus => "UIDPLUS",
            Self::Unselect => "UNSELECT",
            Self::Children => "CHILDREN",
            Self::SpecialUse => "SPECIAL-USE",
            Self::ListExtended => "LIST-EXTENDED",
            Self::ListStatus => "LIST-STATUS",
            Self::ListMyRights => "LIST-MYRIGHTS",
            Self::Move => "MOVE",
            Self::StatusSize => "STATUS=SIZE",
            Self::AppendLimit(_) => "APPENDLIMIT",
            Self::ESearch => "ESEARCH",
            Self::SearchRes => "SEARCHRES",
            Self::Within => "WITHIN",
            Self::Binary => "BINARY",
            Self::Utf8Accept => "UTF8=ACCEPT",
            Self::Unauthenticate => "UNAUTHENTICATE",
            Self::ObjectId => "OBJECTID",
            Self::SaveDate => "SAVEDATE",
            Self::UidOnly => "UIDONLY",
            Self::Partial => "PARTIAL",
            Self::MessageLimit(_) => "MESSAGELIMIT",
            Self::Replace => "REPLACE",
            Self::MultiAppend => "MULTIAPPEND",
            Self::Catenate => "CATENATE",
            Self::Notify => "NOTIFY",
            Self::CompressDeflate => "COMPRESS=DEFLATE",
            Self::InProgress => "INPROGRESS",
            Self::Metadata => "METADATA",
            Self::JmapAccess => "JMAPACCESS",
        }
    }
}

impl std::fmt::Display for Capability {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())?;
        match self {
            Self::Auth(mechanism) => write!(f, "={mechanism}"),
            Self::AppendLimit(octets) => write!(f, "={octets}"),
            Self::MessageLimit(messages) => write!(f, "={messages}"),
            _ => Ok(()),
        }
    }
}
