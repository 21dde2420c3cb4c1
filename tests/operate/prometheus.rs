//! A real Prometheus scrapes a real run, and evaluates every expression of the dashboard and of the alerts.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tokio::time::Instant;

use crate::common::PATIENCE;
use crate::common::origin::Origin;
use crate::common::tools::tool;
use crate::metrics::{do_some_lines, place};

/// A Prometheus; killed when it is dropped.
struct Prometheus {
    process: Child,
    address: String,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Prometheus {
    /// Starts one that scrapes this address five times a second; nothing if none is installed.
    fn start(dir: &Path, target: &str) -> Option<Self> {
        let program = tool("prometheus")?;
        let rules = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("config/alerts.yml");
        let config = format!(
            "global: {{scrape_interval: 200ms, scrape_timeout: 200ms, evaluation_interval: 200ms}}\n\
             rule_files: [{rules:?}]\n\
             scrape_configs: [{{job_name: fetchd, static_configs: [{{targets: [{target:?}]}}]}}]\n"
        );
        fs::write(dir.join("prometheus.yml"), config).unwrap();
        let mut command = Command::new(program);
        command.arg(format!("--config.file={}", dir.join("prometheus.yml").display()));
        command.arg(format!("--storage.tsdb.path={}", dir.join("prometheus").display()));
        command.arg("--web.listen-address=127.0.0.1:0");
        let mut process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines().map_while(Result::ok);
        let listening = lines.find(|line| line.contains("msg=\"Listening on\"")).unwrap();
        let address = listening.rsplit_once("address=").unwrap().1.trim().to_owned();
        lines.find(|line| line.contains("Server is ready")).unwrap();
        // It must not be held up by a pipe that nobody reads.
        std::thread::spawn(move || lines.for_each(drop));
        Some(Self { process, address })
    }

    /// What it answers to this path.
    fn get(&self, path: &str) -> Value {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(stream, "GET {path} HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let body = answer.split_once("\r\n\r\n").unwrap().1;
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"))
    }

    /// The series that an expression yields.
    fn query(&self, expression: &str) -> Vec<Value> {
        let query: String = url::form_urlencoded::byte_serialize(expression.as_bytes()).collect();
        let answer = self.get(&format!("/api/v1/query?query={query}"));
        assert_eq!(answer["status"], "success", "{expression}: {answer}");
        answer["data"]["result"].as_array().unwrap().clone()
    }

    /// Asks until this is so.
    fn wait_until(&self, what: &str, is_so: impl Fn() -> bool) {
        let begin = Instant::now();
        while !is_so() {
            assert!(begin.elapsed() < PATIENCE * 2, "{what}: {}", self.get("/api/v1/targets"));
            std::thread::yield_now();
        }
    }
}

/// The expressions of the dashboard, by the titles of their panels, with its variables filled in.
fn expressions() -> Vec<(String, String)> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("config/grafana.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let mut all = Vec::new();
    for panel in panels {
        for target in panel["targets"].as_array().into_iter().flatten() {
            assert_eq!(target["datasource"]["uid"], "${datasource}", "{panel}");
            let expression = target["expr"].as_str().unwrap();
            let expression = expression.replace("$__rate_interval", "10s").replace("$job", ".*");
            all.push((panel["title"].to_string(), expression.replace("$instance", ".*")));
        }
    }
    assert!(all.iter().all(|(_, expression)| !expression.contains('$')), "{all:?}");
    all
}

#[test]
fn every_expression_of_the_dashboard_yields_a_series_and_every_alert_is_evaluated() {
    let (mut place, origin) = (place(), Origin::start());
    place.more_api = "metrics_listen = \"127.0.0.1:0\"\n".to_owned();
    let mut running = place.start();
    let message = running.message("metrics are at");
    let target = message.split("http://").nth(1).unwrap().split("/metrics").next().unwrap().to_owned();
    let Some(prometheus) = Prometheus::start(&place.path("."), &target) else { return };
    do_some_lines(&mut running, &origin);
    prometheus.wait_until("it scrapes", || {
        let scrapes = prometheus.query("count_over_time(fetchd_records_total{outcome=\"ok\"}[1m])");
        scrapes.first().is_some_and(|scrapes| scrapes["value"][1].as_str().unwrap().parse::<u32>().unwrap() >= 5)
    });
    let all = expressions();
    assert!(all.len() > 40, "{}", all.len());
    for (title, expression) in &all {
        assert!(!prometheus.query(expression).is_empty(), "{title}: {expression}");
    }
    prometheus.wait_until("alerts are evaluated", || {
        let groups = prometheus.get("/api/v1/rules")["data"]["groups"].clone();
        let rules: Vec<Value> = groups[0]["rules"].as_array().cloned().unwrap_or_default();
        assert!(rules.iter().all(|rule| rule["health"] != "err"), "{rules:?}");
        rules.len() == 10 && rules.iter().all(|rule| rule["health"] == "ok")
    });
    assert_eq!(prometheus.query("ALERTS"), Vec::<Value>::new(), "a run that does its work is no alert");
    assert_eq!(running.finish("").code, Some(0));
}
