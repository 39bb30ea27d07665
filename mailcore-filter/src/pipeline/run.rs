//! Asking the tests of one stage: side by side, but after those whose findings
//! they read, and after the lists, which may make them needless.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use mailcore::plan::{Finding, Stage};
use mailcore::time::Monotonic;

use super::judged::Judged;
use super::{Audience, Look, Pipeline, Said, Test, TestClass};

/// Findings of one test at one stage, which may speak of each recipient; what it
/// says beyond is left out.
const MOST_SAID: usize = 256;
/// Octets of a finding's words.
const MOST_WORDS: usize = 300;

/// How long all tests of one stage together may take, however many wait for
/// others: less, by the longest delay, than intake waits for all filters.
const STAGE: Duration = Duration::from_secs(25);

impl Pipeline {
    /// When the stage that begins now is over.
    pub(super) fn stage_ends(&self) -> Monotonic {
        self.clock.monotonic().after(STAGE)
    }

    /// The tests of `stage` that are to be asked, in waves: those of one are
    /// asked together.
    pub(super) fn waves(&self, stage: Stage, look: &Look<'_>) -> Vec<Vec<&Arc<dyn Test>>> {
        let stranger = self.is_stranger(look.session);
        let mut waiting: Vec<_> = (self.tests.iter())
            .filter(|test| self.is_asked(test, stage))
            .filter(|test| test.audience() == Audience::Everybody || stranger)
            .collect();
        let mut waves = Vec::new();
        while !waiting.is_empty() {
            let (mut wave, mut later): (Vec<&Arc<dyn Test>>, Vec<_>) = (Vec::new(), Vec::new());
            for test in &waiting {
                let reads = |other: &&Arc<dyn Test>| {
                    other.name() != test.name() && test.after().contains(&other.name())
                };
                let barred = wave.iter().any(|it| it.class() == TestClass::List);
                if barred || waiting.iter().any(reads) {
                    later.push(*test);
                } else {
                    wave.push(test);
                }
            }
            if wave.is_empty() {
                // Tests that wait for each other are asked all the same.
                wave = std::mem::take(&mut later);
            }
            waves.push(wave);
            waiting = later;
        }
        waves
    }

    /// Asks the tests of one wave; what they said, in their order, is in the
    /// session's findings, too.
    pub(super) async fn ask_wave(
        &self,
        (stage, until): (Stage, Monotonic),
        look: &Look<'_>,
        tests: impl IntoIterator<Item = &Arc<dyn Test>>,
    ) -> Vec<Judged> {
        let asked = tests.into_iter().map(|test| -> Asked<'_> {
            let test = Arc::clone(test);
            Box::pin(async move { self.ask_one((stage, until), look, test).await })
        });
        let said = all(asked.collect()).await;
        said.into_iter().flatten().collect()
    }

    async fn ask_one(
        &self,
        (stage, until): (Stage, Monotonic),
        look: &Look<'_>,
        test: Arc<dyn Test>,
    ) -> Vec<Judged> {
        let begun = self.clock.monotonic();
        let until = until.min(begun.after(self.deadline));
        let said = tokio::select! {
            biased;
            said = test.look(look) => said,
            () = self.clock.sleep_until(until) => {
                tracing::debug!(test = test.name(), %stage, "no answer in time");
                Vec::new()
            }
        };
        let took = self.clock.monotonic().since(begun);
        let judged = |said: Said| {
            let shipped = test.reaction(said.result);
            let score = self.settings.global_score(test.name(), &said, shipped);
            let finding = Finding::new(stage, test.name(), said.result)
                .on(clean(&said.input))
                .detail(clean(&said.detail))
                .score(score)
                .took(took);
            look.session.memory.note(finding);
            Judged {
                stage,
                test: test.name(),
                class: test.class(),
                result: said.result,
                detail: clean(&said.detail),
                score: said.score.filter(|score| score.is_finite()),
                shipped,
                recipient: said.recipient.or_else(|| look.recipient.cloned()),
            }
        };
        said.into_iter().take(MOST_SAID).map(judged).collect()
    }
}

/// What is not fit for a line of a log or of a reply is left out.
fn clean(text: &str) -> String {
    let mut end = text.len().min(MOST_WORDS);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let text = text.get(..end).unwrap_or_default();
    text.chars().filter(|c| !c.is_control()).collect()
}

type Asked<'a> = Pin<Box<dyn Future<Output = Vec<Judged>> + Send + 'a>>;

/// Waits for all of them at once.
async fn all(asked: Vec<Asked<'_>>) -> Vec<Vec<Judged>> {
    let mut asked: Vec<_> = asked.into_iter().map(|it| (Some(it), Vec::new())).collect();
    poll_fn(|context| {
        let mut pending = false;
        for (future, said) in &mut asked {
            let Some(running) = future else { continue };
            match running.as_mut().poll(context) {
                Poll::Ready(done) => {
                    *said = done;
                    *future = None;
                }
                Poll::Pending => pending = true,
            }
        }
        if pending {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    })
    .await;
    asked.into_iter().map(|(_, said)| said).collect()
}
