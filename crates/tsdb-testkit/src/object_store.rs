//! An object store that fails: one in memory, with its operations counted and some of them going wrong.
//!
//! What a remote store can do to a writer: refuse, break off in the middle of an upload, do what was asked and answer with
//! an error all the same, answer late, or be gone from some operation on. An object itself is there as a whole or not at
//! all, as the protocols promise.

use std::fmt;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart,
};
use parking_lot::Mutex;

const STORE: &str = "FaultyStore";

/// What goes wrong at an operation of a [`FaultyStore`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreFault {
    /// The operation does nothing and fails.
    Fails,
    /// The operation is done, and answers with an error.
    DoneButFails,
    /// The operation is done, after the task that waits for it has been put off many times.
    Slow,
    /// The operation never answers, and is not done.
    Stuck,
    /// From this operation on the store cannot be reached: it and everything later fails and does nothing.
    Gone,
    /// The operation is done and answers with an error; everything later fails and does nothing.
    DoneThenGone,
}

/// A store in memory whose operations are counted, those that change something and those that only read alike.
#[derive(Clone, Debug, Default)]
pub struct FaultyStore {
    inner: Arc<InMemory>,
    plan: Arc<Mutex<Plan>>,
}

#[derive(Debug, Default)]
struct Plan {
    operations: u64,
    faults: Vec<(u64, StoreFault)>,
    gone: bool,
    struck: Vec<String>,
}

/// What to do at an operation.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Do,
    DoSlowly,
    DoThenFail,
    Fail,
    Hang,
}

impl FaultyStore {
    /// An empty store, which works until it is told otherwise.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A copy of the objects, in a store that works.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self { inner: Arc::new(self.inner.fork()), plan: Arc::default() }
    }

    /// The store within, which does not fail: what another process would see.
    #[must_use]
    pub fn inner(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(&self.inner) as Arc<dyn ObjectStore>
    }

    /// Operations so far.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.plan.lock().operations
    }

    /// Has the operation of this number, counted from 0 over the store's life, go wrong.
    pub fn fail_at(&self, operation: u64, fault: StoreFault) {
        self.plan.lock().faults.push((operation, fault));
    }

    /// Has the next operation go wrong.
    pub fn fail_next(&self, fault: StoreFault) {
        let next = self.operations();
        self.fail_at(next, fault);
    }

    /// Everything works again.
    pub fn heal(&self) {
        let mut plan = self.plan.lock();
        plan.faults.clear();
        plan.gone = false;
    }

    /// Every fault that struck so far.
    #[must_use]
    pub fn faults_struck(&self) -> Vec<String> {
        self.plan.lock().struck.clone()
    }

    fn count(&self, what: &str, location: &str) -> Verdict {
        let mut plan = self.plan.lock();
        let number = plan.operations;
        plan.operations += 1;
        if plan.gone {
            return Verdict::Fail;
        }
        let Some(at) = plan.faults.iter().position(|(operation, _)| *operation == number) else {
            return Verdict::Do;
        };
        let (_, fault) = plan.faults.swap_remove(at);
        plan.struck.push(format!("{fault:?} at operation {number}: {what} {location}"));
        plan.gone = matches!(fault, StoreFault::Gone | StoreFault::DoneThenGone);
        match fault {
            StoreFault::Fails | StoreFault::Gone => Verdict::Fail,
            StoreFault::DoneButFails | StoreFault::DoneThenGone => Verdict::DoThenFail,
            StoreFault::Slow => Verdict::DoSlowly,
            StoreFault::Stuck => Verdict::Hang,
        }
    }

    /// Does an operation, as the plan says.
    async fn run<T>(
        &self,
        what: &str,
        location: &str,
        operation: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let broken =
            || Error::Generic { store: STORE, source: format!("{what} {location}: no answer").into() };
        match self.count(what, location) {
            Verdict::Do => operation.await,
            Verdict::DoSlowly => {
                for _ in 0..100 {
                    yield_once().await;
                }
                operation.await
            }
            Verdict::DoThenFail => {
                operation.await?;
                Err(broken())
            }
            Verdict::Fail => Err(broken()),
            Verdict::Hang => std::future::pending().await,
        }
    }
}

