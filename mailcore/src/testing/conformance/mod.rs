//! Suites that show whether an implementation keeps a seam's contract.
