//! Reading what people type: separators, invisible marks, URI schemes, digits of other scripts.

/// More digits than an address field holds (3GPP TS 23.040 §9.1.2.5).
const MOST_DIGITS: usize = 20;

/// Longer than anything somebody would call a recipient, in characters.
const MOST_WRITTEN: usize = 128;

/// An address as read.
#[derive(PartialEq, Eq)]
pub(super) enum Written<'a> {
    /// Digits, after a `+` where `plus`; `local` if a URI said that it is valid in one place only.
    Number { plus: bool, digits: String, local: bool },
    /// Digits with `*` or `#`.
    Service(String),
    /// Something else with a letter or digit in it: a sender's name, as a rule.
    Name(&'a str),
    /// Nothing to send to.
    Nothing,
}

/// Reads an address. Full-width, Arabic-Indic (both kinds) and Devanagari digits count as the digits
/// they are: keyboards of those scripts type them, and no two of them look alike but differ in value.
pub(super) fn read(address: &str) -> Written<'_> {
    if address.chars().nth(MOST_WRITTEN).is_some() || address.chars().any(char::is_control) {
        return Written::Nothing;
    }
    let name = address.trim_matches(ignored);
    let (number, local) = without_scheme(name);
    let (mut plus, mut service, mut other) = (false, false, false);
    let mut digits = String::with_capacity(MOST_DIGITS);
    let mut rest = number.chars();
    while let Some(c) = rest.next() {
        match ascii(c) {
            '0'..='9' => digits.push(ascii(c)),
            '*' | '#' => {
                service = true;
                digits.push(ascii(c));
            }
            '+' if !plus && digits.is_empty() => plus = true,
            // "+49 (0)151…" is printed everywhere: the zero is for callers at home.
            '(' if plus && !digits.is_empty() && ["0)", "0）"].iter().any(|zero| rest.as_str().starts_with(zero)) => {
                let _zero_and_parenthesis = (rest.next(), rest.next());
            }
            c if ignored(c) => {}
            _ => other = true,
        }
    }
    match () {
        () if other => match name.starts_with(['+', '＋']) || !name.chars().any(char::is_alphanumeric) {
            true => Written::Nothing,
            false => Written::Name(name),
        },
        () if digits.is_empty() || digits.len() > MOST_DIGITS => Written::Nothing,
        () if service && plus => Written::Nothing,
        () if service => Written::Service(digits),
        () => Written::Number { plus, digits, local },
    }
}

/// Takes off `tel:`, `sms:` and `smsto:` with the parameters behind the number (RFC 3966, RFC 5724);
/// true if they say that the number is a local one.
fn without_scheme(address: &str) -> (&str, bool) {
    for scheme in ["tel:", "sms:", "smsto:"] {
        let Some((start, rest)) = address.split_at_checked(scheme.len()) else { continue };
        if start.eq_ignore_ascii_case(scheme) {
            let number = rest.trim_start_matches('/');
            let end = number.find([';', '?']).unwrap_or(number.len());
            let (number, parameters) = number.split_at(end);
            return (number, parameters.contains("phone-context") || parameters.contains("ext="));
        }
    }
    (address, false)
}

/// The ASCII character that another script's digit or sign stands for.
fn ascii(c: char) -> char {
    let zero = match c {
        '\u{0660}'..='\u{0669}' => 0x0660,
        '\u{06f0}'..='\u{06f9}' => 0x06f0,
        '\u{0966}'..='\u{096f}' => 0x0966,
        '\u{ff10}'..='\u{ff19}' => 0xff10,
        '\u{ff0b}' => return '+',
        '\u{ff0a}' => return '*',
        '\u{ff03}' => return '#',
        '\u{ff08}' => return '(',
        '\u{ff09}' => return ')',
        _ => return c,
    };
    u32::from(c).checked_sub(zero).and_then(|digit| char::from_digit(digit, 10)).unwrap_or(c)
}

/// Separators, and marks that copying out of a contact list or web page leaves behind.
fn ignored(c: char) -> bool {
    matches!(c,
        ' ' | '-' | '.' | '/' | '(' | ')' | '~' | '\u{a0}' | '\u{ad}' | '\u{ff08}' | '\u{ff09}' | '\u{ff0d}' | '\u{ff0e}'
        | '\u{2000}'..='\u{2015}' | '\u{202a}'..='\u{202f}' | '\u{205f}'..='\u{2069}' | '\u{2212}' | '\u{3000}' | '\u{feff}')
}
