//! Which capabilities hold in a session: derived, in this one place, from the
//! table of commands, the state, the store's abilities and the configuration.
//!
//! A command of an extension that does not hold is unknown, and ENABLE passes
//! over its name, so that nothing is served that is not announced.

use super::config::{Compression, Literals};
use super::context::Context;
use super::state::State;
use crate::types::Capability;

/// What is told before all else.
const FIRST: [Capability; 7] = [
    Capability::Imap4Rev1,
    Capability::Imap4Rev2,
    Capability::LiteralPlus,
    Capability::LiteralMinus,
    Capability::SaslIr,
    Capability::StartTls,
    Capability::LoginDisabled,
];

/// Capabilities that no command of their own announces, in the order in which
/// they are told.
const WITHOUT_COMMAND: &[Capability] = &[
    Capability::CondStore,
    Capability::QResync,
    Capability::Partial,
    Capability::UidOnly,
    Capability::ObjectId,
    Capability::SaveDate,
    Capability::ESearch,
    Capability::SearchRes,
    Capability::Within,
    Capability::Utf8Accept,
    Capability::Binary,
    Capability::InProgress,
    Capability::MultiAppend,
    Capability::Catenate,
    Capability::ListExtended,
    Capability::ListStatus,
    Capability::Children,
    Capability::SpecialUse,
    Capability::CreateSpecialUse,
    Capability::StatusSize,
];

/// What this server can do in this state (RFC 9051 section 6.1.1), as it is
/// written.
pub(crate) fn capabilities(cx: &Context) -> Vec<String> {
    let mechanisms = cx
        .mechanisms()
        .map(|mechanism| Capability::Auth(mechanism.as_str()));
    let message_limit = cx.config.message_limit;
    let all = FIRST
        .into_iter()
        .chain(mechanisms)
        .chain(crate::commands::capabilities())
        .chain(WITHOUT_COMMAND.iter().copied())
        .chain([Capability::AppendLimit(cx.config.append_limit)])
        .chain(message_limit.map(|limit| Capability::MessageLimit(limit.get())));
    let names = all.filter(|capability| holds(*capability, cx));
    let scripts = cx.config.script_server.as_ref();
    // The scripts of mailboxes are tied to them by METADATA (RFC 6785 section 2.1).
    let scripts = scripts.filter(|_| holds(Capability::Metadata, cx));
    let scripts = scripts.map(|server| format!("IMAPSIEVE={server}"));
    names.map(|name| name.to_string()).chain(scripts).collect()
}

/// True when `capability` is announced in this state, so that its command is
/// served and its name can be enabled.
pub(crate) fn is_announced(capability: Capability, cx: &Context) -> bool {
    let known = crate::commands::announces(capability)
        || FIRST.contains(&capability)
        || WITHOUT_COMMAND.contains(&capability);
    known && holds(capability, cx)
}

/// What must be true for a capability, beside its being in the table or the
/// list above.
fn holds(capability: Capability, cx: &Context) -> bool {
    let before_login = matches!(cx.state, State::NotAuthenticated);
    match capability {
        Capability::LiteralPlus => cx.config.literals == Literals::Plus,
        Capability::LiteralMinus => cx.config.literals == Literals::Minus,
        Capability::SaslIr => before_login,
        Capability::StartTls => before_login && cx.may_start_tls(),
        // It would end a compression (RFC 8437 section 4.1), and where a stream
        // of DEFLATE ends within what came at once nothing says.
        Capability::Unauthenticate => !before_login && !cx.is_compressed,
        Capability::Auth(_) => before_login,
        Capability::LoginDisabled => before_login && !cx.takes_passwords(),
        Capability::Move => cx.abilities.atomic_move,
        Capability::SpecialUse | Capability::CreateSpecialUse => cx.abilities.special_use,
        Capability::CondStore | Capability::QResync => cx.abilities.mod_seq,
        Capability::ListMyRights => cx.abilities.acl,
        Capability::Metadata => cx.abilities.metadata,
        Capability::ObjectId => cx.abilities.object_id,
        Capability::Replace => cx.abilities.replace,
        Capability::MultiAppend => cx.abilities.multi_append,
        Capability::CompressDeflate => cx.config.compression == Compression::Offered,
        Capability::Notify => cx.abilities.watch_account,
        _ => true,
    }
}
