//! Blocks and the commands that choose between them (RFC 5228 section 3.1).

use super::{Compile, Known};
use crate::engine::CompileError;
use crate::engine::ast::{Command, Test};

impl Compile<'_> {
    /// Compiles commands in their order.
    pub(crate) fn block(&mut self, commands: &[Command]) -> Result<(), CompileError> {
        let mut rest = commands;
        while let Some((command, after)) = rest.split_first() {
            rest = after;
            match command.name.as_str() {
                "if" => {
                    let more = after.iter().take_while(|next| next.name == "elsif").count();
                    let more =
                        more + usize::from(after.get(more).is_some_and(|next| next.name == "else"));
                    let (branches, others) = after.split_at_checked(more).unwrap_or((&[], after));
                    rest = others;
                    self.branches(command, branches)?;
                }
                "elsif" | "else" => {
                    let words = format!(
                        "`{}` follows the block of an `if` or `elsif` alone",
                        command.name
                    );
                    return Err(CompileError::new(command.at, words));
                }
                _ => self.command(command)?,
            }
            if let ("stop" | "return", Some(next)) = (command.name.as_str(), after.first()) {
                let words = format!("nothing after `{}` is run: remove it", command.name);
                self.warn(next.at, words);
            }
        }
        Ok(())
    }

    fn branches(&mut self, first: &Command, others: &[Command]) -> Result<(), CompileError> {
        self.begun = true;
        let end = self.label();
        let mut chosen = false;
        for branch in std::iter::once(first).chain(others) {
            let (test, block) = parts(branch)?;
            // What can't be reached may use what there is not (RFC 5463 section 4).
            if chosen {
                continue;
            }
            let next = self.label();
            self.at(branch.at);
            let known = test.map_or(Ok(Known::True), |test| self.test(test))?;
            if known == Known::Depends {
                self.jump_unless(next);
            }
            if known != Known::False {
                self.block(block)?;
            }
            if known == Known::Depends {
                self.jump(end);
            }
            chosen = known == Known::True;
            self.place(next);
        }
        self.place(end);
        Ok(())
    }

    /// Tests that are all to be true, or one of which is: the code leaves once
    /// the result is clear.
    pub(crate) fn tests(&mut self, tests: &[Test], decides: Known) -> Result<Known, CompileError> {
        let end = self.label();
        let mut left = Known::Depends;
        let mut open = false;
        for test in tests {
            let known = self.test(test)?;
            if known == Known::Depends {
                open = true;
                if decides == Known::True {
                    self.jump_if(end);
                } else {
                    self.jump_unless(end);
                }
            } else if known == decides {
                left = known;
                break;
            }
        }
        if left == Known::Depends && open {
            self.place(end);
            return Ok(Known::Depends);
        }
        if left == Known::Depends {
            left = if decides == Known::True {
                Known::False
            } else {
                Known::True
            };
        }
        // The tests before a known one were without effect on the result.
        self.place(end);
        Ok(left)
    }
}

/// The test and the block of a branch.
fn parts(branch: &Command) -> Result<(Option<&Test>, &[Command]), CompileError> {
    let name = &branch.name;
    let error = |words: String| Err(CompileError::new(branch.at, words));
    if let Some(argument) = branch.arguments.first() {
        let words = format!("`{name}` takes no argument but a test and a block");
        return Err(CompileError::new(argument.at, words));
    }
    let Some(block) = &branch.block else {
        return error(format!(
            "`{name}` needs a block: write `{{ ... }}` instead of `;`"
        ));
    };
    let test = match branch.tests.as_slice() {
        [] if name == "else" => None,
        [one] if name != "else" => Some(one),
        [] => return error(format!("`{name}` needs a test")),
        [..] if name == "else" => return error("`else` takes no test: write `elsif`".into()),
        [..] => {
            return error(format!(
                "`{name}` takes one test: join several with `allof` or `anyof`"
            ));
        }
    };
    Ok((test, block))
}
