//! The lock of the data directory is held as long as anything of the engine works on it.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use tsdb_core::Labels;
use tsdb_engine::{Engine, Error};
use tsdb_testkit::{FsStep, WatchedFs};
use tsdb_vfs::RealFs;

/// A door that is closed first.
#[derive(Debug, Default)]
struct Gate(Mutex<bool>, Condvar);

impl Gate {
    fn open(&self) {
        *self.0.lock().unwrap() = true;
        self.1.notify_all();
    }

    fn pass(&self) {
        drop(self.1.wait_while(self.0.lock().unwrap(), |open| !*open).unwrap());
    }
}

/// The real file system, on which no block takes its place before `gate` is let go.
fn gated_fs(gate: Arc<Gate>) -> WatchedFs {
    WatchedFs::new(Arc::new(RealFs), move |step| {
        if matches!(step, FsStep::Rename { to } if to.extension().is_some_and(|extension| extension == "block"))
        {
            gate.pass();
        }
    })
}

/// A flush that was given up goes on writing blocks and dropping the log: nobody else may open the directory meanwhile.
#[tokio::test]
async fn a_seal_that_nobody_waits_for_keeps_others_out_until_it_is_done() {
    let dir = tempfile::tempdir().unwrap();
    let gate = Arc::new(Gate::default());
    let vfs = Arc::new(gated_fs(Arc::clone(&gate)));
    let engine = Engine::builder(dir.path()).vfs(vfs).open().await.unwrap();
    let mut batch = engine.appender();
    batch.append(&Labels::from_pairs([("__name__", "m")]).unwrap(), 1_767_225_600_000, 1.0).unwrap();
    batch.commit().unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(50), engine.flush()).await.is_err());
    drop(engine);
    let second = Engine::open(dir.path()).await;
    gate.open();
    assert!(matches!(second, Err(Error::InUse { .. })), "{second:?}");
    let reopened = loop {
        match Engine::open(dir.path()).await {
            Err(Error::InUse { .. }) => tokio::time::sleep(Duration::from_millis(5)).await,
            opened => break opened.unwrap(),
        }
    };
    assert_eq!(reopened.count_series().await.unwrap(), 1);
    assert_eq!(reopened.stats().hot.blocks.count, 1);
    reopened.close().await.unwrap();
}
