//! Starting, watching and ending the daemons, tried on a stand-in: a shell script as the warden, and
//! this test program itself as a service that answers like Shunt.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use shunt_kit::phone::{Phone, ShuntConfig};
use shunt_kit::{Shunt, Smsc, process, shunt};
use tempfile::TempDir;
use zbus::object_server::SignalEmitter;
use zbus::{OwnedObjectPath, OwnedVariant, Variant, connection, fdo, interface};

const BOB: &str = "+4915112345602";
const STAND_IN: &str = "SHUNT_KIT_STAND_IN";

struct Messaging;

#[interface(name = "org.shunt.Shunt1.Messaging")]
impl Messaging {
    async fn send(
        &self,
        to: String,
        text: String,
        _options: HashMap<String, OwnedVariant>,
        #[zbus(signal_emitter)] emitter: SignalEmitter<'_>,
    ) -> fdo::Result<OwnedObjectPath> {
        if to == "denied" {
            return Err(fdo::Error::AccessDenied("not you".into()));
        }
        let path = OwnedObjectPath::try_from("/org/shunt/Shunt1/text/7").unwrap();
        for state in ["sms-sending", "sms-sent"] {
            Self::changed(&emitter, path.clone(), HashMap::from([("state", state.into())])).await?;
        }
        let shown = [("from", to.as_str()), ("text", text.as_str()), ("bearer", "sms")];
        let shown = shown.map(|(key, value)| (key, Variant::from(value)));
        Self::received(&emitter, path.clone(), HashMap::from(shown)).await?;
        Ok(path)
    }

    fn get(&self, _path: OwnedObjectPath) -> HashMap<&str, Variant<'_>> {
        let kept = [("state", "sms-sent"), ("direction", "incoming"), ("text", "kept")];
        HashMap::from(kept.map(|(key, value)| (key, Variant::from(value))))
    }

    fn route(&self, _to: String, _options: HashMap<String, OwnedVariant>) -> (&str, &str, HashMap<&str, Variant<'_>>) {
        ("sms", "switch-off", HashMap::from([("segments", Variant::from(1u32))]))
    }

    fn list(&self, _options: HashMap<String, OwnedVariant>) -> Vec<OwnedObjectPath> {
        vec![OwnedObjectPath::try_from("/org/shunt/Shunt1/text/1").unwrap()]
    }

    #[zbus(signal)]
    async fn received(
        emitter: &SignalEmitter<'_>,
        path: OwnedObjectPath,
        shown: HashMap<&str, Variant<'_>>,
    ) -> zbus::Result<()>;

    #[zbus(signal)]
    async fn changed(
        emitter: &SignalEmitter<'_>,
        path: OwnedObjectPath,
        what: HashMap<&str, Variant<'_>>,
    ) -> zbus::Result<()>;
}

#[derive(Default)]
struct Settings(bool);

#[interface(name = "org.shunt.Shunt1.Settings")]
impl Settings {
    #[zbus(property)]
    fn enabled(&self) -> bool {
        self.0
    }

    #[zbus(property)]
    fn set_enabled(&mut self, on: bool) {
        self.0 = on;
    }
}

/// Does nothing, unless the script starts it as the service.
#[tokio::test]
async fn stand_in() {
    if std::env::var_os(STAND_IN).is_none() {
        return;
    }
    let _service = connection::Builder::system()
        .serve_at("/org/shunt/Shunt1", Messaging)
        .serve_at("/org/shunt/Shunt1", Settings::default())
        .name("org.shunt.Shunt1")
        .build()
        .await
        .unwrap();
    std::future::pending().await
}

fn programs(script: &str) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let warden = dir.path().join("shuntd");
    fs::write(&warden, script).unwrap();
    fs::set_permissions(&warden, fs::Permissions::from_mode(0o755)).unwrap();
    fs::copy("/usr/bin/sleep", dir.path().join("shuntd-core")).unwrap();
    dir
}

fn stand_in_programs() -> TempDir {
    let this = std::env::current_exe().unwrap();
    programs(&format!(
        "#!/bin/sh
getent passwd shunt-core shunt-uplink > \"$9/users\"
cat \"$5\" > \"$9/config\"
\"$2/shuntd-core\" 1000 &
{} --exact stand_in --nocapture
",
        this.display()
    ))
}

async fn phone() -> Phone {
    Phone::builder(&Smsc::new(), BOB).without_modem_manager().start().await.unwrap()
}

fn config(programs: &Path) -> ShuntConfig {
    let mut config = ShuntConfig::new(programs);
    config.environment.push((STAND_IN.to_owned(), "1".to_owned()));
    config
}

