//! IMAP for mailcore: the sans-IO session machine and the server around it.

pub mod codec;
mod commands;
mod render;
mod search;
pub mod server;
pub mod session;
pub mod types;
pub mod view;
pub mod wording;
