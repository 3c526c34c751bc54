//! An account file of anybody's making.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shunt::seal::AccountFile;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(account) = AccountFile::parse(bytes) {
        let text = account.to_json().unwrap();
        assert!(AccountFile::parse(text.as_bytes()).unwrap() == account, "what was taken is written and taken again");
    }
});
