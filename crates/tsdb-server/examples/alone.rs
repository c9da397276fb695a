//! The server alone: import text over HTTP, ask for the series, stop, and find the samples on disk. Needs `tempfile` and `tokio`.

use std::error::Error;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use tsdb_server::tsdb_core::TimeRange;
use tsdb_server::tsdb_engine::{Engine, blocking};
use tsdb_server::{Server, ServerOptions};

fn main() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let engine = Arc::new(Engine::open(dir.path()).await?);
        let mut options = ServerOptions::default();
        options.connections_max = 10;
        let server =
            Server::builder(Arc::clone(&engine)).options(options).bind("127.0.0.1:0".parse()?).await?;
        let address = server.local_addr();
        // The client's end stops the server.
        let client = tokio::task::spawn_blocking(move || client(address));
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let asked = tokio::spawn(async move {
            let asked = client.await;
            drop(stop);
            asked
        });
        server
            .run(async {
                let _client_has_ended = stopped.await;
            })
            .await;
        asked.await??.map_err(|error| -> Box<dyn Error> { error })?;
        let engine = Arc::into_inner(engine).ok_or("the server still holds the engine")?;
        Ok::<_, Box<dyn Error>>(engine.close().await?)
    })?;

    let engine = blocking::Engine::open(dir.path())?;
    let found = engine.select(&[], TimeRange::ALL)?.collect::<Result<Vec<_>, _>>()?;
    assert_eq!(found[0].labels.to_string(), r#"temperature_celsius{room="kitchen"}"#);
    assert_eq!(found[0].samples.values, [20.5]);
    Ok(())
}

type Asked = Result<(), Box<dyn Error + Send + Sync>>;

fn client(address: SocketAddr) -> Asked {
    let text = "temperature_celsius{room=\"kitchen\"} 20.5 1767225600000\n";
    let stored = ask(address, "POST /api/v1/import/prometheus", text)?;
    assert!(stored.starts_with("HTTP/1.1 204"), "{stored}");
    let series = ask(address, "GET /api/v1/series?match[]=temperature_celsius", "")?;
    assert!(series.ends_with(r#""data":[{"__name__":"temperature_celsius","room":"kitchen"}]}"#), "{series}");
    Ok(())
}

fn ask(address: SocketAddr, what: &str, body: &str) -> Result<String, std::io::Error> {
    let mut stream = TcpStream::connect(address)?;
    let length = body.len();
    write!(
        stream,
        "{what} HTTP/1.1\r\nhost: me\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
