//! The command line: what `tsdb --help` says.

mod examples;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use tsdb_engine::QueryLimits;
use tsdb_server::ServerOptions;

/// A hybrid time-series store: recent data in memory and blocks, history in plain Parquet, queried as one.
#[derive(Debug, Parser)]
#[command(name = "tsdb", version, propagate_version = true, after_help = examples::TSDB)]
pub(crate) struct Cli {
    /// Where the data is. `demo` uses ./tsdb-demo-data unless told otherwise.
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Print JSON for scripts instead of text for people.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Store metrics from files: OpenMetrics or Prometheus text with timestamps, or JSON lines.
    Import(ImportArgs),
    /// Print the samples of the series that a selector matches.
    Query(QueryArgs),
    /// Write the samples of the series that a selector matches to a Parquet or Arrow file.
    Export(ExportArgs),
    /// List the series that a selector matches.
    Series(SeriesArgs),
    /// List the label names that occur.
    LabelNames(LabelNamesArgs),
    /// List the values that a label has.
    LabelValues(LabelValuesArgs),
    /// Seal the head and convert every block to Parquet, now.
    #[command(after_help = examples::FLUSH)]
    Flush,
    /// Merge Parquet files to one a day, without samples that were replaced or deleted.
    #[command(after_help = examples::COMPACT)]
    Compact,
    /// Delete the samples of the series that a selector matches.
    Delete(DeleteArgs),
    /// Count what is stored, tier by tier.
    #[command(after_help = examples::STATUS)]
    Status,
    /// Read everything that is stored and report damage.
    Verify(VerifyArgs),
    /// Look after the list of live Parquet files.
    Catalog {
        #[command(subcommand)]
        command: CatalogCommand,
    },
    /// Show what is in a Parquet file: columns, encodings, sizes, series index. Ours or any other.
    Inspect(InspectArgs),
    /// Write the samples of a Parquet file, ours or any other, to a new one with a series index.
    Rewrite(RewriteArgs),
    /// Serve Prometheus' remote write, remote read and HTTP API.
    Serve(ServeArgs),
    /// Show the whole life of data on a million generated samples.
    Demo(DemoArgs),
    /// Print a script that completes commands and options in a shell.
    Completions(CompletionsArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum CatalogCommand {
    /// List all Parquet files of the store anew, after the catalog was lost or damaged.
    #[command(after_help = examples::CATALOG_REBUILD)]
    Rebuild,
}

#[derive(Debug, Args)]
#[command(after_help = examples::DELETE)]
pub(crate) struct DeleteArgs {
    /// Which series: `name{label="value",other=~"re.*"}`; `{}` is all.
    pub(crate) selector: String,
    #[command(flatten)]
    pub(crate) times: TimeArgs,
    /// Needed to delete all series at all times.
    #[arg(long)]
    pub(crate) everything: bool,
}

#[derive(Debug, Args)]
#[command(after_help = examples::IMPORT)]
pub(crate) struct ImportArgs {
    /// Files to read; `-` is standard input.
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// What the files hold. `auto` looks at the first lines of each.
    #[arg(long, value_enum, default_value_t = ImportFormat::Auto)]
    pub(crate) format: ImportFormat,
    /// Timestamp for samples that have none: a time, or `now`.
    #[arg(long, value_name = "TIME")]
    pub(crate) timestamp: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ImportFormat {
    /// Find out.
    Auto,
    /// OpenMetrics text: timestamps in seconds.
    Openmetrics,
    /// Prometheus text: timestamps in milliseconds.
    Prometheus,
    /// A JSON object a line, as `query --format jsonl` prints them.
    Jsonl,
}

#[derive(Debug, Args)]
#[command(after_help = examples::QUERY)]
pub(crate) struct QueryArgs {
    /// Which series: `name{label="value",other=~"re.*"}`; `{}` is all.
    pub(crate) selector: String,
    #[command(flatten)]
    pub(crate) times: TimeArgs,
    /// Ask these Parquet files, ours or other tools', in place of the store. Where two have a sample for one
    /// series and time, the file named later is right.
    #[arg(long = "file", value_name = "FILE", conflicts_with = "data_dir")]
    pub(crate) files: Vec<PathBuf>,
    /// How to print. `--json` is short for jsonl.
    #[arg(long, value_enum, default_value_t = QueryFormat::Table)]
    pub(crate) format: QueryFormat,
    #[command(flatten)]
    pub(crate) aggregate: AggregateArgs,
    #[command(flatten)]
    pub(crate) answer: AnswerArgs,
    #[command(flatten)]
    pub(crate) cost: CostArgs,
}

/// How large an answer may be.
#[derive(Debug, Args)]
pub(crate) struct AnswerArgs {
    /// Fail when there are more series.
    #[arg(long, value_name = "N")]
    pub(crate) max_series: Option<u64>,
    /// Fail when there are more samples.
    #[arg(long, value_name = "N")]
    pub(crate) max_samples: Option<u64>,
}

/// What an answer may cost.
#[derive(Debug, Args)]
pub(crate) struct CostArgs {
    /// Fail when more bytes of Parquet files are read.
    #[arg(long, value_name = "BYTES")]
    pub(crate) max_bytes: Option<u64>,
    /// Fail when it takes longer, printing included.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) timeout: Option<Duration>,
    /// Say on standard error what it has cost; with --json as one JSON object.
    #[arg(long)]
    pub(crate) explain: bool,
}

/// How much of a list is wanted.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Print only the first N.
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,
    #[command(flatten)]
    pub(crate) cost: CostArgs,
}

/// What to print in place of samples.
#[derive(Debug, Args)]
pub(crate) struct AggregateArgs {
    /// Print what the samples come to, in windows of time and groups of series. Histograms only count.
    #[arg(long, value_name = "FUNCTION", value_enum)]
    pub(crate) agg: Option<AggFunction>,
    /// Group by these labels; without, all series are one group.
    #[arg(long, value_name = "LABELS", value_delimiter = ',', requires = "agg")]
    pub(crate) by: Vec<String>,
    /// Group by all labels but these.
    #[arg(long, value_name = "LABELS", value_delimiter = ',', requires = "agg", conflicts_with = "by")]
    pub(crate) without: Vec<String>,
    /// Length of a window, such as 5m, 1h30m or 15 (seconds). Windows begin at multiples of it since the Unix epoch. Without,
    /// the whole range is one.
    #[arg(long, value_name = "TIME", requires = "agg", value_parser = crate::time::parse_step)]
    pub(crate) step: Option<i64>,
    /// Fail when all groups together have more windows.
    #[arg(long, value_name = "N", requires = "agg", default_value_t = QueryLimits::WINDOWS_MAX)]
    pub(crate) max_windows: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum AggFunction {
    /// How many samples there are.
    Count,
    /// Their sum.
    Sum,
    /// The lowest.
    Min,
    /// The highest.
    Max,
    /// Their mean.
    Avg,
    /// The first one in time.
    First,
    /// The last one in time.
    Last,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|e| e.to_string())
}

/// A closed range of time.
#[derive(Debug, Args)]
pub(crate) struct TimeArgs {
    /// First time: RFC 3339, Unix seconds, or relative to now such as -2h. All history by default.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) start: Option<String>,
    /// Last time, itself included. By default no end.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) end: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = examples::SERIES)]
pub(crate) struct SeriesArgs {
    /// Which series: `name{label="value",other=~"re.*"}`; `{}` is all.
    pub(crate) selector: String,
    #[command(flatten)]
    pub(crate) times: TimeArgs,
    /// Ask these Parquet files, ours or other tools', in place of the store.
    #[arg(long = "file", value_name = "FILE", conflicts_with = "data_dir")]
    pub(crate) files: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) list: ListArgs,
}

#[derive(Debug, Args)]
#[command(after_help = examples::EXPORT)]
pub(crate) struct ExportArgs {
    /// Which series: `name{label="value",other=~"re.*"}`; `{}` is all.
    pub(crate) selector: String,
    #[command(flatten)]
    pub(crate) times: TimeArgs,
    /// The file to write, which must not exist; `-` is standard output.
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// What to write. `auto` goes by the file's name, and takes Arrow for standard output.
    #[arg(long, value_enum, default_value_t = ExportFormat::Auto)]
    pub(crate) format: ExportFormat,
    /// Only these labels have columns, separated by commas; the others are in the column `labels`, a map. By default
    /// each label that occurs has a column.
    #[arg(long, value_name = "LABELS", value_delimiter = ',')]
    pub(crate) columns: Option<Vec<String>>,
    /// With --columns: leave the other labels out.
    #[arg(long, requires = "columns")]
    pub(crate) no_other_labels: bool,
    /// Leave out native histograms, and their column.
    #[arg(long)]
    pub(crate) no_histograms: bool,
    #[command(flatten)]
    pub(crate) answer: AnswerArgs,
    #[command(flatten)]
    pub(crate) cost: CostArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    /// By the name: .parquet, or .arrow or .arrows.
    Auto,
    /// A Parquet file.
    Parquet,
    /// A stream of Arrow record batches (IPC).
    Arrow,
}

#[derive(Debug, Args)]
#[command(after_help = examples::LABEL_NAMES)]
pub(crate) struct LabelNamesArgs {
    /// Only of the series that this selects.
    #[arg(default_value = "{}")]
    pub(crate) selector: String,
    #[command(flatten)]
    pub(crate) times: TimeArgs,
    #[command(flatten)]
    pub(crate) list: ListArgs,
}

#[derive(Debug, Args)]
#[command(after_help = examples::LABEL_VALUES)]
pub(crate) struct LabelValuesArgs {
    /// The label; `__name__` lists the metrics.
    pub(crate) name: String,
    /// Only of the series that this selects.
    #[arg(default_value = "{}")]
    pub(crate) selector: String,
    #[command(flatten)]
    pub(crate) times: TimeArgs,
    #[command(flatten)]
    pub(crate) list: ListArgs,
}

#[derive(Debug, Args)]
#[command(after_help = examples::VERIFY)]
pub(crate) struct VerifyArgs {
    /// Check these Parquet files, ours or any other, instead of the store.
    #[arg(value_name = "FILE", conflicts_with = "repair")]
    pub(crate) files: Vec<PathBuf>,
    /// First make a damaged write-ahead log readable, by giving up the batches that cannot be read; the damaged
    /// files are kept in wal/damaged/.
    #[arg(long)]
    pub(crate) repair: bool,
}

#[derive(Debug, Args)]
#[command(after_help = examples::REWRITE)]
pub(crate) struct RewriteArgs {
    /// The Parquet file to read.
    pub(crate) file: PathBuf,
    /// The Parquet file to write. It must not exist.
    pub(crate) output: PathBuf,
}

#[derive(Debug, Args)]
#[command(after_help = examples::INSPECT)]
pub(crate) struct InspectArgs {
    /// The Parquet file.
    pub(crate) file: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum QueryFormat {
    /// For people.
    Table,
    /// One sample a line: series, timestamp, value.
    Csv,
    /// One series a line, bit for bit: what `import` reads back.
    Jsonl,
}

#[derive(Debug, Args)]
#[command(after_help = examples::SERVE)]
pub(crate) struct ServeArgs {
    /// Where to listen. Port 0 is any that is free.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9201")]
    pub(crate) listen: SocketAddr,
    /// Ask clients for the token that is in this file. The environment variable TSDB_TOKEN can hold it instead.
    #[arg(long, value_name = "FILE", conflicts_with = "password_file")]
    pub(crate) token_file: Option<PathBuf>,
    /// Ask clients for the user and the password that are in this file as USER:PASSWORD. The environment variable
    /// TSDB_PASSWORD can hold them instead.
    #[arg(long, value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,
    /// Listen where other machines can reach it without asking them for anything.
    #[arg(long)]
    pub(crate) allow_unauthenticated: bool,
    /// Let clients delete series.
    #[arg(long)]
    pub(crate) enable_admin_api: bool,
    /// Drop samples that are so many days older than the newest one. Without it everything is kept.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) retention_days: Option<u32>,
    /// Refuse samples that are so many seconds ahead of the clock.
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "86400")]
    pub(crate) max_ahead: Duration,
    /// Stop queries that take longer.
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "120")]
    pub(crate) query_timeout: Duration,
    /// Connections at a time.
    #[arg(long, value_name = "N", default_value_t = ServerOptions::CONNECTIONS_MAX)]
    pub(crate) max_connections: usize,
    /// Bytes of request bodies in memory at a time.
    #[arg(long, value_name = "BYTES", default_value_t = ServerOptions::IN_FLIGHT_BYTES_MAX)]
    pub(crate) max_body_bytes: usize,
    /// How to log, on standard error.
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub(crate) log_format: LogFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// A line for people.
    Text,
    /// A JSON object a line.
    Json,
}

