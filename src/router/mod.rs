//! The router layer.
