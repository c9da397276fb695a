//! `VfsStore` against object_store's own conformance suite, and its durability on the simulated disk.

use std::sync::Arc;

use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, integration};
use tsdb_cold::VfsStore;
use tsdb_testkit::{Fault, SimDisk, crash_at_every_operation};
use tsdb_vfs::{RealFs, Vfs};

async fn conforms(vfs: Arc<dyn Vfs>, root: &std::path::Path) {
    let fresh = |name: &str| VfsStore::new(Arc::clone(&vfs), root.join(name));
    integration::put_get_delete_list(&fresh("put_get_delete_list")).await;
    // Not `get_opts`: it asks for entity tags, which a file system does not keep.
    integration::put_opts(&fresh("put_opts"), false).await;
    integration::list_uses_directories_correctly(&fresh("list_directories")).await;
    integration::list_with_delimiter(&fresh("list_with_delimiter")).await;
    integration::list_with_offset_exclusivity(&fresh("list_with_offset")).await;
    integration::rename_and_copy(&fresh("rename_and_copy")).await;
    integration::copy_if_not_exists(&fresh("copy_if_not_exists")).await;
    integration::copy_rename_nonexistent_object(&fresh("copy_nonexistent")).await;
    integration::stream_get(&fresh("stream_get")).await;
}

#[tokio::test]
async fn conforms_on_the_real_file_system() {
    let dir = tempfile::tempdir().unwrap();
    conforms(Arc::new(RealFs), dir.path()).await;
}

#[tokio::test]
async fn conforms_on_the_simulated_disk() {
    conforms(SimDisk::new().vfs(), std::path::Path::new("/store")).await;
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

#[test]
fn an_object_is_whole_or_absent_after_a_crash_and_there_once_its_put_returned() {
    let (first, second) = (Path::from("a/put"), Path::from("b/upload"));
    let body = |n: u8| vec![n; 5000];
    let script = |disk: &SimDisk| {
        let store = VfsStore::new(disk.vfs(), "/store");
        block_on(async {
            let put = store.put_opts(&first, body(1).into(), PutMode::Create.into()).await.is_ok();
            let upload = async {
                let mut upload = store.put_multipart(&second).await?;
                upload.put_part(body(2).into()).await?;
                upload.put_part(body(3).into()).await?;
                upload.complete().await
            };
            (put, upload.await.is_ok())
        })
    };
    crash_at_every_operation(script, |disk, (put, uploaded)| {
        let store = VfsStore::new(disk.vfs(), "/store");
        store.recover().unwrap();
        block_on(async {
            for (path, expected, acknowledged) in
                [(&first, body(1), put), (&second, [body(2), body(3)].concat(), uploaded)]
            {
                match store.get(path).await {
                    Ok(found) => assert_eq!(found.bytes().await.unwrap(), expected),
                    Err(e) => assert!(!acknowledged, "{path} was acknowledged and is gone: {e}"),
                }
            }
        });
    });
}

#[tokio::test]
async fn an_object_whose_directory_was_not_synced_is_not_shown() {
    let disk = SimDisk::new();
    let store = VfsStore::new(disk.vfs(), "/store");
    let path = Path::from("catalog/1.json");
    store.put(&Path::from("catalog/0.json"), "before".into()).await.unwrap();
    let whole = disk.fork();
    let store = VfsStore::new(whole.vfs(), "/store");
    store.put_opts(&path, "new".into(), PutMode::Create.into()).await.unwrap();
    let mut struck = 0;
    for operation in disk.operations()..whole.operations() {
        let disk = disk.fork();
        let store = VfsStore::new(disk.vfs(), "/store");
        disk.fail_at(operation, Fault::Io);
        let put = store.put_opts(&path, "new".into(), PutMode::Create.into()).await;
        if disk.faults_struck().iter().any(|fault| fault.contains("sync directory")) && put.is_err() {
            struck += 1;
            assert!(store.get(&path).await.is_err(), "it may vanish");
        }
        // Opened anew it is either gone or there to stay.
        let store = VfsStore::new(disk.vfs(), "/store");
        store.recover().unwrap();
        let seen = store.get(&path).await.is_ok();
        let after = VfsStore::new(disk.crash(0).vfs(), "/store");
        assert_eq!(after.get(&path).await.is_ok(), seen);
    }
    assert!(struck > 0, "no operation of a put syncs a directory");
}

#[tokio::test]
async fn put_if_absent_is_refused_when_present() {
    let store = VfsStore::new(SimDisk::new().vfs(), "/store");
    let path = Path::from("x");
    store.put_opts(&path, "one".into(), PutMode::Create.into()).await.unwrap();
    let again = store.put_opts(&path, "two".into(), PutMode::Create.into()).await;
    assert!(matches!(again, Err(object_store::Error::AlreadyExists { .. })), "{again:?}");
    assert_eq!(store.get(&path).await.unwrap().bytes().await.unwrap(), "one");
}

#[test]
fn a_listing_leaves_out_what_is_removed_while_it_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let store = VfsStore::new(Arc::new(RealFs), dir.path());
    let path = |n: usize| Path::from(format!("d/{n}"));
    std::thread::scope(|scope| {
        let others = scope.spawn(|| {
            for n in 0..300 {
                block_on(store.put_opts(&path(n), vec![1].into(), PutMode::Create.into())).unwrap();
                block_on(store.delete(&path(n))).unwrap();
            }
        });
        while !others.is_finished() {
            block_on(store.list_with_delimiter(Some(&Path::from("d")))).unwrap();
        }
    });
}
