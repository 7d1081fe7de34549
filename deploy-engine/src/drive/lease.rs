//! Keeping a lease: one task that says that its holder is alive, and at which step, until it is stopped or has lost it.

use crate::store::RENEW;
use deploy_core::port::journal::{Journal, LeaseError, LeaseToken};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

/// Renews a lease in the background. Stopped by [`LeaseKeeper::stop`]; dropped, its task ends at its next step.
#[derive(Debug)]
pub struct LeaseKeeper {
    step: watch::Sender<String>,
    lost: oneshot::Receiver<LeaseError>,
    task: Option<JoinHandle<()>>,
}

impl LeaseKeeper {
    /// Starts renewing.
    pub fn start(journal: Arc<dyn Journal>, token: LeaseToken) -> Self {
        let (step, mut steps) = watch::channel(String::new());
        let (tell, lost) = oneshot::channel();
        let task = tokio::spawn(async move {
            loop {
                let ended = tokio::time::timeout(RENEW, steps.changed()).await;
                if matches!(ended, Ok(Err(_))) {
                    return;
                }
                let step = steps.borrow_and_update().clone();
                if let Err(error) = journal.renew_lease(&token, &step).await {
                    // The receiver is gone only when the keeper is.
                    let _gone = tell.send(error);
                    return;
                }
                // Steps follow each other fast; whoever asks who holds the lease can do with one a second.
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
        Self {
            step,
            lost,
            task: Some(task),
        }
    }

    /// Says what the holder is doing.
    pub fn says(&self, step: &str) {
        self.step.send_if_modified(|current| {
            let differs = current != step;
            if differs {
                step.clone_into(current);
            }
            differs
        });
    }

    /// Resolves when the lease is lost, with why; never otherwise.
    pub async fn lost(&mut self) -> LeaseError {
        match (&mut self.lost).await {
            Ok(error) => error,
            Err(_) => std::future::pending().await,
        }
    }

    /// Stops renewing, and waits until the task is gone.
    pub async fn stop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
            let _ended = task.await;
        }
    }
}

impl Drop for LeaseKeeper {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}
