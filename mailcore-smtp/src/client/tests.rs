//! Sessions by transcript, and the agent against hosts made up.

mod agent;
mod callout;
mod faults;
mod forms;
mod host;
mod signing;
mod soup;
mod transcript;
