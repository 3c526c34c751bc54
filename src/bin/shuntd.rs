//! shuntd
fn main() {}