#[derive(Debug, Args)]
#[command(after_help = examples::DEMO)]
pub(crate) struct DemoArgs {
    /// Series to generate, about.
    #[arg(long, default_value_t = 4_000, value_parser = clap::value_parser!(u32).range(100..=1_000_000))]
    pub(crate) series: u32,
    /// Samples a series, 15 seconds apart.
    #[arg(long, default_value_t = 250, value_parser = clap::value_parser!(u32).range(8..=100_000))]
    pub(crate) samples: u32,
}

#[derive(Debug, Args)]
#[command(after_help = examples::COMPLETIONS)]
pub(crate) struct CompletionsArgs {
    /// The shell.
    #[arg(value_enum)]
    pub(crate) shell: clap_complete::Shell,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_shows_an_example_of_itself() {
        fn check(command: &clap::Command, path: &str) {
            for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
                let path = format!("{path} {}", sub.get_name());
                if sub.has_subcommands() {
                    check(sub, &path);
                    continue;
                }
                let help = sub.get_after_help().map(ToString::to_string).unwrap_or_default();
                assert!(help.contains(&format!("\n  {path}")), "`{path} --help` has no example");
            }
        }
        check(&Cli::command(), "tsdb");
    }

    #[test]
    fn relative_times_are_values_not_flags() {
        let cli = Cli::try_parse_from(["tsdb", "query", "up", "--start", "-2h"]).unwrap();
        assert!(matches!(cli.command, Command::Query(q) if q.times.start.as_deref() == Some("-2h")));
    }
}
