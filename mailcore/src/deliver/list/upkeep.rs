//! What is done about lists now and then: messages that no moderator looked at
//! are given up.

use super::{ListAgent, ListSeams, later};
use crate::status::Status;

/// Gives up what waits for moderators too long; how many messages.
///
/// # Errors
/// Why it could not be done, in words. It is done the next time.
pub async fn upkeep(seams: ListSeams) -> Result<usize, Status> {
    let agent = ListAgent::new(seams);
    let directory = agent.seams.directory.as_ref();
    let Some(lists) = directory.lists() else {
        return Ok(0);
    };
    let now = agent.seams.clock.now();
    let mut given_up = 0;
    for address in lists.all_lists().await.map_err(later)? {
        let Some(list) = lists.list(&address).await.map_err(later)? else {
            continue;
        };
        for post in agent.held(&address).await.map_err(later)? {
            let words = "No moderator let it out in time.\n";
            if post.until <= now && agent.drop_post(&list, &post, words).await? {
                given_up += 1;
            }
        }
    }
    Ok(given_up)
}
