//! The modem layer.
