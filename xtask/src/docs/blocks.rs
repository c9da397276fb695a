//! The fenced blocks of a document, and what is wrong with their form.

/// What a block holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Console,
    Shell,
    Python,
    Sql,
    Rust,
    /// What the block before printed.
    Output,
    Data,
}

impl Kind {
    fn of(language: &str) -> Option<Self> {
        Some(match language {
            "console" => Self::Console,
            "sh" => Self::Shell,
            "python" => Self::Python,
            "sql" => Self::Sql,
            "rust" => Self::Rust,
            "output" => Self::Output,
            "text" | "json" | "yaml" | "toml" | "promql" => Self::Data,
            _ => return None,
        })
    }

    fn prints(self) -> bool {
        matches!(self, Self::Shell | Self::Python | Self::Sql)
    }
}

/// A fenced block.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Block {
    /// The line of its opening fence, from 1.
    pub(super) line: usize,
    pub(super) kind: Kind,
    pub(super) text: String,
    /// What it prints, where that is shown.
    pub(super) output: Option<String>,
    /// Why it is not run.
    pub(super) not_run: Option<String>,
}

/// All blocks, or what is wrong: `line: what`.
pub(super) fn parse(document: &str) -> Result<Vec<Block>, Vec<String>> {
    let (mut blocks, mut wrong) = (Vec::<Block>::new(), Vec::new());
    let (mut not_run, mut adjacent) = (None, false);
    let mut lines = document.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        let number = index + 1;
        let Some(info) = line.strip_prefix("```") else {
            if let Some(reason) = marker(line) {
                if reason.is_empty() {
                    wrong.push(format!("{number}: say why the block is not run"));
                }
                not_run = Some(reason.to_owned());
            } else if !line.trim().is_empty() {
                (not_run, adjacent) = (None, false);
            }
            continue;
        };
        let text = lines.by_ref().map(|(_, line)| line).take_while(|line| !line.starts_with("```"));
        let text: String = text.map(|line| format!("{line}\n")).collect();
        let Some(kind) = Kind::of(info.split([',', ' ']).next().unwrap_or_default()) else {
            wrong.push(format!("{number}: a block of no known language: `{info}`"));
            continue;
        };
        match (kind, blocks.last_mut()) {
            (Kind::Output, Some(before)) if adjacent && before.kind.prints() && before.output.is_none() => {
                before.output = Some(text);
            }
            (Kind::Output, _) => wrong.push(format!("{number}: the output of nothing")),
            (Kind::Console, _) if !text.starts_with("$ ") => {
                wrong.push(format!("{number}: a console block begins with `$ ` and a command"));
            }
            _ => blocks.push(Block { line: number, kind, text, output: None, not_run: not_run.take() }),
        }
        adjacent = true;
    }
    if wrong.is_empty() { Ok(blocks) } else { Err(wrong) }
}

/// The reason in `<!-- not run: REASON -->`.
fn marker(line: &str) -> Option<&str> {
    line.trim().strip_prefix("<!-- not run:")?.strip_suffix("-->").map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_have_their_line_output_and_reason() {
        let document = "# Title\n\n```sh\nls\n```\n\n```output\na\n```\n\nText\n\n<!-- not run: needs a bucket -->\n\n```python\nx\n```\n```rust,no_run\n```\n";
        let block = |line, kind, text: &str, output: Option<&str>, not_run: Option<&str>| Block {
            line,
            kind,
            text: text.to_owned(),
            output: output.map(str::to_owned),
            not_run: not_run.map(str::to_owned),
        };
        let expected = [
            block(3, Kind::Shell, "ls\n", Some("a\n"), None),
            block(15, Kind::Python, "x\n", None, Some("needs a bucket")),
            block(18, Kind::Rust, "", None, None),
        ];
        assert_eq!(parse(document).unwrap(), expected);
    }

    #[test]
    fn blocks_that_nobody_knows_how_to_run_are_found() {
        for (document, expected) in [
            ("```\nls\n```\n", "1: a block of no known language: ``"),
            ("```bash\nls\n```\n", "1: a block of no known language: `bash`"),
            ("```output\na\n```\n", "1: the output of nothing"),
            ("```sh\nls\n```\nText.\n```output\na\n```\n", "5: the output of nothing"),
            ("```console\nls\n```\n", "1: a console block begins with `$ ` and a command"),
            ("<!-- not run: -->\n```sh\n```\n", "1: say why the block is not run"),
        ] {
            assert_eq!(parse(document).unwrap_err(), [expected], "{document}");
        }
    }
}
