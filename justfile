# Everyday commands. `just` lists them; `.ci/run` is the gate.

default:
    @just --list

# What the gate runs.
ci:
    bash .ci/run

# All tests.
test:
    cargo test --workspace

# All tests ROUNDS times, each with other random cases.
properties ROUNDS="20":
    for seed in $(seq {{ROUNDS}}); do echo "seed $seed"; PROPTEST_RNG_SEED=$seed cargo test --workspace -q || exit 1; done

fmt:
    cargo fmt --all

lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings

docs:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

# Every feature of every crate alone.
features:
    python3 .ci/check_features.py

# A package of each crate, compiled from the packages of the others.
packages:
    cargo package --workspace --locked

# A server on unprivileged ports of 127.0.0.1.
run:
    cargo run --release

# Power cuts and failing disks, every place to cut at and many random runs.
crash ROUNDS="3000":
    MAILCORE_CRASH_ROUNDS={{ROUNDS}} cargo test -p mailcore-store --test crash -- --nocapture

# kill -9 under load, restart, compare with what every client was told: ROUNDS times.
kill-nine ROUNDS="20":
    cargo build --release
    python3 tests/crash/kill_nine.py --rounds {{ROUNDS}}

# Two weeks of mail in virtual time among hosts, name servers, lines and disks that
# fail, with restarts: LIVES times.
faults LIVES="20":
    MAILCORE_FAULT_LIVES={{LIVES}} cargo test -p mailcore-tests --test flows faults::long -- --ignored --nocapture

# As kill-nine, with power cuts on an ext4 image; needs root.
power-cut ROUNDS="20":
    cargo build --release
    sudo python3 tests/crash/power_cut.py --rounds {{ROUNDS}}

# Damage a store's files in every way, read everything back.
damage ROUNDS="26" SIZE="64MB":
    cargo build --release
    python3 tests/crash/damage.py --rounds {{ROUNDS}} --size {{SIZE}}

# What the embedded store sustains on the disk of DIRECTORY, beside a bare group commit.
sustained DIRECTORY="/tmp" SECONDS="30":
    cargo run --release -p mailcore-store --example sustained -- {{DIRECTORY}} {{SECONDS}}

# The SPF test suite of openspf.org, a YAML file (python3-yaml reads it).
openspf SUITE:
    python3 mailcore-filter/tests/suite.py {{SUITE}} > target/openspf.json
    OPENSPF=$PWD/target/openspf.json cargo test -p mailcore-filter --test openspf -- --ignored --nocapture

# ValiMail's suite of ARC chains to check, a YAML file.
arc SUITE:
    python3 mailcore-filter/tests/suite.py {{SUITE}} > target/arc.json
    ARC_SUITE=$PWD/target/arc.json cargo test -p mailcore-filter --features dkim --test arc_suite chain_of -- --ignored --nocapture

# ValiMail's suite of messages to seal, a YAML file.
arc-seal SUITE:
    python3 mailcore-filter/tests/suite.py {{SUITE}} > target/arc-seal.json
    ARC_SEAL_SUITE=$PWD/target/arc-seal.json cargo test -p mailcore-filter --features dkim --test arc_suite sealed -- --ignored --nocapture

# The licences, sources and advisories of everything we link.
deny:
    cargo deny check

# Feed TARGET (see fuzz/README.md) any octets for SECONDS; what covers more is kept in
# fuzz/target/corpus.
fuzz TARGET="imap_session" SECONDS="60":
    mkdir -p fuzz/target/corpus/{{TARGET}} fuzz/artifacts
    cd fuzz && RUSTFLAGS="-C passes=sancov-module -C llvm-args=-sanitizer-coverage-level=4 -C llvm-args=-sanitizer-coverage-inline-8bit-counters -C llvm-args=-sanitizer-coverage-pc-table -C codegen-units=1 -C opt-level=1" cargo build --release --target x86_64-unknown-linux-gnu --bin {{TARGET}} --target-dir target
    cd fuzz && target/x86_64-unknown-linux-gnu/release/{{TARGET}} target/corpus/{{TARGET}} corpus/{{TARGET}} -artifact_prefix=artifacts/{{TARGET}}- -max_total_time={{SECONDS}} -max_len=4096 -timeout=10 -rss_limit_mb=1024
