//! Each promise of the configuration, on real files.

use super::*;
use std::fs;
use std::path::Path;

fn shipped() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/config/shunt.toml"))
}

const CLOUD: &str = "[cloud]\ndomain = \"im.example.org\"\nservers = [\"im.example.org:5222\"]\n\
                     directory = \"https://d.example.org\"\nca = \"/etc/shunt/ca.pem\"\n";

#[test]
fn shipped_file_is_equal_to_the_built_in_defaults() {
    let loaded = Config::load(shipped(), Path::new("/nonexistent"), &[]).unwrap();
    assert_eq!(loaded, Config::default());
}

#[test]
fn shipped_file_with_its_examples_uncommented_is_a_configuration_too() {
    let text = fs::read_to_string(shipped()).unwrap();
    let uncommented: String = text
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(rest) if !rest.starts_with(' ') && !rest.is_empty() => format!("{rest}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    let cloud = Config::parse(&uncommented).unwrap().cloud.unwrap();
    assert_eq!(cloud.keep_alive, KEEP_ALIVE);
    assert_eq!(cloud.epochs.len(), 1);
    assert_eq!(cloud.servers, ["im.example.org:5222"]);
}

#[test]
fn each_key_of_the_shipped_file_has_a_comment_above_it() {
    let text = fs::read_to_string(shipped()).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    for pair in lines.windows(2) {
        let key = pair[1].trim_start_matches('#');
        if key.split_once(" = ").is_some_and(|(name, _)| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')) {
            assert!(pair[0].starts_with("# ") || pair[0].starts_with("#   "), "no comment above {}", pair[1]);
        }
    }
}

#[test]
fn drop_ins_are_merged_in_the_order_of_their_names_and_extra_files_last() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("20-b.toml"), "[defaults]\nfallback_after = 20\nallow_roaming = true\n").unwrap();
    fs::write(dir.path().join("10-a.toml"), "[defaults]\nfallback_after = 15\nread_receipts = true\n").unwrap();
    fs::write(dir.path().join("30-c.toml.bak"), "this is not read").unwrap();
    let extra = dir.path().join("extra");
    fs::write(&extra, "[store]\nkey = { credential = \"k\" }\n").unwrap();
    let config = Config::load(shipped(), dir.path(), &[extra]).unwrap();
    assert_eq!(config.defaults.fallback_after, 20);
    assert!(config.defaults.allow_roaming && config.defaults.read_receipts);
    assert_eq!(config.store.key, KeySource::Credential("k".into()));
}

#[test]
fn cloud_may_be_put_together_from_several_files() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("1.toml"), CLOUD).unwrap();
    fs::write(dir.path().join("2.toml"), "[cloud]\nkeep_alive = 0\n").unwrap();
    let cloud = Config::load(shipped(), dir.path(), &[]).unwrap().cloud.unwrap();
    assert_eq!((cloud.domain.as_str(), cloud.keep_alive), ("im.example.org", 0));
}

#[test]
fn switch_is_refused_wherever_it_stands() {
    let tries = [
        "enabled = true",
        "Enabled = false",
        "[defaults]\nenabled = true",
        "[settings]\n[settings.more]\nenabled = true",
        "[[cloud.epochs]]\nenabled = 1",
        "x = [{ y = [{ ENABLED = true }] }]",
        "\"enabled\" = true",
        "\"en\\u0061bled\" = true",
        "defaults.enabled = true",
    ];
    for text in tries {
        match Config::parse(text) {
            Err(ConfigError::Switch { .. }) => {}
            other => panic!("{text}: {other:?}"),
        }
    }
    let message = Config::parse("[log]\n\nenabled = true").unwrap_err().to_string();
    assert!(message.starts_with("(text), line 3: log.enabled: no file can turn Shunt on"), "{message}");
}

#[test]
fn errors_name_file_line_and_key_and_say_what_to_write() {
    let cases = [
        ("[modem]\nbackend = \"pigeon\"\n", "line 2: modem.backend: unknown variant"),
        ("[log]\nlevel = \"loud\"\n", "line 2: log.level: a level is off, error,"),
        ("\n[defaults]\nfallback_after = 2\n", "line 3: defaults.fallback_after: write 3 to 120 seconds"),
        ("[defaults]\nfallback_policy = \"maybe\"\n", "line 2: defaults.fallback_policy: a fallback policy is always,"),
        ("[route]\nsms_only = [\n\"+49333\",\n\"voicemail\"]\n", "line 2: route.sms_only: write a number as dialled"),
        ("[access]\nsend = { uid = [1] }\n", "line 2: access.send.uid: unknown field"),
        ("[store]\nkey = { command = [\"cat\"] }\n", "line 2: store.key: a command begins with an absolute path"),
        ("[cloud]\ndomain = \"im.example.org\"\n", "line 1: cloud.servers: missing"),
        ("colour = \"blue\"\n", "line 1: colour: unknown field"),
        ("[log\n", "line 1: "),
    ];
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("50-mine.toml");
    for (text, expected) in cases {
        fs::write(&file, text).unwrap();
        let message = Config::load(shipped(), dir.path(), &[]).unwrap_err().to_string();
        assert!(message.starts_with(&format!("{}, {expected}", file.display())), "{text:?} gave: {message}");
    }
}

