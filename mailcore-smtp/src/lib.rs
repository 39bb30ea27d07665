//! SMTP for mailcore: sans-IO session machines, server and client.

pub mod command;
