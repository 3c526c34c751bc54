//! schemathesis, which is not ours, makes requests of `config/directory.openapi.yaml` and `config/evaluator.openapi.yaml` and
//! breaks them, and holds the answers against the file.

use super::BINARY;
use super::site::{Site, TOKEN};
use shunt_kit::evaluator::Evaluator;
use shunt_kit::smpp::Provider;
use std::path::Path;
use std::process::Output;
use tokio::process::Command;

const PYTHON: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/venv/bin/python");
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config/directory.openapi.yaml");
const EVALUATOR: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config/evaluator.openapi.yaml");

/// Not `not_a_server_error`: without an XMPP server 503 is right; 500 is in no answer of the file. Not
/// `positive_data_acceptance`: what is sealed and signed can't be drawn at random.
const LEFT_OUT: &str = "not_a_server_error,positive_data_acceptance";

/// What is too large is refused as such, which is a refusal too.
const SETTINGS: &str = "[checks.negative_data_rejection]\nexpected-statuses = [\"4xx\", \"5xx\"]\n";

/// A service that is to keep to a file.
struct Service<'s> {
    /// Where schemathesis is started, looks for its settings, and leaves its files.
    dir: &'s Path,
    url: String,
    ca: &'s Path,
    token: &'s str,
}

async fn fuzz(service: &Service<'_>, file: &str, more: &[&str]) -> Output {
    std::fs::write(service.dir.join("schemathesis.toml"), SETTINGS).unwrap();
    let mut command = Command::new(PYTHON);
    command.current_dir(service.dir).args(["-m", "schemathesis.cli", "run", file]);
    command.args(["--url", &service.url, "--tls-verify"]).arg(service.ca);
    let bearer = format!("Authorization: Bearer {}", service.token);
    command.args(["--header", &bearer, "--exclude-checks", LEFT_OUT]);
    command.args(["--generation-database", "none", "--no-shrink", "--warnings", "off", "--continue-on-failure"]);
    command.args(more).kill_on_drop(true).output().await.unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[tokio::test]
async fn no_request_that_schemathesis_draws_from_the_file_is_answered_against_it() {
    let provider = Provider::start().await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    // It leaves connections open until they time out.
    let seats = "[limits]\nconnections_per_address = 1000\n[enrolment]\n";
    let site = Site::with(&format!("{seats}{}", provider.gateway(dir.path()).unwrap())).await;
    let service = Service { dir: site.directory.dir(), url: site.directory.url(), ca: &site.pki.ca, token: TOKEN };
    let found = fuzz(&service, FILE, &["--max-examples", "15", "--phases", "coverage,fuzzing"]).await;
    assert!(found.status.success(), "{}{}", said(&found), site.directory.log().unwrap());
    // It finds what is wrong: a file without 401 is not what the directory does.
    let lies = dir.path().join("lies.yaml");
    let text = std::fs::read_to_string(FILE).unwrap();
    std::fs::write(&lies, text.replace("\"401\"", "\"402\"")).unwrap();
    let found =
        fuzz(&service, lies.to_str().unwrap(), &["--max-examples", "1", "--include-path", "/v1/evaluate"]).await;
    assert!(said(&found).contains("Undocumented status code"), "{}", said(&found));
}

#[tokio::test]
async fn nor_is_one_that_it_draws_from_the_second_evaluators() {
    let dir = tempfile::tempdir().unwrap();
    let more = "[limits]\nconnections_per_address = 1000\n";
    let evaluator = Evaluator::start(Path::new(BINARY), dir.path(), more).await.unwrap();
    let (ca, token) = (dir.path().join("schemathesis-ca.pem"), evaluator.token().unwrap());
    std::fs::write(&ca, evaluator.ca_pem()).unwrap();
    let service = Service { dir: dir.path(), url: format!("https://{}", evaluator.addr()), ca: &ca, token: &token };
    let found = fuzz(&service, EVALUATOR, &["--max-examples", "15", "--phases", "coverage,fuzzing"]).await;
    assert!(found.status.success(), "{}", said(&found));
}
