//! Label sets of a scrape target: a Linux node's exporter, or a pod of a web service.
//!
//! The rows of a template follow the order of [`Kind::ALL`](crate::Kind::ALL): row and kind fit together.

use std::sync::LazyLock;

use tsdb_core::{Labels, METRIC_NAME};

use crate::mixed::SERIES_PER_TARGET;
use crate::random::Random;

/// The upper bounds of a histogram's buckets, as Prometheus' client libraries choose them.
pub(crate) const BUCKET_BOUNDS: [&str; 15] = [
    "0.005", "0.01", "0.025", "0.05", "0.075", "0.1", "0.25", "0.5", "0.75", "1", "2.5", "5", "7.5", "10",
    "+Inf",
];

/// The scrape jobs; target `n` belongs to job `n % 10`.
pub(crate) const JOBS: [&str; 10] =
    ["node", "node", "node", "node", "api", "checkout", "cart", "kubelet", "ingress", "kubernetes-pods"];

/// What one row adds to its target's labels.
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) labels: Vec<(&'static str, String)>,
}

/// The rows of a node exporter.
pub(crate) static NODE: LazyLock<Vec<Row>> = LazyLock::new(node_rows);
/// The rows of a pod.
pub(crate) static POD: LazyLock<Vec<Row>> = LazyLock::new(pod_rows);

/// The rows of target `target`.
pub(crate) fn rows_of(target: usize) -> &'static [Row] {
    if is_node(target) { &NODE } else { &POD }
}

fn is_node(target: usize) -> bool {
    JOBS[target % JOBS.len()] == "node"
}

/// The labels that all series of target `target` share.
pub(crate) fn target_labels(target: usize, random: &mut Random) -> Vec<(&'static str, String)> {
    let job = JOBS[target % JOBS.len()];
    let port = if is_node(target) { 9100 } else { 8080 };
    let address = [target >> 16, target >> 8, target].map(|part| part & 255);
    let mut labels = vec![
        ("job", job.to_owned()),
        ("instance", format!("10.{}.{}.{}:{port}", address[0], address[1], address[2])),
        ("cluster", format!("eu-{}", target % 3)),
    ];
    if !is_node(target) {
        let hash = format!("{:010x}", random.below(1 << 40));
        labels.push(("namespace", format!("ns-{}", target % 17)));
        labels.push(("pod", format!("{job}-{}0-{}", &hash[..5], &hash[5..])));
        labels.push(("node", format!("ip-10-0-{}-{}", target / 40 % 256, target % 40)));
    }
    labels
}

/// The whole label set of one row.
pub(crate) fn row_labels(shared: &[(&'static str, String)], row: &Row) -> Labels {
    let name = [(METRIC_NAME, row.name.as_str())];
    let pairs = shared.iter().chain(&row.labels).map(|(name, value)| (*name, value.as_str()));
    Labels::from_pairs(name.into_iter().chain(pairs))
        .expect("invariant: a template's label names are distinct")
}

fn row(name: impl Into<String>, labels: &[(&'static str, &str)]) -> Row {
    let labels = labels.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    Row { name: name.into(), labels }
}

fn node_rows() -> Vec<Row> {
    let mut rows = Vec::with_capacity(SERIES_PER_TARGET);
    for device in ["eth0", "eth1", "cni0"] {
        for what in ["receive_bytes", "transmit_bytes", "receive_packets", "transmit_packets", "receive_drop"]
        {
            rows.push(row(format!("node_network_{what}_total"), &[("device", device)]));
        }
    }
    for device in ["nvme0n1", "nvme1n1", "dm-0"] {
        for what in ["reads_completed", "writes_completed", "read_bytes", "written_bytes", "io_now"] {
            rows.push(row(format!("node_disk_{what}_total"), &[("device", device)]));
        }
    }
    for cpu in ["0", "1"] {
        for mode in ["idle", "user", "system", "iowait", "softirq"] {
            rows.push(row("node_cpu_seconds_total", &[("cpu", cpu), ("mode", mode)]));
        }
    }
    for i in 0..15 {
        let (chip, sensor) = (format!("platform_coretemp_{}", i / 5), format!("temp{}", i % 5 + 1));
        rows.push(row("node_hwmon_temp_celsius", &[("chip", &chip), ("sensor", &sensor)]));
    }
    for name in ["node_filesystem_avail_bytes", "node_filesystem_size_bytes"] {
        for (i, letter) in ('a'..='j').enumerate() {
            let (device, mount) = (format!("/dev/sd{letter}1"), format!("/var/lib/vol{i}"));
            rows.push(row(name, &[("device", &device), ("fstype", "ext4"), ("mountpoint", &mount)]));
        }
    }
    for le in BUCKET_BOUNDS {
        rows.push(row("node_scrape_collector_duration_seconds_bucket", &[("collector", "all"), ("le", le)]));
    }
    for i in 0..10 {
        rows.push(row("node_pressure_ratio", &[("resource", &format!("r{i}"))]));
    }
    rows
}

fn pod_rows() -> Vec<Row> {
    let mut rows = Vec::with_capacity(SERIES_PER_TARGET);
    for handler in ["/api/v1/items", "/api/v1/cart", "/login", "/healthz", "/metrics"] {
        for code in ["200", "404", "500"] {
            for method in ["GET", "POST"] {
                let labels = [("handler", handler), ("code", code), ("method", method)];
                rows.push(row("http_requests_total", &labels));
            }
        }
    }
    for container in ["app", "sidecar"] {
        for mode in ["user", "system", "throttled", "idle", "wait"] {
            rows.push(row("container_cpu_usage_seconds_total", &[("container", container), ("mode", mode)]));
        }
    }
    for i in 0..15 {
        rows.push(row("app_queue_latency_ms", &[("queue", &format!("q{i}"))]));
    }
    for i in 0..10 {
        rows.push(row("go_memstats_class_bytes", &[("class", &format!("c{i}"))]));
    }
    for i in 0..10 {
        let resource = format!("res{i}");
        rows.push(row("kube_pod_container_resource_limits", &[("resource", &resource), ("unit", "byte")]));
    }
    for le in BUCKET_BOUNDS {
        let labels = [("handler", "/api/v1/items"), ("method", "GET"), ("le", le)];
        rows.push(row("http_request_duration_seconds_bucket", &labels));
    }
    for i in 0..10 {
        rows.push(row("app_cache_hit_ratio", &[("cache", &format!("c{i}"))]));
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;

    #[test]
    fn rows_and_kinds_fit_together() {
        for rows in [&*NODE, &*POD] {
            assert_eq!(rows.len(), SERIES_PER_TARGET);
            for (i, row) in rows.iter().enumerate() {
                let counter = matches!(Kind::of_row(i), Kind::CounterInteger | Kind::CounterCentisecond);
                assert_eq!(row.name.ends_with("_total"), counter, "{}", row.name);
                assert_eq!(row.name.ends_with("_bucket"), Kind::of_row(i) == Kind::Bucket, "{}", row.name);
                assert_eq!(row.name.ends_with("_ratio"), Kind::of_row(i) == Kind::Ratio, "{}", row.name);
            }
        }
    }
}