#[test]
fn error_in_the_whole_names_the_file_that_said_it_last() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("1.toml"), CLOUD).unwrap();
    fs::write(dir.path().join("2.toml"), "[cloud]\n\nservers = [\"nowhere\"]\n").unwrap();
    let message = Config::load(shipped(), dir.path(), &[]).unwrap_err().to_string();
    assert!(message.contains("2.toml, line 3: cloud.servers: each is"), "{message}");
}

#[test]
fn cloud_addresses_are_checked() {
    let with = |key: &str, value: &str| {
        let lines: Vec<String> = CLOUD
            .lines()
            .map(|line| if line.starts_with(key) { format!("{key} = {value}") } else { line.to_owned() })
            .collect();
        Config::parse(&lines.join("\n"))
    };
    assert!(with("directory", "\"http://d.example.org\"").is_err());
    assert!(with("directory", "\"https://d.example.org/path\"").is_err());
    assert!(with("directory", "\"https://user@d.example.org\"").is_err());
    assert!(with("directory", "\"https://[::1]:8443\"").is_ok());
    assert!(with("directory", "\"https://127.0.0.1:8443/\"").is_ok());
    assert!(with("servers", "[\"[::1]:5222\", \"127.0.0.1:5222\"]").is_ok());
    assert!(with("servers", "[\"::1:5222\"]").is_err());
    assert!(with("servers", "[\"host:0\"]").is_err());
    assert!(with("servers", "[\"host:65536\"]").is_err());
    assert!(with("domain", "\"Example.org\"").is_err());
    assert!(with("ca", "\"ca.pem\"").is_err());
}

#[test]
fn a_second_evaluator_that_is_pinned_has_an_address_and_a_ca() {
    let key = "A".repeat(43);
    let epoch = format!(
        "[[cloud.epochs]]\nepoch = \"a\"\nvoprf = \"{key}=\"\nsecond = \"{key}=\"\n\
         certificate = \"{key}=\"\nenrolment = \"{key}=\"\n"
    );
    let with = |second: &str| Config::parse(&format!("{CLOUD}{epoch}{second}"));
    let cloud =
        with("[cloud.second]\ndirectory = \"https://e.example.net\"\nca = \"/e.pem\"\n").unwrap().cloud.unwrap();
    assert_eq!(crate::seal::EpochKey::from(&cloud.epochs[0]).evaluators().count(), 2);
    for wrong in [
        "",
        "[cloud.second]\ndirectory = \"http://e.example.net\"\nca = \"/e.pem\"\n",
        "[cloud.second]\ndirectory = \"https://e.example.net\"\nca = \"e.pem\"\n",
        "[cloud.second]\ndirectory = \"https://e.example.net\"\n",
    ] {
        let message = with(wrong).unwrap_err().to_string();
        assert!(message.contains("cloud.second"), "{message}");
    }
}

#[test]
fn an_epoch_is_a_letter_and_four_are_pinned_at_most() {
    let key = "A".repeat(43);
    let pins = |epochs: &str| {
        let pin = |epoch: char| {
            format!(
                "[[cloud.epochs]]\nepoch = \"{epoch}\"\nvoprf = \"{key}=\"\n\
                 certificate = \"{key}=\"\nenrolment = \"{key}=\"\n"
            )
        };
        let pins: String = epochs.chars().map(pin).collect();
        Config::parse(&format!("{CLOUD}{pins}")).map_err(|error| error.to_string())
    };
    assert!(pins("azbc").is_ok());
    for (wrong, why) in [("0", "a to z"), ("A", "a to z"), ("é", "a to z"), ("aa", "twice"), ("abcde", "four at most")]
    {
        let message = pins(wrong).unwrap_err();
        assert!(message.contains(why), "{wrong}: {message}");
    }
}

#[test]
fn unreadable_files_are_errors_and_absent_ones_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let absent = dir.path().join("absent.toml");
    assert_eq!(Config::load(&absent, &dir.path().join("none"), &[]).unwrap(), Config::default());
    assert!(matches!(
        Config::load(&absent, &absent, std::slice::from_ref(&absent)),
        Err(ConfigError::Unreadable { .. })
    ));
    fs::create_dir(dir.path().join("x.toml")).unwrap();
    assert!(matches!(Config::load(shipped(), dir.path(), &[]), Err(ConfigError::Unreadable { .. })));
    fs::remove_dir(dir.path().join("x.toml")).unwrap();
    fs::write(dir.path().join("x.toml"), [0xff, 0xfe]).unwrap();
    assert!(matches!(Config::load(shipped(), dir.path(), &[]), Err(ConfigError::Unreadable { .. })));
}

#[test]
fn sms_only_takes_exact_numbers_and_beginnings() {
    let config = Config::parse("[route]\nsms_only = [\"+4933311\", \"0800*\", \"*21#\"]").unwrap();
    let listed = |number: &str| config.route.sms_only.iter().any(|entry| entry.matches(number));
    assert!(listed("+4933311") && !listed("+493331"), "exact");
    assert!(!listed("+49333112") && listed("0800123") && listed("0800"), "beginning");
    assert!(listed("*21#"));
    assert!(Config::parse("[route]\nsms_only = [\"*\"]").is_err(), "everything is not a number");
    assert!(!format!("{config:?}").contains("33311"), "numbers are not printed");
}

proptest::proptest! {
    #[test]
    fn no_text_panics_or_is_taken_with_a_switch_in_it(text in "[a-z\\[\\]{}=\".,0-9 \n#_E-]{0,200}") {
        let _ = Config::parse(&text);
        let with = format!("{text}\n[log]\nenabled = true\n");
        proptest::prop_assert!(Config::parse(&with).is_err());
    }
}
