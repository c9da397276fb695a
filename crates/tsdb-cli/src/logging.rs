//! What the engine and the server say while they work, on standard error.

use std::io;

use tracing_subscriber::filter::LevelFilter;

use crate::args::{Command, LogFormat};

/// Of a command that ends by itself only what went wrong and cannot be returned: a torn log that was cut, a seal that failed.
/// A server says more, and when.
pub(crate) fn start(command: &Command) {
    let log = tracing_subscriber::fmt().with_writer(io::stderr).with_target(false);
    match command {
        Command::Serve(args) => {
            let log = log.with_max_level(LevelFilter::INFO).with_ansi(false);
            match args.log_format {
                LogFormat::Text => log.init(),
                LogFormat::Json => log.json().flatten_event(true).init(),
            }
        }
        _ => log.with_max_level(LevelFilter::WARN).without_time().init(),
    }
}
