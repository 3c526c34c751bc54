//! Accounts at ejabberd, by its HTTP API (`mod_http_api`) on loopback.

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Request, StatusCode, Uri, header};
use hyper_util::rt::TokioIo;
use std::net::IpAddr;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use zeroize::Zeroizing;

/// ejabberd takes 20 to 110 ms for an account; more than this is a hang.
const PATIENCE: Duration = Duration::from_secs(15);

/// Enough for any answer to the commands used here.
const MOST_ANSWER: usize = 64 * 1024;

/// Why ejabberd did not do it.
#[derive(Debug, thiserror::Error)]
pub(super) enum EjabberdError {
    /// Not HTTP, or not on loopback: who reads the way there gets secrets, who can write to it accounts.
    #[error("ejabberd.api is wrong: write http://127.0.0.1:PORT/api, on loopback alone")]
    Address,
    /// No connection.
    #[error("ejabberd's API can't be reached: is ejabberd running, and ejabberd.api right? ({0})")]
    Unreachable(std::io::Error),
    /// Broken off, or not HTTP.
    #[error("ejabberd's API broke off: {0}")]
    Broken(String),
    /// No answer.
    #[error("ejabberd's API does not answer: see its log")]
    Timeout,
    /// Not allowed.
    #[error("ejabberd's API does not allow `{0}`: see api_permissions in ejabberd.yml")]
    Forbidden(&'static str),
    /// Any other status.
    #[error("ejabberd refused `{command}` with status {status}: see its log")]
    Refused {
        /// What it was asked.
        command: &'static str,
        /// What it said.
        status: u16,
    },
}

/// ejabberd's API.
#[derive(Debug)]
pub(super) struct Ejabberd {
    authority: String,
    path: String,
}

impl Ejabberd {
    pub(super) fn new(api: &str) -> Result<Self, EjabberdError> {
        let uri: Uri = api.parse().map_err(|_| EjabberdError::Address)?;
        let local = |host: &&str| uri.scheme_str() == Some("http") && is_loopback(host);
        let host = uri.host().filter(local).ok_or(EjabberdError::Address)?;
        let authority = format!("{host}:{}", uri.port_u16().unwrap_or(80));
        Ok(Self { authority, path: uri.path().trim_end_matches('/').to_owned() })
    }

    /// Makes the account. One of that name is unregistered first: its phone's session, keys and
    /// nodes end with it.
    pub(super) async fn register(&self, user: &str, host: &str, secret: &str) -> Result<(), EjabberdError> {
        const REGISTER: &str = "register";
        let account = Zeroizing::new(
            serde_json::json!({ "user": user, "host": host, "password": secret }).to_string().into_bytes(),
        );
        let mut status = self.call(REGISTER, &account).await?;
        if status == StatusCode::CONFLICT {
            self.unregister(user, host).await?;
            status = self.call(REGISTER, &account).await?;
        }
        judge(REGISTER, status)
    }

    /// Ends the account. One that does not exist is no error.
    pub(super) async fn unregister(&self, user: &str, host: &str) -> Result<(), EjabberdError> {
        const UNREGISTER: &str = "unregister";
        let account = serde_json::json!({ "user": user, "host": host }).to_string();
        judge(UNREGISTER, self.call(UNREGISTER, account.as_bytes()).await?)
    }

    /// Gives the account a new secret; sessions go on.
    pub(super) async fn change_secret(&self, user: &str, host: &str, secret: &str) -> Result<(), EjabberdError> {
        const CHANGE: &str = "change_password";
        let account = Zeroizing::new(
            serde_json::json!({ "user": user, "host": host, "newpass": secret }).to_string().into_bytes(),
        );
        judge(CHANGE, self.call(CHANGE, &account).await?)
    }

    async fn call(&self, command: &'static str, body: &[u8]) -> Result<StatusCode, EjabberdError> {
        timeout(PATIENCE, self.exchange(command, body)).await.map_err(|_| EjabberdError::Timeout)?
    }

