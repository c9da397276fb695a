//! A client of single bytes: it can stop in the middle of a request, and says all that it was told.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// What came back.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Told {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

/// Opens a connection and sends a part of a request.
pub(crate) fn begin(address: SocketAddr, part: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    // No test waits for ever.
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream.write_all(part).unwrap();
    stream
}

/// Reads the answer to its end, which is the end of the connection.
pub(crate) fn told(stream: TcpStream) -> Told {
    try_told(stream).expect("an answer")
}

/// As [`told`]; `None` if the connection ends without an answer.
fn try_told(mut stream: TcpStream) -> Option<Told> {
    let mut answer = Vec::new();
    // A server that closes with bytes of the request unread resets the connection, perhaps after its answer.
    let _ended = stream.read_to_end(&mut answer);
    let text = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).unwrap().parse().unwrap();
    let headers = lines.map(|line| line.split_once(": ").unwrap());
    let headers: Vec<_> = headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
    let is_chunked = headers.iter().any(|(name, value)| name == "transfer-encoding" && value == "chunked");
    let body = if is_chunked { dechunked(body) } else { body.to_owned() };
    Some(Told { status, headers, body })
}

fn dechunked(mut body: &str) -> String {
    let mut whole = String::new();
    while let Some((length, rest)) = body.split_once("\r\n") {
        let length = usize::from_str_radix(length, 16).unwrap();
        whole.push_str(&rest[..length]);
        body = &rest[length + 2..];
    }
    whole
}

/// The head of a request, whose connection ends with its answer.
pub(crate) fn head(method: &str, path: &str, headers: &[(&str, &str)], length: usize) -> String {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!(
        "{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n"
    )
}

/// A whole request and its answer.
pub(crate) fn ask(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Told {
    let mut request = head(method, path, headers, body.len()).into_bytes();
    request.extend_from_slice(body);
    told(begin(address, &request))
}

/// As [`ask`], of a server that may turn the connection away.
pub(crate) fn try_ask(address: SocketAddr, method: &str, path: &str) -> Option<Told> {
    try_told(begin(address, head(method, path, &[], 0).as_bytes()))
}

pub(crate) fn get(address: SocketAddr, path: &str) -> Told {
    ask(address, "GET", path, &[], b"")
}

/// The value of one of the server's own metrics.
pub(crate) fn metric(address: SocketAddr, name: &str) -> f64 {
    let text = get(address, "/metrics").body;
    let line = text.lines().find(|line| line.split(' ').next() == Some(name));
    line.unwrap_or_else(|| panic!("no {name} in {text}")).rsplit(' ').next().unwrap().parse().unwrap()
}
