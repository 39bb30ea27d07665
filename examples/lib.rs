//! One-file examples of embedding mailcore. Each is a program
//! (`cargo run --example receive_into_app`) and a test of itself.
