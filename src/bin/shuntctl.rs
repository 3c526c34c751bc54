//! shuntctl
fn main() {}
