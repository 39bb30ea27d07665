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

# Power cuts and failing disks, every place to cut at and many random runs.
crash ROUNDS="3000":
    MAILCORE_CRASH_ROUNDS={{ROUNDS}} cargo test -p mailcore-store --test crash -- --nocapture

# kill -9 under load, restart, compare: ROUNDS times.
kill-nine ROUNDS="20":
    cargo build --release
    python3 tests/crash/kill_nine.py --rounds {{ROUNDS}}

# The licences, sources and advisories of everything we link.
deny:
    cargo deny check
