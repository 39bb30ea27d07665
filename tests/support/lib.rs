//! What the flows share: whole servers without ports, and dialogues with them.

mod desk;
mod dialogue;
pub mod rough;
mod world;

pub use desk::{Behind, Desk};
pub use dialogue::{Dialogue, base64};
pub use world::{House, PASSWORD, StoreKind, World};
