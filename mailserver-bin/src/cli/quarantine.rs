//! `mailserver quarantine`.

use super::{CliError, Place, queue};
use crate::control::Request;
use crate::control::quarantine::QuarantineRequest;
use crate::control::queue::QueueRequest;

/// Carries one command out.
pub(super) fn run(place: &Place, request: QuarantineRequest) -> Result<(), CliError> {
    match request {
        // Its message is an entry of the queue like any other.
        QuarantineRequest::Content(part) => queue::run(place, QueueRequest::Content(part)),
        QuarantineRequest::Show { json: false, .. } => {
            queue::with_story(place, &Request::Quarantine { request })
        }
        request => place.ask(Request::Quarantine { request }),
    }
}
