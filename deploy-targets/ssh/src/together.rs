//! Waiting for several futures at once, in this task: dropping the whole drops each.

use std::future::Future;
use std::pin::Pin;
use std::task::Poll;

/// The results of all, in order.
pub(crate) async fn all<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut running: Vec<_> = futures
        .into_iter()
        .map(|future| Running::Going(Box::pin(future)))
        .collect();
    std::future::poll_fn(|context| {
        let mut pending = false;
        for one in &mut running {
            if let Running::Going(future) = one {
                match future.as_mut().poll(context) {
                    Poll::Ready(output) => *one = Running::Done(output),
                    Poll::Pending => pending = true,
                }
            }
        }
        if pending { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
    let done = |one| match one {
        Running::Done(output) => Some(output),
        Running::Going(_) => None,
    };
    running.into_iter().filter_map(done).collect()
}

enum Running<F: Future> {
    Going(Pin<Box<F>>),
    Done(F::Output),
}