#[tokio::test]
async fn the_client_calls_and_hears() {
    let (mut bob, programs) = (phone().await, stand_in_programs());
    let shunt = bob.start_shunt(config(programs.path())).await.unwrap();

    let path = shunt.send("+49151", "Hallo").await.unwrap();
    let shown = shunt.wait_received(|r| r.text == "Hallo").await.unwrap();
    assert_eq!((&*shown.from, &*shown.bearer, shown.id()), ("+49151", "sms", "7"));
    assert_eq!(shunt.shown("Hallo"), 1);
    assert_eq!(shunt.wait_state(&path, &["sms-sending"]).await.unwrap(), "sms-sending");
    assert_eq!(shunt.wait_state(&path, &["im-delivered", "sms-sent"]).await.unwrap(), "sms-sent");
    assert_eq!(shunt.states(&path), ["sms-sending", "sms-sent"]);

    assert_eq!(shunt.wait_received(|r| r.text == "kept").await.unwrap().id(), "1");
    assert_eq!(shunt.shown("kept"), 0);

    let route = shunt.route("+49151").await.unwrap();
    assert_eq!((&*route.bearer, &*route.reason), ("sms", "switch-off"));
    assert_eq!(route.details.get::<u32>("segments"), Some(1));

    assert!(!shunt.enabled().await.unwrap());
    shunt.set_enabled(true).await.unwrap();
    assert!(shunt.enabled().await.unwrap());
    shunt.wait_heard("the switch", |h| h.dict.get("Enabled") == Some(true)).await.unwrap();

    let error = shunt.send("denied", "").await.unwrap_err();
    assert_eq!(shunt::error_name(&error).as_deref(), Some("org.freedesktop.DBus.Error.AccessDenied"));
}

#[tokio::test]
async fn another_user_is_seen_as_such() {
    let (mut bob, programs) = (phone().await, stand_in_programs());
    bob.start_shunt(config(programs.path())).await.unwrap();
    let nobody = Shunt::listen_as(bob.bus(), 65_534).await.unwrap();
    let bus = fdo::DBusProxy::new(bob.connection()).await.unwrap();
    let name = nobody.connection().unique_name().unwrap().clone();
    assert_eq!(bus.get_connection_unix_user(name.into()).await.unwrap(), 65_534);
    assert_eq!(nobody.route("+49151").await.unwrap().bearer, "sms");
}

#[tokio::test]
async fn the_daemons_find_their_users_their_config_and_their_directories() {
    let (mut bob, programs) = (phone().await, stand_in_programs());
    let config = config(programs.path()).cloud("shunt.test", "127.0.0.1:1", "127.0.0.1:2", "PEM");
    bob.start_shunt(config).await.unwrap();
    let users = fs::read_to_string(bob.path("shunt-run/users")).unwrap();
    assert!(users.contains("shunt-core:") && users.contains("shunt-uplink:"), "{users}");
    let core: u32 = users.split(':').nth(2).unwrap().parse().unwrap();
    let state = fs::metadata(bob.state_dir()).unwrap();
    assert_eq!((state.uid(), state.mode() & 0o777), (core, 0o700));
    let seen = fs::read_to_string(bob.path("shunt-run/config")).unwrap();
    assert!(seen.contains(&format!("ca = \"{}\"", bob.path("ca.pem").display())), "{seen}");
    assert_eq!(fs::read_to_string(bob.path("ca.pem")).unwrap(), "PEM");
}

#[tokio::test]
async fn ends_are_noticed_and_nothing_stays() {
    let (mut bob, programs) = (phone().await, stand_in_programs());
    bob.start_shunt(config(programs.path())).await.unwrap();
    let core = bob.shunt_pid("shuntd-core").unwrap();
    assert_eq!(bob.shunt_pids().len(), 3);
    assert_eq!(bob.inet_sockets().unwrap(), 0);
    assert!(bob.pss().unwrap() > 0 && bob.voluntary_switches().unwrap() > 0);
    bob.stop_shunt().await.unwrap();
    assert!(!process::alive(core));
    assert_eq!(bob.shunt_pids(), []);

    bob.start_shunt(config(programs.path())).await.unwrap();
    let all = bob.shunt_pids();
    drop(bob);
    assert!(all.iter().all(|(pid, _)| !process::alive(*pid)));
}

#[tokio::test]
async fn a_start_that_fails_shows_the_log() {
    let mut bob = phone().await;
    let programs = programs("#!/bin/sh\necho 'the store is locked' >&2\nexit 3\n");
    let Err(error) = bob.start_shunt(config(programs.path())).await else { panic!("started") };
    let said = format!("{error:?}");
    assert!(said.contains("the store is locked") && said.contains("exit code 3"), "{said}");
}
