//! What a message bus says to those who expect one, on a connection that has none: gdbus and busctl
//! greet it before they call.

use zbus::interface;

/// Their only peer is us.
pub(in crate::bus) struct Hello;

#[interface(name = "org.freedesktop.DBus", introspection_docs = false)]
impl Hello {
    async fn hello(&self) -> &'static str {
        ":1.1"
    }

    async fn add_match(&self, _rule: &str) {}

    async fn remove_match(&self, _rule: &str) {}

    async fn get_name_owner(&self, _name: &str) -> &'static str {
        ":1.0"
    }

    async fn name_has_owner(&self, _name: &str) -> bool {
        true
    }
}
