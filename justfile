# Everyday commands. `just` lists them; `.ci/run` is the gate.

default:
    @just --list

# What the gate runs.
ci:
    bash .ci/run

# All tests.
test:
    cargo test --workspace

fmt:
    cargo fmt --all

lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings

docs:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

# A server on unprivileged ports of 127.0.0.1.
run:
    cargo run --release

# kill -9 under load, restart, compare: ROUNDS times.
crash ROUNDS="20":
    cargo build --release
    python3 tests/crash/kill_nine.py --rounds {{ROUNDS}}

# The licences, sources and advisories of everything we link.
deny:
    cargo deny check
