//! What stands below the options in `tsdb COMMAND --help`: examples, and what is worth knowing first.

pub(super) const SERIES: &str = "\
Read from indexes: no sample is decoded, unless the range or a pending delete asks for it.

Examples:
  tsdb series '{job=\"api\"}'
  tsdb series 'http_requests_total{code=~\"5..\"}' --start -1h
  tsdb series '{}' --json | jq length";

pub(super) const LABEL_NAMES: &str = "\
Examples:
  tsdb label-names
  tsdb label-names '{job=\"api\"}' --json";

pub(super) const LABEL_VALUES: &str = "\
Examples:
  tsdb label-values __name__                 which metrics there are
  tsdb label-values job
  tsdb label-values instance 'up{job=\"api\"}' --start -2h";

pub(super) const FLUSH: &str = "\
Afterwards all data is in Parquet, under cold/data in the data directory, one directory for each UTC day. Nothing
has to be flushed to be safe, or to be queried: an import is durable, and in every answer, when it returns.

Examples:
  tsdb flush
  tsdb flush --json --data-dir metrics";

pub(super) const COMPACT: &str = "\
Other tools see a replaced or deleted sample until its files are compacted; `tsdb query` never does. A store that is
open in an engine compacts by itself.

Examples:
  tsdb compact
  tsdb flush && tsdb compact && tsdb status";

pub(super) const STATUS: &str = "\
Examples:
  tsdb status
  tsdb status --json | jq .cold.bytes";

pub(super) const CATALOG_REBUILD: &str = "\
Needed only when another command says that the catalog is damaged. Each file says itself what the catalog knew of it;
files that a compaction had replaced are left out, damaged ones are set aside.

Examples:
  tsdb catalog rebuild
  tsdb catalog rebuild --data-dir restored && tsdb verify --data-dir restored";

pub(super) const INSPECT: &str = "\
Examples:
  tsdb inspect tsdb-data/cold/data/day=2026-01-01/*.parquet
  tsdb inspect other.parquet --json | jq .columns";

pub(super) const DEMO: &str = "\
The data directory must be empty, not there yet, or what an earlier demo has left.

Examples:
  tsdb demo
  tsdb demo --series 100000 --samples 20 --data-dir big-demo";

pub(super) const COMPLETIONS: &str = "\
Examples:
  tsdb completions bash > ~/.local/share/bash-completion/completions/tsdb
  tsdb completions zsh > ~/.zfunc/_tsdb              with `fpath+=~/.zfunc` before `compinit` in ~/.zshrc
  tsdb completions fish > ~/.config/fish/completions/tsdb.fish";
