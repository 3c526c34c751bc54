//! Two work on one number's account in the same moment, at instances that share the database alone: one does it after
//! the other, and the XMPP server and the directory agree about what comes of it.

use super::BINARY;
use super::client::{Answer, Client, blinded};
use super::gateways::MANY;
use super::kept::{Kept, on_both};
use super::phone::{Enrolled, Phone};
use super::scram::{Login, logs_in};
use hyper::Method;
use rand_core::OsRng;
use shunt::seal::{AccountFile, Code, NewSecret, SessionId, bearer_token, new_secret};
use shunt_kit::cloud::Cloud;
use shunt_kit::directory::Directory;
use shunt_kit::log::Log;
use shunt_kit::proxy::{Mode, Proxy};
use shunt_kit::smpp::Provider;
use std::path::Path;
use tokio::sync::oneshot;

struct Scene {
    cloud: Cloud,
    first: Directory,
    second: Directory,
    provider: Provider,
    /// Between both of them and the XMPP server's API.
    network: Proxy,
}

/// An instance's log says so of who finds a claim taken.
fn waited(log: &str) -> usize {
    log.matches("somebody else works on this account: waiting").count()
}

/// What a phone does: it asks again until it is answered.
async fn insist(ask: impl AsyncFn() -> Answer) -> Answer {
    loop {
        let answer = ask().await;
        if answer.status != 503 {
            return answer;
        }
    }
}

async fn enrol(phone: &Phone, code: Code) -> Enrolled {
    let confirmation = phone.confirmation(code);
    let answer = insist(async || phone.post(&confirmation.request).await).await;
    phone.believe(&confirmation, &answer.field("sealed"))
}

/// Does the one, which is held up at the server's API, and meanwhile the other, until the log of its instance says that
/// it waits.
async fn at_once<A, B>(
    network: &mut Proxy,
    log: &Path,
    one: impl Future<Output = A>,
    other: impl Future<Output = B>,
) -> (A, B) {
    let before = waited(&std::fs::read_to_string(log).unwrap());
    let said = Log::watch(log).unwrap();
    let (held, is_held) = oneshot::channel();
    // What was asked before has ended at the proxy too.
    network.until_open(0).await;
    network.set(Mode::Stall).await.unwrap();
    let other = async {
        is_held.await.unwrap();
        other.await
    };
    let meanwhile = async {
        network.until_open(1).await;
        held.send(()).unwrap();
        tokio::select! {
            told = said.until(|log| (waited(log) > before).then_some(())) => told.unwrap(),
            () = network.until_open(2) => panic!("the other has not waited"),
        }
        network.set(Mode::Pass).await.unwrap();
    };
    let (one, other, ()) = tokio::join!(one, other, meanwhile);
    (one, other)
}

impl Scene {
    async fn start(kept: Kept) -> Self {
        let cloud = Cloud::start().await.unwrap();
        let provider = Provider::start().await.unwrap();
        let more = format!("[enrolment]\n{}{MANY}", provider.gateway(cloud.dir()).unwrap());
        let started = cloud.start_directory_over(Path::new(BINARY), &kept.database().await, &more).await;
        let (first, network) = started.unwrap();
        let second = first.another("second").await.unwrap();
        Self { cloud, first, second, provider, network }
    }

    /// A phone that speaks to the first instance, and has its code.
    async fn phone(&mut self, number: &str) -> (Phone, Code) {
        let phone = Phone::new(&self.first, self.cloud.ca_pem(), number);
        let code = phone.code(&mut self.provider).await;
        (phone, code)
    }

    /// It speaks to the second instance from now on.
    fn at_second(&self, phone: Phone) -> Phone {
        Phone { client: Client::of(&self.second, self.cloud.ca_pem(), "nobody"), ..phone }
    }

    fn second_log(&self) -> std::path::PathBuf {
        self.second.dir().join("log")
    }

    fn login(&self, enrolled: &Enrolled) -> Login {
        Login::of(enrolled, self.cloud.ca_pem())
    }

    /// Whether the account's secret is good: at both, or at neither.
    async fn stands(&self, phone: &Phone, login: Login) -> bool {
        let (_, point) = blinded(&phone.number);
        let device = phone.client.with_token(&bearer_token(&login.secret));
        let here = device.evaluate('a', &[point]).await.status == 200;
        assert_eq!(logs_in(&self.cloud, login).await, here, "the server and the directory agree");
        here
    }
}

async fn of_two_who_make_an_account_at_once_the_later_one_has_it(on: Kept) {
    let mut scene = Scene::start(on).await;
    let number = "+4917612345601";
    let (one, code_of_one) = scene.phone(number).await;
    let (other, code) = scene.phone(number).await;
    let (other, log) = (scene.at_second(other), scene.second_log());
    let made = at_once(&mut scene.network, &log, enrol(&one, code_of_one), enrol(&other, code)).await;
    assert!(!scene.stands(&one, scene.login(&made.0)).await);
    assert!(scene.stands(&one, scene.login(&made.1)).await);

    // The operator's command is a process of its own.
    let (other, code) = scene.phone(number).await;
    let other = scene.at_second(other);
    let (config, key) = (scene.first.config(), one.identity.key().to_text());
    let provision = async {
        loop {
            let mut command = tokio::process::Command::new(BINARY);
            command.args(["provision", number, "--identity", &key, "--config"]).arg(&config).kill_on_drop(true);
            let done = command.output().await.unwrap();
            if done.status.success() {
                return AccountFile::parse(&done.stdout).unwrap();
            }
        }
    };
    let (file, enrolled) = at_once(&mut scene.network, &log, provision, enrol(&other, code)).await;
    assert!(!scene.stands(&one, Login::from(&file)).await);
    assert!(scene.stands(&one, scene.login(&enrolled)).await);
    assert_eq!(scene.first.command(&["accounts"]).await.unwrap(), b"1\n");
}

