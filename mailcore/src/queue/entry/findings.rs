//! What of the filters' findings stays with an entry, so that rules know it when
//! the queue files the message.

use std::sync::Arc;
use std::time::Duration;

use crate::pack::{PackError, Packer, Unpacker};
use crate::plan::{Finding, Stage};

/// Findings that stay with an entry.
const MOST: usize = 64;
/// Octets of each of their texts.
const MOST_TEXT: usize = 100;

/// The findings that stay: those of the message first, which rules ask for.
pub(crate) fn kept_findings(findings: &[Finding]) -> Arc<[Finding]> {
    let of_content = |it: &&Finding| it.stage == Stage::Content;
    let before = findings.iter().filter(|it| !of_content(it));
    let all = findings.iter().filter(of_content).chain(before);
    let kept = all.take(MOST).map(|it| Finding {
        input: cut(&it.input),
        result: cut(&it.result),
        detail: String::new(),
        took: Duration::ZERO,
        ..it.clone()
    });
    kept.collect()
}

fn cut(text: &str) -> String {
    text.get(..text.floor_char_boundary(MOST_TEXT))
        .unwrap_or_default()
        .to_owned()
}

pub(super) fn encode(out: &mut Packer, findings: &[Finding]) {
    out.list(findings, |out, it| {
        for text in [it.stage.as_str(), &it.test, &it.input, &it.result] {
            out.text(text);
        }
        out.u64(u64::from(it.score.to_bits()));
    });
}

pub(super) fn decode(from: &mut Unpacker<'_>) -> Result<Arc<[Finding]>, PackError> {
    let findings = from.list(|from| {
        let stage = Stage::parse(from.text()?).ok_or(PackError::Damaged)?;
        let (test, input) = (from.text()?, from.text()?);
        let result = from.text()?;
        let score = u32::try_from(from.u64()?).map_err(|_| PackError::Damaged)?;
        let finding = Finding::new(stage, test, result).on(input);
        Ok(finding.score(f32::from_bits(score)))
    })?;
    Ok(findings.into())
}
