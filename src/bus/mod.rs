//! The bus layer.