/// What an old phone does with its account.
#[derive(Clone, Copy)]
enum Old {
    ChangesItsSecret,
    Withdraws,
}

impl Old {
    async fn at(self, phone: &Phone, account: &Enrolled, secret: &str) -> Answer {
        let device = phone.device(account);
        let new = NewSecret(secret.to_owned().into());
        let new = new.seal(SessionId::new(&mut OsRng), phone.identity.key(), &phone.key).unwrap();
        insist(async || match self {
            Self::ChangesItsSecret => device.field(Method::PUT, "/v1/account/secret", "sealed", new.as_bytes()).await,
            Self::Withdraws => device.call(Method::DELETE, "/v1/account", "").await,
        })
        .await
    }
}

async fn a_new_phone_s_account_outlives_what_the_old_one_does_in_the_same_moment(on: Kept) {
    let mut scene = Scene::start(on).await;
    let (number, log) = ("+4917612345602", scene.second_log());
    let observer = Phone::new(&scene.first, scene.cloud.ca_pem(), number);
    for (does, new_one_first) in
        [(Old::ChangesItsSecret, false), (Old::ChangesItsSecret, true), (Old::Withdraws, false), (Old::Withdraws, true)]
    {
        let (old, code) = scene.phone(number).await;
        let account = enrol(&old, code).await;
        let (new, code) = scene.phone(number).await;
        let secret = new_secret(&mut OsRng).unwrap();
        let (done, enrolled) = if new_one_first {
            let old = scene.at_second(old);
            let (new, old) = (enrol(&new, code), does.at(&old, &account, &secret));
            let (enrolled, done) = at_once(&mut scene.network, &log, new, old).await;
            (done, enrolled)
        } else {
            let new = scene.at_second(new);
            let (old, new) = (does.at(&old, &account, &secret), enrol(&new, code));
            at_once(&mut scene.network, &log, old, new).await
        };
        // Refused where the account was the new phone's by then.
        assert!(done.status == 200 || done.refusal() == (401, "unknown-token"), "{:?}", done.body);
        let old = scene.login(&account);
        assert!(!scene.stands(&observer, Login { secret, ..old.clone() }).await);
        assert!(!scene.stands(&observer, old).await);
        assert!(scene.stands(&observer, scene.login(&enrolled)).await);
    }
}

async fn an_account_that_is_enrolled_anew_while_it_is_deleted_as_unseen_stays(on: Kept) {
    let mut scene = Scene::start(on).await;
    let (number, log) = ("+4917612345603", scene.second_log());
    let (old, code) = scene.phone(number).await;
    let account = enrol(&old, code).await;
    let (new, code) = scene.phone(number).await;
    scene.second.stop().await.unwrap();
    scene.first.sql("UPDATE account SET seen = seen - 180").await.unwrap();
    // At its start it looks for what is unseen.
    let starts = scene.second.restart();
    let (enrolled, started) = at_once(&mut scene.network, &log, enrol(&new, code), starts).await;
    started.unwrap();
    let judged = |log: &str| (log.contains("was left alone") || log.contains("were deleted")).then_some(());
    Log::watch(&log).unwrap().until(judged).await.unwrap();
    assert!(!scene.stands(&new, scene.login(&account)).await);
    assert!(scene.stands(&new, scene.login(&enrolled)).await);
}

async fn a_claim_whose_holder_died_runs_out(on: Kept) {
    let mut scene = Scene::start(on).await;
    let (number, log) = ("+4917612345604", scene.second_log());
    let (one, code_of_one) = scene.phone(number).await;
    let (other, code) = scene.phone(number).await;
    let other = scene.at_second(other);
    scene.network.set(Mode::Stall).await.unwrap();
    tokio::select! {
        _ = enrol(&one, code_of_one) => panic!("answered while the server was held up"),
        () = scene.network.until_open(1) => {}
    }
    scene.first.crash().await.unwrap();
    scene.network.cut();
    scene.network.until_open(0).await;
    let said = Log::watch(&log).unwrap();
    let time_passes = async {
        tokio::select! {
            told = said.until(|log| (waited(log) > 0).then_some(())) => told.unwrap(),
            () = scene.network.until_open(1) => panic!("the other has not waited"),
        }
        scene.network.set(Mode::Pass).await.unwrap();
        scene.second.sql("UPDATE claim SET until = 0").await.unwrap();
    };
    let (enrolled, ()) = tokio::join!(enrol(&other, code), time_passes);
    assert!(scene.stands(&other, scene.login(&enrolled)).await);
}

on_both!(
    of_two_who_make_an_account_at_once_the_later_one_has_it,
    a_new_phone_s_account_outlives_what_the_old_one_does_in_the_same_moment,
    an_account_that_is_enrolled_anew_while_it_is_deleted_as_unseen_stays,
    a_claim_whose_holder_died_runs_out,
);
