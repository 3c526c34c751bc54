//! Which answer each AT command gets.

use super::Shared;
use super::state::{CAPACITY, State, place};
use crate::pdu::to_hex;

/// An answer, before it is put on the line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// `OK` alone.
    Done,
    /// Lines of data, then `OK`.
    Data(String),
    /// `ERROR`.
    Error,
    /// `+CME ERROR: n`.
    Equipment(u16),
    /// `+CMS ERROR: n`.
    Message(u16),
    /// The prompt for a PDU of so many octets.
    Prompt(usize),
}

/// SIM not inserted (3GPP TS 27.007 §9.2.1) and (3GPP TS 27.005 §3.2.5).
const NO_SIM: (u16, u16) = (10, 310);
/// No network service (3GPP TS 27.005 §3.2.5).
const NO_NETWORK: u16 = 331;
/// Invalid memory index (3GPP TS 27.005 §3.2.5).
const BAD_INDEX: u16 = 321;

/// Answers a whole command line: what follows `AT`, with `;` between extended commands.
pub(super) fn answer(shared: &Shared, line: &str) -> Answer {
    let mut lines = Vec::new();
    for command in split(line) {
        match one(shared, &command) {
            Answer::Done => {}
            Answer::Data(data) => lines.push(data),
            other => return other,
        }
    }
    if lines.is_empty() { Answer::Done } else { Answer::Data(lines.join("\r\n")) }
}

fn split(line: &str) -> Vec<String> {
    let mut out = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        quoted ^= c == '"';
        match out.last_mut() {
            Some(last) if c != ';' || quoted => last.push(c),
            _ => out.push(String::new()),
        }
    }
    out.retain(|c| !c.is_empty());
    out
}

fn one(shared: &Shared, command: &str) -> Answer {
    let name_ends = command[1..].find(['=', '?']).map_or(command.len(), |at| at + 1);
    let (name, rest) = command.split_at(name_ends);
    let mut state = shared.state();
    if state.sim_absent && NEEDS_SIM.contains(&name) {
        return if name.starts_with("+CM") || name == "+CPMS" {
            Answer::Message(NO_SIM.1)
        } else {
            Answer::Equipment(NO_SIM.0)
        };
    }
    match name {
        // How oFono's phonesim plugin asks whether a SIM is in; without an answer it takes it that one is.
        "+SIMSTATE" => data(format!("+SIMSTATE: {}", u8::from(!state.sim_absent))),
        "+CMGL" | "+CMGR" | "+CMGD" | "+CPMS" | "+CNMI" | "+CMGS" => messages(&mut state, name, rest),
        "+CREG" | "+CGREG" | "+CEREG" | "+COPS" => network(shared, &mut state, name, rest),
        _ => constant(shared, name, rest),
    }
}

const NEEDS_SIM: [&str; 11] =
    ["+CPIN", "+CRSM", "+CIMI", "+CNUM", "+CMGS", "+CMGL", "+CMGR", "+CMGD", "+CPMS", "+CLCK", "+CSCA"];

fn data(line: impl Into<String>) -> Answer {
    Answer::Data(line.into())
}

