//! shunt-directory
fn main() {}
