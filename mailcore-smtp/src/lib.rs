//! SMTP for mailcore: sans-IO session machines, server and client.

pub mod command;
pub mod data;
pub mod extension;
pub mod reply;
pub mod server;
