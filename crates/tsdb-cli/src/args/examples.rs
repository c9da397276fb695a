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

pub(super) const SERVE: &str = "\
Examples:
  tsdb serve
  tsdb serve --listen 0.0.0.0:9201 --token-file /etc/tsdb/token

In prometheus.yml:
  remote_write: [{ url: http://127.0.0.1:9201/api/v1/write }]
  remote_read:  [{ url: http://127.0.0.1:9201/api/v1/read, read_recent: true }]";

pub(super) const TSDB: &str = "\
Examples:
  tsdb demo                                    see the whole life of data in a minute
  tsdb import metrics.txt                      store OpenMetrics or Prometheus text
  tsdb query 'http_requests_total{code=~\"5..\"}' --start -1h
  tsdb flush                                   turn everything into Parquet now
  duckdb -c \"SELECT * FROM 'tsdb-data/cold/data/**/*.parquet' LIMIT 5\"";

pub(super) const DELETE: &str = "\
The samples are gone from every answer at once. Their bytes leave the Parquet files at the next compaction;
until then other tools that read the files see them. A sample that is stored later is visible.

Examples:
  tsdb delete 'debug_requests_total{job=\"test\"}'
  tsdb delete '{host=\"web-7\"}' --start 2026-01-01T00:00:00Z --end 2026-01-02T00:00:00Z
  tsdb delete '{}' --end -90d
  tsdb compact";

pub(super) const IMPORT: &str = "\
Text timestamps are seconds in OpenMetrics and milliseconds in Prometheus' format. `auto` takes a file's
first timestamp for seconds when it has a fraction or is below 100000000000. A bad line is reported and
skipped; the good ones are stored, and the exit code is 1.

Examples:
  tsdb import metrics.txt more/*.om
  curl -s localhost:9100/metrics | tsdb import - --timestamp now
  tsdb query '{}' --format jsonl | tsdb import - --data-dir copy";

pub(super) const EXPORT: &str = "\
One row per sample in the columns of the store's own Parquet files: timestamp, value, histogram, labels. Rows are in
the order of the series, each one's by time.

Examples:
  tsdb export 'http_requests_total{job=\"api\"}' --start -1d -o requests.parquet
  tsdb export '{}' --columns __name__,job -o all.parquet
  tsdb export up -o - | python3 -c 'import sys, polars; print(polars.read_ipc_stream(sys.stdin.buffer))'";

pub(super) const VERIFY: &str = "\
Of a file of ours every page and every block of the series index is compared with its checksum, every row is decoded,
and the index is compared with one that is built from the rows. Of any other file every row is decoded.

Examples:
  tsdb verify
  tsdb verify --repair
  tsdb verify tsdb-data/cold/data/day=2026-01-01/*.parquet other.parquet";

pub(super) const REWRITE: &str = "\
Series are read by their label columns, so a damaged series index is made anew; a file whose rows are damaged is
refused. A file of another tool becomes smaller, as a rule, and is searched by its index then. It is sorted in memory.

Examples:
  tsdb rewrite other.parquet ours.parquet
  tsdb rewrite damaged-index.parquet mended.parquet && tsdb verify mended.parquet";

pub(super) const QUERY: &str = "\
Examples:
  tsdb query up
  tsdb query 'node_cpu_seconds_total{mode!=\"idle\",cpu=~\"0|1\"}' --start -2h --end -1h
  tsdb query '{job=\"api\"}' --start 2026-01-01T00:00:00Z --end 1767229200 --format csv
  tsdb query '{host=~\"web.*\"}' --file load.parquet --file load2.parquet
  tsdb query http_requests_total --agg sum --by job,code --step 5m --start -1h

A file of another tool needs a column `timestamp` and a number column `value`; each string column is a label.";
