//! A seccomp filter from rules: classic BPF, one builder for every architecture. Rules refuse what
//! they name; the rest passes. Refused calls get an error, so that a refusal can be shown and a
//! library falls back.

use libc::{SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO, sock_filter};

/// Instructions (linux/bpf_common.h), which libc has not for every target.
const BPF_LD: u32 = 0x00;
const BPF_ALU: u32 = 0x04;
const BPF_JMP: u32 = 0x05;
const BPF_RET: u32 = 0x06;
const BPF_W: u32 = 0x00;
const BPF_ABS: u32 = 0x20;
const BPF_AND: u32 = 0x50;
const BPF_JEQ: u32 = 0x10;
const BPF_JGE: u32 = 0x30;
const BPF_K: u32 = 0x00;

/// Offsets in `struct seccomp_data` (linux/seccomp.h): number, architecture, then after the
/// instruction pointer six arguments of 64 bits each.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;

/// A test of an argument's low 32 bits, the only ones the kernel looks at for an `int`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Test {
    /// Which argument, from 0.
    pub(super) argument: u32,
    /// Bits that count.
    pub(super) mask: u32,
    /// What they must be.
    pub(super) equals: u32,
}

/// A call that is refused, unless one of the tests holds. Several rules for one call must all let it pass.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    /// The call's number.
    pub(super) call: u32,
    /// The error it gets.
    pub(super) error: i32,
    /// What makes it pass; empty: nothing.
    pub(super) unless: Vec<Test>,
}

/// What the filter is for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Abi {
    /// `AUDIT_ARCH_*`; any other is a foreign ABI: refused.
    pub(super) architecture: u32,
    /// Numbers from here on are a foreign ABI under the same architecture (x32): refused.
    pub(super) foreign_from: u32,
    /// Numbers from here on, and below `private_from`, are calls newer than the rules: absent.
    pub(super) unknown_from: u32,
    /// Numbers from here on are the architecture's own again (32-bit arm).
    pub(super) private_from: u32,
}