/// Lets other tasks go on.
async fn yield_once() {
    let mut yielded = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut yielded, true) {
            return std::task::Poll::Ready(());
        }
        context.waker().wake_by_ref();
        std::task::Poll::Pending
    })
    .await;
}

impl fmt::Display for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{STORE}({})", self.inner)
    }
}

#[async_trait]
impl ObjectStore for FaultyStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.run("put", location.as_ref(), self.inner.put_opts(location, payload, options)).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let begin = self.inner.put_multipart_opts(location, options);
        let inner = self.run("begin upload", location.as_ref(), begin).await?;
        Ok(Box::new(FaultyUpload { inner, store: self.clone(), location: location.to_string() }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.run("get", location.as_ref(), self.inner.get_opts(location, options)).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.run("get ranges", location.as_ref(), self.inner.get_ranges(location, ranges)).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        let delete = move |location: Result<Path>| {
            let store = store.clone();
            async move {
                let location = location?;
                let one = futures::stream::once(std::future::ready(Ok(location.clone()))).boxed();
                let mut deleted = store.inner.delete_stream(one);
                let delete = async { deleted.next().await.unwrap_or_else(|| Ok(location.clone())) };
                store.run("delete", location.as_ref(), delete).await
            }
        };
        locations.then(delete).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (store, inner) = (self.clone(), self.inner.list(prefix));
        let what = prefix.map(ToString::to_string).unwrap_or_default();
        let begin = async move { store.run("list", &what, std::future::ready(Ok(()))).await };
        futures::stream::once(begin)
            .flat_map(move |begun| match begun {
                Ok(()) => futures::stream::empty().boxed(),
                Err(error) => futures::stream::once(std::future::ready(Err(error))).boxed(),
            })
            .chain(inner)
            .boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let what = prefix.map(ToString::to_string).unwrap_or_default();
        self.run("list", &what, self.inner.list_with_delimiter(prefix)).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.run("copy", from.as_ref(), self.inner.copy_opts(from, to, options)).await
    }
}

#[derive(Debug)]
struct FaultyUpload {
    inner: Box<dyn MultipartUpload>,
    store: FaultyStore,
    location: String,
}

#[async_trait]
impl MultipartUpload for FaultyUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let (part, store, location) = (self.inner.put_part(data), self.store.clone(), self.location.clone());
        Box::pin(async move { store.run("upload part", &location, part).await })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        self.store.run("complete upload", &self.location, self.inner.complete()).await
    }

    async fn abort(&mut self) -> Result<()> {
        self.store.run("abort upload", &self.location, self.inner.abort()).await
    }
}

/// Runs `script` once on a store in memory to count its operations, then once for every operation with `fault` at it;
/// `check` gets the store, healed, and what the script returned.
///
/// The script must not panic when an operation fails.
///
/// # Panics
/// When `check` or the script panics, after printing which operation had failed; and when the script does nothing.
pub fn store_fault_at_every_operation<T>(
    fault: StoreFault,
    script: impl Fn(&FaultyStore) -> T,
    check: impl Fn(&FaultyStore, &T),
) {
    let whole = FaultyStore::new();
    script(&whole);
    let end = whole.operations();
    assert!(end > 0, "the script did nothing: there is no operation to fail");
    for operation in 0..end {
        let store = FaultyStore::new();
        store.fail_at(operation, fault);
        let run = catch_unwind(AssertUnwindSafe(|| {
            let account = script(&store);
            store.heal();
            check(&store, &account);
        }));
        if let Err(panic) = run {
            eprintln!("operation {operation} of {end}: {:?}", store.faults_struck());
            resume_unwind(panic);
        }
    }
}
