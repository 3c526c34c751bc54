//! The uplink layer.