/// The program. Fits in the kernel's 4096 instructions many times over.
pub(super) fn program(abi: Abi, rules: &[Rule]) -> Vec<sock_filter> {
    let mut code = vec![
        load(ARCHITECTURE),
        jump(BPF_JEQ, abi.architecture, 1, 0),
        refuse(libc::EPERM),
        load(NUMBER),
        jump(BPF_JGE, abi.foreign_from, 0, 1),
        refuse(libc::EPERM),
        jump(BPF_JGE, abi.private_from, 2, 0),
        jump(BPF_JGE, abi.unknown_from, 0, 1),
        refuse(libc::ENOSYS),
    ];
    // Those without tests leave the number loaded for the next.
    for rule in rules.iter().filter(|rule| rule.unless.is_empty()) {
        code.push(jump(BPF_JEQ, rule.call, 0, 1));
        code.push(refuse(rule.error));
    }
    for rule in rules.iter().filter(|rule| !rule.unless.is_empty()) {
        tested(&mut code, rule);
    }
    code.push(statement(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    code
}

fn tested(code: &mut Vec<sock_filter>, rule: &Rule) {
    code.push(load(NUMBER));
    // Each test is three instructions, the refusal one.
    let mut rest = u8::try_from(rule.unless.len() * 3 + 1).unwrap_or(u8::MAX);
    code.push(jump(BPF_JEQ, rule.call, 0, rest));
    for test in &rule.unless {
        rest = rest.saturating_sub(3);
        code.push(load(ARGUMENTS + 8 * test.argument + LOW_WORD));
        code.push(statement(BPF_ALU | BPF_AND | BPF_K, test.mask));
        code.push(jump(BPF_JEQ, test.equals, rest, 0));
    }
    code.push(refuse(rule.error));
}

/// Where an argument's low 32 bits are.
const LOW_WORD: u32 = if cfg!(target_endian = "little") { 0 } else { 4 };

fn load(offset: u32) -> sock_filter {
    statement(BPF_LD | BPF_W | BPF_ABS, offset)
}

fn refuse(error: i32) -> sock_filter {
    statement(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error.unsigned_abs())
}

fn statement(code: u32, k: u32) -> sock_filter {
    instruction(code, 0, 0, k)
}

/// Skips `yes` instructions if the comparison holds, else `no`.
fn jump(comparison: u32, k: u32, yes: u8, no: u8) -> sock_filter {
    instruction(BPF_JMP | comparison | BPF_K, yes, no, k)
}

fn instruction(code: u32, jt: u8, jf: u8, k: u32) -> sock_filter {
    // All codes are below 256.
    sock_filter { code: u16::try_from(code).unwrap_or(u16::MAX), jt, jf, k }
}

/// What the kernel checks of a program before it takes it (net/core/filter.c, `bpf_check_classic`): each
/// jump ends inside, the last instruction returns. Beyond that: each instruction can be reached.
#[cfg(test)]
pub(super) fn validate(program: &[sock_filter]) -> Result<(), String> {
    let mut reached = vec![false; program.len()];
    let mut reach = |from: usize, to: usize| {
        *reached.get_mut(to).ok_or_else(|| format!("{from} leads out of the program"))? = true;
        Ok::<_, String>(())
    };
    if program.len() > 4096 {
        return Err("too long".into());
    }
    reach(0, 0)?;
    for (at, i) in program.iter().enumerate() {
        let code = u32::from(i.code);
        if code & 0x07 == BPF_JMP {
            reach(at, at + 1 + usize::from(i.jt))?;
            reach(at, at + 1 + usize::from(i.jf))?;
        } else if code != BPF_RET | BPF_K {
            reach(at, at + 1)?;
        }
    }
    reached.iter().position(|reached| !reached).map_or(Ok(()), |at| Err(format!("{at} is never reached")))
}

/// Runs a program as the kernel would.
#[cfg(test)]
pub(super) fn run(program: &[sock_filter], architecture: u32, call: u32, arguments: &[u64]) -> u32 {
    let (mut at, mut a) = (0, 0);
    loop {
        let i = program[at];
        let code = u32::from(i.code);
        at += 1;
        if code == BPF_LD | BPF_W | BPF_ABS {
            a = match i.k {
                NUMBER => call,
                ARCHITECTURE => architecture,
                offset => {
                    let argument = arguments.get(((offset - ARGUMENTS) / 8) as usize).copied().unwrap_or(0);
                    assert_eq!((offset - ARGUMENTS) % 8, LOW_WORD);
                    (argument & 0xffff_ffff) as u32
                }
            };
        } else if code == BPF_ALU | BPF_AND | BPF_K {
            a &= i.k;
        } else if code == BPF_JMP | BPF_JEQ | BPF_K {
            at += usize::from(if a == i.k { i.jt } else { i.jf });
        } else if code == BPF_JMP | BPF_JGE | BPF_K {
            at += usize::from(if a >= i.k { i.jt } else { i.jf });
        } else {
            assert_eq!(code, BPF_RET | BPF_K);
            return i.k;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABI: Abi = Abi { architecture: 7, foreign_from: 0x4000_0000, unknown_from: 100, private_from: 0x000f_0000 };
    const REFUSED: u32 = SECCOMP_RET_ERRNO | 1;
    const ABSENT: u32 = SECCOMP_RET_ERRNO | 38;

    fn unless(argument: u32, mask: u32, equals: u32) -> Test {
        Test { argument, mask, equals }
    }

    #[test]
    fn a_program_that_leads_out_of_itself_is_no_program() {
        let mut code = program(ABI, &[Rule { call: 9, error: 1, unless: vec![unless(0, !0, 1)] }]);
        validate(&code).unwrap();
        let end = code.pop().unwrap();
        assert!(validate(&code).unwrap_err().contains("out of"));
        code.extend([end, end]);
        assert!(validate(&code).unwrap_err().contains("never"));
    }

    #[test]
    fn foreign_and_unknown_calls_never_pass() {
        let program = program(ABI, &[]);
        assert_eq!(run(&program, 7, 5, &[]), SECCOMP_RET_ALLOW);
        assert_eq!(run(&program, 8, 5, &[]), REFUSED);
        assert_eq!(run(&program, 7, 0x4000_0005, &[]), REFUSED);
        assert_eq!(run(&program, 7, 100, &[]), ABSENT);
        assert_eq!(run(&program, 7, 0x000f_0005, &[]), SECCOMP_RET_ALLOW);
    }

    #[test]
    fn any_one_test_lets_a_call_pass_and_every_rule_must() {
        let rules = [
            Rule { call: 9, error: 1, unless: vec![unless(0, !0, 2), unless(0, !0, 10)] },
            Rule { call: 9, error: 1, unless: vec![unless(1, 0xf, 1)] },
            Rule { call: 8, error: 38, unless: vec![] },
        ];
        let program = program(ABI, &rules);
        let run = |call, arguments: &[u64]| run(&program, 7, call, arguments);
        assert_eq!(run(9, &[2, 0x801]), SECCOMP_RET_ALLOW);
        assert_eq!(run(9, &[10, 1]), SECCOMP_RET_ALLOW);
        assert_eq!(run(9, &[2, 3]), REFUSED);
        assert_eq!(run(9, &[1, 1]), REFUSED);
        assert_eq!(run(8, &[]), ABSENT);
        assert_eq!(run(10, &[1, 3]), SECCOMP_RET_ALLOW);
    }

    #[test]
    fn the_high_half_of_an_argument_can_not_hide_its_low_half() {
        let program = program(ABI, &[Rule { call: 9, error: 1, unless: vec![unless(0, !0, 1)] }]);
        assert_eq!(run(&program, 7, 9, &[0xdead_0000_0000_0002]), REFUSED);
        assert_eq!(run(&program, 7, 9, &[0xdead_0000_0000_0001]), SECCOMP_RET_ALLOW);
    }
}
