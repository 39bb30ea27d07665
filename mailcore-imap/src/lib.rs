//! IMAP for mailcore: the sans-IO session machine and the server around it.

pub mod codec;
pub mod types;
pub mod view;
