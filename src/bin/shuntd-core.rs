//! shuntd-core
fn main() {}
