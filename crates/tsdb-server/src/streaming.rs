//! Answers that are made while they are sent.

use std::pin::pin;

use futures::stream::{self, BoxStream, Stream, StreamExt};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use crate::reply::Refusal;
use crate::state::off_the_runtime;

/// Makes the first pieces before it returns: as a rule there are no more, and the answer is complete. The rest is made
/// [ahead]. The first piece that failed is the error.
pub(crate) async fn begin<T, E>(
    pieces: impl Stream<Item = Result<T, E>> + Send + 'static,
    turn: OwnedSemaphorePermit,
) -> Result<BoxStream<'static, Result<T, E>>, Refusal>
where
    T: Send + 'static,
    E: Into<Refusal> + Send + 'static,
{
    let mut pieces = pieces.boxed().fuse();
    let first_pieces = move |runtime: &Handle| {
        runtime.block_on(async {
            let (first, second) = (pieces.next().await, pieces.next().await);
            (first, second, pieces)
        })
    };
    // Only now is there a status code to choose.
    let (first, second, rest) = off_the_runtime(first_pieces).await?;
    let first = first.transpose().map_err(Into::into)?;
    let begun = stream::iter(first.map(Ok).into_iter().chain(second));
    Ok(if rest.is_done() {
        // What is not sent yet is memory: the turn lasts until it is, or the client is gone.
        begun
            .inspect(move |_| {
                let _held = &turn;
            })
            .boxed()
    } else {
        begun.chain(ahead(rest, turn)).boxed()
    })
}

/// Makes pieces on a thread of their own, for that reads files and keeps a processor busy: at most one that waits to be taken, and
/// one that is in the making. It ends, and gives its turn back, when nobody takes them any more.
fn ahead<T: Send + 'static>(
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
