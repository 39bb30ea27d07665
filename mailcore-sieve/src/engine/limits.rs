//! How much a script may be and do.

/// Limits of compiling and of running. Each is a setting of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Octets of a script's text.
    pub script_size: usize,
    /// Blocks within blocks, and tests within tests (RFC 5228 section 2.10.3 asks
    /// for 15 at least).
    pub nesting: usize,
    /// Commands, tests and strings of a script.
    pub elements: usize,
    /// Steps of a run, included scripts counted in. A step is one instruction, or
    /// 64 octets of text looked at; a question to the host is 500.
    pub steps: u64,
    /// Actions of a run.
    pub actions: usize,
    /// Redirects of a run (RFC 5228 section 4.2 and 10).
    pub redirects: usize,
    /// Notifications of a run.
    pub notifications: usize,
    /// Scripts within scripts (RFC 6609 section 3.2), and how many in all.
    pub includes: usize,
    /// Octets of one variable; what is longer is cut (RFC 5229 section 6).
    pub variable: usize,
    /// Variables of a run.
    pub variables: usize,
    /// Octets that a run holds in variables, edits and new parts together.
    pub memory: usize,
    /// Octets of decoded body text that one test looks at.
    pub body: usize,
    /// Header fields and parts that a run adds or replaces.
    pub edits: usize,
    /// Seconds between two answers to the same sender, at least (RFC 5230 section
    /// 4.1, RFC 6131 section 2). What is counted in days is a day at least.
    pub vacation_least: u64,
    /// Seconds between two answers to the same sender, at most.
    pub vacation_most: u64,
    /// Seconds for which a message is remembered to tell duplicates, at most (RFC
    /// 7352 section 3.3).
    pub duplicate_most: u64,
}

impl Default for Limits {
    /// A script of 1 MiB, 32 levels, 1,000,000 steps, 32 actions of which 8
    /// redirect and 8 notify, 16 includes, 128 variables of 4 KiB, 8 MiB in all;
    /// answers and duplicates remembered for 31 days at most.
    fn default() -> Self {
        Self {
            script_size: 1 << 20,
            nesting: 32,
            elements: 100_000,
            steps: 1_000_000,
            actions: 32,
            redirects: 8,
            notifications: 8,
            includes: 16,
            variable: 4096,
            variables: 128,
            memory: 8 << 20,
            body: 1 << 20,
            edits: 64,
            vacation_least: 0,
            vacation_most: 31 * 86_400,
            duplicate_most: 31 * 86_400,
        }
    }
}
