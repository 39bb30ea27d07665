//! Where mail goes: the [`DirectoryRouter`] decides from the directory, and
//! [`mx`] orders the hosts that DNS names.
//!
//! Connections are made elsewhere, by the delivery agents.

mod directory_router;
pub mod mx;

pub use directory_router::DirectoryRouter;