fn messages(state: &mut State, name: &str, rest: &str) -> Answer {
    let value = rest.strip_prefix('=').unwrap_or_default();
    match (name, rest) {
        ("+CNMI", "=?") => data("+CNMI: (0-2),(0-3),(0,2),(0-2),(0,1)"),
        ("+CNMI", "?") => data(format!("+CNMI: 2,{},0,{},0", state.announce.0, state.announce.1)),
        ("+CNMI", _) => {
            let field = |n: usize| value.split(',').nth(n).and_then(|v| v.trim().parse().ok()).unwrap_or(0);
            state.announce = (field(1), field(3));
            Answer::Done
        }
        ("+CPMS", "=?") => data(r#"+CPMS: ("ME","SM"),("ME","SM"),("ME","SM")"#),
        ("+CPMS", _) => {
            let used = state.storage.len();
            let slot = if rest == "?" { format!(r#""ME",{used},{CAPACITY}"#) } else { format!("{used},{CAPACITY}") };
            data(format!("+CPMS: {slot},{slot},{slot}"))
        }
        ("+CMGL", "=?") => data("+CMGL: (0-4)"),
        ("+CMGL", _) => {
            let wanted = value.parse().unwrap_or(4u8);
            let lines: Vec<String> = state
                .storage
                .iter_mut()
                .filter(|(_, s)| wanted == 4 || wanted == u8::from(s.read))
                .map(|(index, stored)| {
                    let was = u8::from(std::mem::replace(&mut stored.read, true));
                    format!("+CMGL: {index},{was},,{}\r\n{}", stored.pdu.length, stored.pdu.hex)
                })
                .collect();
            if lines.is_empty() { Answer::Done } else { data(lines.join("\r\n")) }
        }
        ("+CMGR", _) => match value.parse().ok().and_then(|i: u8| state.storage.get_mut(&i)) {
            Some(stored) => {
                let was = u8::from(std::mem::replace(&mut stored.read, true));
                data(format!("+CMGR: {was},,{}\r\n{}", stored.pdu.length, stored.pdu.hex))
            }
            None => Answer::Message(BAD_INDEX),
        },
        ("+CMGD", _) => {
            let gone = value.split(',').next().and_then(|i| i.parse().ok()).and_then(|i: u8| state.storage.remove(&i));
            if gone.is_some() { Answer::Done } else { Answer::Message(BAD_INDEX) }
        }
        _ if !state.registration.has_network() => Answer::Message(NO_NETWORK),
        _ => value.parse().map_or(Answer::Error, Answer::Prompt),
    }
}

fn network(shared: &Shared, state: &mut State, name: &str, rest: &str) -> Answer {
    let value = rest.strip_prefix('=').unwrap_or_default();
    if name == "+COPS" {
        return match (rest, value.strip_prefix("3,")) {
            ("?", _) if !state.registration.has_network() => data("+COPS: 0"),
            ("?", _) => {
                let home = state.registration == super::Registration::Home;
                let identity = &shared.identity;
                let code = if home { &identity.operator_code } else { &identity.roaming_code };
                let name = if home { identity.operator_name.as_str() } else { "Elsewhere" };
                let shown = if state.operator_format == 2 { code } else { name };
                data(format!("+COPS: 0,{},\"{shown}\",7", state.operator_format))
            }
            (_, Some(format)) => {
                state.operator_format = format.parse().unwrap_or(0);
                Answer::Done
            }
            ("=0" | "=0,0", _) => Answer::Done,
            _ => Answer::Error,
        };
    }
    let name = match name {
        "+CREG" => "+CREG",
        "+CGREG" => "+CGREG",
        _ => "+CEREG",
    };
    match rest {
        "=?" => data(format!("{name}: (0-2)")),
        "?" => {
            let mode = state.report_registration.get(name).copied().unwrap_or(0);
            data(format!("{name}: {mode},{}", place(name, state.registration, mode)))
        }
        _ => {
            state.report_registration.insert(name, value.parse().unwrap_or(0));
            Answer::Done
        }
    }
}

fn constant(shared: &Shared, name: &str, rest: &str) -> Answer {
    let sim = &shared.sim();
    match (name, rest) {
        ("+GCAP", _) => data("+GCAP: +CGSM,+DS,+ES"),
        ("+WS46", "=?") => data("+WS46: (12,22,25,28,29)"),
        ("+CSCS", "=?") => data(r#"+CSCS: ("IRA","UCS2","GSM")"#),
        ("+CSCS", "?") => data(r#"+CSCS: "GSM""#),
        ("+CGMI", _) => data("Emulated"),
        ("+CGMM", _) => data("Test Modem"),
        ("+CGMR", _) => data("1.0"),
        ("+CGSN", _) => data(&*sim.imei),
        ("I", _) => data("Emulated\r\nTest Modem\r\n1.0"),
        ("+CGDCONT", "=?") => data(r#"+CGDCONT: (1-11),"IP",,,(0-2),(0-3)"#),
        ("+CGDCONT", "?") => Answer::Done,
        ("+CFUN", "?") => data("+CFUN: 1"),
        ("+CPIN", "?") => data("+CPIN: READY"),
        ("+CRSM", _) => sim_file(sim, rest),
        ("+CIMI", _) => data(&*sim.imsi),
        ("+CNUM", _) if sim.tells_number => data(format!("+CNUM: ,\"{}\",145", sim.number)),
        ("+CNUM", _) => Answer::Done,
        ("+CLCK", "=?") => data(r#"+CLCK: ("SC","PS","FD")"#),
        ("+CLCK", _) => data("+CLCK: 0"),
        ("+CMGF", "=?") => data("+CMGF: (0)"),
        ("+CMGF", "?") => data("+CMGF: 0"),
        ("+CSQ", "") => data("+CSQ: 20,99"),
        ("+CBC", "") => data("+CBC: 0,80"),
        ("+CSMS", "=?") => data("+CSMS: (0)"),
        ("+CSMS", "=0") => data("+CSMS: 1,1,1"),
        ("+CSMS", "?") => data("+CSMS: 0,1,1,1"),
        ("+CSCA", "?") => data(format!("+CSCA: \"{}\",145", crate::smsc::Smsc::ADDRESS)),
        ("+CMGF", "=0") | ("+CMEE", "=1") | ("+CSCS", "=\"GSM\"") | ("+CFUN", "=1" | "=4") => Answer::Done,
        ("+CGATT", "=1") | ("+CGACT", "?") | ("+CNMA", _) | ("+CHUP", "") => Answer::Done,
        _ if !name.starts_with('+') => basic(name, rest),
        _ => Answer::Error,
    }
}

/// Basic commands (V.250): echo, result codes, dial, answer, hang up and their like.
fn basic(name: &str, rest: &str) -> Answer {
    let known = ["E", "V", "X", "&C", "A", "D", "H", "Q", "Z", "&F"];
    if rest.is_empty() && known.iter().any(|k| name.starts_with(k)) { Answer::Done } else { Answer::Error }
}

/// Commands on SIM files (3GPP TS 27.007 §8.18): +CRSM=COMMAND,FILE,…: what oFono asks first (192), a whole
/// file (176), a record (178).
fn sim_file(sim: &super::Identity, rest: &str) -> Answer {
    let mut fields = rest.trim_start_matches('=').split(',');
    let (command, file) = (fields.next().unwrap_or_default(), fields.next().unwrap_or_default());
    let Some((content, structure)) = file.parse().ok().and_then(|file: u16| elementary(sim, file)) else {
        return data("+CRSM: 106,130");
    };
    let content = match (command, structure) {
        ("192", _) => info(file.parse().unwrap_or_default(), content.len() / 2, structure),
        ("176", Structure::Transparent) | ("178", Structure::Record) => content,
        _ => return data("+CRSM: 111,0"),
    };
    data(format!("+CRSM: 144,0,\"{content}\""))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Structure {
    Transparent,
    /// Linear fixed, with one record.
    Record,
}

/// Files of the SIM (3GPP TS 31.102 §4.2).
fn elementary(sim: &super::Identity, file: u16) -> Option<(String, Structure)> {
    let content = match file {
        0x2FE2 => swapped(&format!("{:F<20}", sim.iccid)),
        0x6FAD => format!("0000000{}", sim.operator_code.len() - 3),
        0x6F46 => {
            let mut name = vec![0x00];
            name.extend(sim.operator_name.bytes());
            name.resize(17, 0xFF);
            to_hex(&name)
        }
        0x6FB7 if !sim.emergency.is_empty() => {
            let mut all: String = sim.emergency.iter().map(|n| swapped(&format!("{n:F<6}"))).collect();
            while all.len() < 30 {
                all.push('F');
            }
            all
        }
        0x6F40 if sim.tells_number => {
            let digits = sim.number.trim_start_matches('+');
            let number = swapped(&format!("{digits:F<20}"));
            return Some((format!("{:02X}91{number}FFFF", 1 + digits.len().div_ceil(2)), Structure::Record));
        }
        _ => return None,
    };
    Some((content, Structure::Transparent))
}

/// What a SIM says of a file (3GPP TS 51.011 §9.2.1).
fn info(file: u16, size: usize, structure: Structure) -> String {
    let (kind, record) = if structure == Structure::Record { (1, size) } else { (0, 0) };
    format!("0000{size:04X}{file:04X}04000000000102{kind:02X}{record:02X}")
}

/// Digits as a SIM keeps them: each pair the other way round.
fn swapped(digits: &str) -> String {
    digits.as_bytes().chunks(2).flat_map(|pair| pair.iter().rev().map(|d| char::from(*d))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_lines_split_at_semicolons_outside_quotes() {
        assert_eq!(split(r#"+COPS=3,2;+COPS?;+X=";""#), ["+COPS=3,2", "+COPS?", r#"+X=";""#]);
    }

    #[test]
    fn the_sim_keeps_digits_in_swapped_pairs() {
        assert_eq!(swapped("8949020000123456789F"), "989420000021436587F9");
    }
}
