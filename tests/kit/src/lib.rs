//! The test kit.

pub mod cloud;
pub mod proxy;
