//! shuntd-uplink
fn main() {}