    async fn exchange(&self, command: &str, body: &[u8]) -> Result<StatusCode, EjabberdError> {
        let stream = TcpStream::connect(&self.authority).await.map_err(EjabberdError::Unreachable)?;
        let broken = |error: hyper::Error| EjabberdError::Broken(error.to_string());
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        let driver = tokio::spawn(connection);
        let request = Request::post(format!("{}/{command}", self.path))
            .header(header::HOST, &self.authority)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::CONNECTION, "close")
            .body(Full::new(Bytes::copy_from_slice(body)))
            .map_err(|_| EjabberdError::Address)?;
        let response = sender.send_request(request).await.map_err(broken)?;
        let status = response.status();
        // Read to the end, so that ejabberd has done what it was asked.
        let read = Limited::new(response.into_body(), MOST_ANSWER).collect().await;
        driver.abort();
        read.map_err(|error| EjabberdError::Broken(error.to_string()))?;
        Ok(status)
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

fn judge(command: &'static str, status: StatusCode) -> Result<(), EjabberdError> {
    match status {
        status if status.is_success() => Ok(()),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(EjabberdError::Forbidden(command)),
        status => Err(EjabberdError::Refused { command, status: status.as_u16() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// Answers one request after another with these statuses, and gives back what was asked.
    async fn scripted(statuses: &[&'static str]) -> (Ejabberd, tokio::task::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let ejabberd = Ejabberd::new(&format!("http://{}/api", listener.local_addr().unwrap())).unwrap();
        let statuses = statuses.to_vec();
        let server = tokio::spawn(async move {
            let mut asked = Vec::new();
            for status in statuses {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = Vec::new();
                while !request.ends_with(b"}") {
                    assert!(stream.read_buf(&mut request).await.unwrap() > 0);
                }
                let text = String::from_utf8(request).unwrap();
                asked.push(text.lines().next().unwrap().to_owned());
                let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\n\"\"");
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
            asked
        });
        (ejabberd, server)
    }

    #[tokio::test]
    async fn an_existing_account_is_ended_before_it_is_made_anew() {
        let (ejabberd, server) = scripted(&["409 Conflict", "200 OK", "200 OK"]).await;
        ejabberd.register("a", "im.example.org", "secret").await.unwrap();
        let asked = server.await.unwrap();
        assert_eq!(
            asked,
            ["POST /api/register HTTP/1.1", "POST /api/unregister HTTP/1.1", "POST /api/register HTTP/1.1"]
        );
    }

    #[tokio::test]
    async fn what_ejabberd_does_not_allow_is_told_with_the_place_to_look() {
        let (ejabberd, server) = scripted(&["403 Forbidden"]).await;
        let error = ejabberd.register("a", "im.example.org", "secret").await.unwrap_err();
        assert!(matches!(error, EjabberdError::Forbidden("register")), "{error}");
        server.await.unwrap();
    }

    #[tokio::test]
    async fn an_absent_ejabberd_is_told_so() {
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let ejabberd = Ejabberd::new(&format!("http://{closed}/api")).unwrap();
        let error = ejabberd.unregister("a", "im.example.org").await.unwrap_err();
        assert!(matches!(error, EjabberdError::Unreachable(_)), "{error}");
    }

    #[tokio::test]
    async fn the_shipped_permissions_are_what_is_asked_for_and_no_more() {
        let (ejabberd, server) = scripted(&["409 Conflict", "200 OK", "200 OK", "200 OK"]).await;
        ejabberd.register("a", "im.example.org", "secret").await.unwrap();
        ejabberd.change_secret("a", "im.example.org", "other").await.unwrap();
        let asked = server.await.unwrap();
        let asked: BTreeSet<_> = asked.iter().map(|line| line.split(['/', ' ']).nth(3).unwrap()).collect();
        let shipped = include_str!("../../config/ejabberd/ejabberd.yml");
        let (_, permissions) = shipped.split_once("\napi_permissions:\n").unwrap();
        let section: Vec<_> = permissions.lines().take_while(|line| line.starts_with(' ')).collect();
        let [name, from, who, what] = section[..] else { panic!("one permission, of four lines: {section:?}") };
        assert_eq!([name, from], ["  \"directory\":", "    from: [mod_http_api]"]);
        assert_eq!(who, "    who: [{ip: \"127.0.0.1/32\"}]");
        let what = what.strip_prefix("    what: ").unwrap();
        assert_eq!(serde_json::from_str::<BTreeSet<&str>>(what).unwrap(), asked);
    }

    #[test]
    fn only_http_on_loopback_is_an_address() {
        for api in [
            "",
            "http://",
            "https://127.0.0.1/api",
            "127.0.0.1:5281",
            "http://192.0.2.1:5281/api",
            "http://[2001:db8::1]:5281/api",
            "http://ejabberd.example.org:5281/api",
            "http://127.0.0.1.example.org/api",
            "http://0.0.0.0:5281/api",
        ] {
            assert!(matches!(Ejabberd::new(api), Err(EjabberdError::Address)), "{api}");
        }
        for api in ["http://127.0.0.1:5281/api", "http://[::1]:5281/api/", "http://localhost:5281/api"] {
            assert!(Ejabberd::new(api).is_ok(), "{api}");
        }
    }
}
