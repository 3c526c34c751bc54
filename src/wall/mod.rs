//! The wall between core and uplink: one socketpair, bounded and typed frames, a permit table.

mod message;

pub use message::{
    Bundle, Connect, Counters, DirectoryError, FetchError, FromUplink, LinkState, Offline, Opaque, Point, RequestId,
    Secret, ToUplink,
};
