//! The file-system seam under the log and the extents, as mailcore has it. The
//! SQLite index does not go through it: it is derived data.

pub use mailcore::files::{DiskFileSystem, FileSystem, StoreFile};
