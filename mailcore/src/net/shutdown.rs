//! Going down in order: stop accepting, let sessions finish, then end them.

use tokio::sync::watch;

/// Where a component learns that the server goes down. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Shutdown(watch::Receiver<bool>);

/// The other end: flips once. Dropping it counts as flipping.
#[derive(Debug)]
pub struct ShutdownSwitch(watch::Sender<bool>);

impl ShutdownSwitch {
    /// A switch and what it switches.
    pub fn new() -> (Self, Shutdown) {
        let (sender, receiver) = watch::channel(false);
        (Self(sender), Shutdown(receiver))
    }

    /// Begins the shutdown.
    pub fn begin(&self) {
        self.0.send_replace(true);
    }
}

impl Shutdown {
    /// True once it has begun.
    pub fn has_begun(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }

    /// Waits until it begins. Cancel-safe.
    pub async fn begun(&mut self) {
        // An error means that the switch is gone, and with it the server.
        let _ = self.0.wait_for(|begun| *begun).await;
    }
}
