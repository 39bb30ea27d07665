//! Sessions by transcript, and the agent against hosts made up.

mod agent;
mod faults;
mod forms;
mod host;
mod soup;
mod transcript;
