//! [`Library`]: compiled scripts, held within a limit of memory and found by
//! their text, so that a thousand accounts with one script hold it once.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};

use crate::engine::{CompileError, Compiler, Program};

/// What a text was compiled to.
pub type Compiled = Result<Arc<Program>, CompileError>;

/// Octets counted for an entry beside its program.
const ENTRY: usize = 512;

/// Compiles texts and holds what came of them.
#[derive(Debug)]
pub struct Library {
    compiler: Compiler,
    limit: usize,
    // Two, so that no text can be made to pass for another.
    hashers: [RandomState; 2],
    shelf: Mutex<Shelf>,
}

#[derive(Debug, Default)]
struct Shelf {
    held: HashMap<u128, Entry>,
    /// Keys by their last use, the oldest first.
    uses: BTreeMap<u64, u128>,
    clock: u64,
    memory: usize,
}

#[derive(Debug)]
struct Entry {
    compiled: Compiled,
    used: u64,
    memory: usize,
}

impl Library {
    /// An empty one that holds programs of up to `limit` octets together. One
    /// that is bigger by itself is compiled each time.
    pub fn new(compiler: Compiler, limit: usize) -> Self {
        Self {
            compiler,
            limit,
            hashers: [RandomState::new(), RandomState::new()],
            shelf: Mutex::default(),
        }
    }

    /// What compiles.
    pub fn compiler(&self) -> &Compiler {
        &self.compiler
    }

    /// The program of a script's text. `name` is what its errors call it.
    pub fn script(&self, name: &str, text: &str) -> Compiled {
        self.program("", name, text, |compiler| {
            compiler.compile(name, text.as_bytes())
        })
    }

    /// The program that `make` makes of a text; `kind` keeps apart what is made
    /// of the same text in other ways.
    pub fn program(
        &self,
        kind: &str,
        name: &str,
        text: &str,
        make: impl FnOnce(&Compiler) -> Result<Program, CompileError>,
    ) -> Compiled {
        let key = self.key(kind, name, text);
        if let Some(compiled) = self.shelf().look_up(key) {
            return compiled;
        }
        let compiled = make(&self.compiler).map(Arc::new);
        let program = compiled.as_ref().map_or(0, |program| program.memory_size());
        let memory = program + ENTRY;
        if memory <= self.limit {
            self.shelf().put(key, compiled.clone(), memory, self.limit);
        }
        compiled
    }

    /// Octets of the programs held.
    pub fn memory(&self) -> usize {
        self.shelf().memory
    }

    fn key(&self, kind: &str, name: &str, text: &str) -> u128 {
        let [high, low] = &self.hashers;
        let key = (kind, name, text);
        u128::from(high.hash_one(key)) << 64 | u128::from(low.hash_one(key))
    }

    fn shelf(&self) -> std::sync::MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelf {
    fn look_up(&mut self, key: u128) -> Option<Compiled> {
        self.clock += 1;
        let entry = self.held.get_mut(&key)?;
        self.uses.remove(&entry.used);
        entry.used = self.clock;
        self.uses.insert(self.clock, key);
        Some(entry.compiled.clone())
    }

    fn put(&mut self, key: u128, compiled: Compiled, memory: usize, limit: usize) {
        self.remove(key);
        while self.memory + memory > limit {
            let Some((_, oldest)) = self.uses.pop_first() else {
                break;
            };
            self.remove(oldest);
        }
        self.clock += 1;
        let used = self.clock;
        self.uses.insert(used, key);
        self.memory += memory;
        let entry = Entry {
            compiled,
            used,
            memory,
        };
        self.held.insert(key, entry);
    }

    fn remove(&mut self, key: u128) {
        if let Some(entry) = self.held.remove(&key) {
            self.uses.remove(&entry.used);
            self.memory = self.memory.saturating_sub(entry.memory);
        }
    }
}
