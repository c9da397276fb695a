//! Something that moves while a command works, for whoever watches a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// Time between two pictures of the spinner.
const TICK: Duration = Duration::from_millis(100);

/// Does `work` while standard error, if it is a terminal, shows that it is being done, and for how long.
pub(crate) fn while_shown<T>(what: &'static str, work: impl FnOnce() -> T) -> T {
    let spinner = ProgressBar::new_spinner().with_message(what);
    // The template is a constant; a spinner without a style is no reason to fail.
    let style = ProgressStyle::with_template("{spinner} {msg} {elapsed}");
    let spinner = spinner.with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    if !spinner.is_hidden() {
        spinner.enable_steady_tick(TICK);
    }
    let done = work();
    spinner.finish_and_clear();
    done
}
