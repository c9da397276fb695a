//! Answers that are made while they are sent.

use std::pin::pin;

use futures::stream::{self, Stream, StreamExt};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

/// Makes pieces on a thread of their own, for that reads files and keeps a processor busy: at most one that waits to be taken, and
/// one that is in the making. It ends, and gives its turn back, when nobody takes them any more.
pub(crate) fn ahead<T: Send + 'static>(
    pieces: impl Stream<Item = T> + Send + 'static,
    turn: OwnedSemaphorePermit,
) -> impl Stream<Item = T> + Send + Unpin {
    let (sender, mut receiver) = mpsc::channel(1);
    let runtime = Handle::current();
    tokio::task::spawn_blocking(move || {
        let _held = turn;
        runtime.block_on(async {
            let mut pieces = pin!(pieces);
            while let Some(piece) = pieces.next().await {
                if sender.send(piece).await.is_err() {
                    break;
                }
            }
        });
    });
    stream::poll_fn(move |context| receiver.poll_recv(context))
}
