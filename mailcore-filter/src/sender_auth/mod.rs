//! Who sent a message, as far as DNS and signatures tell.

pub mod spf;
