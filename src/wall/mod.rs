//! The wall between core and uplink: one socketpair, bounded and typed frames, a permit table.

mod channel;
mod frame;
mod message;
mod permit;

pub use channel::{Channel, Receiver, STUCK_AFTER, Sender};
pub use frame::{Decoder, HEADER, MAX_BODY, WallError, encode};
pub use message::{
    Bundle, Connect, Counters, DirectoryError, Errand, ErrandError, FetchError, FromUplink, LinkState, Offline, Opaque,
    Operator, Point, RequestId, Second, Secret, ToUplink, Visit,
};
pub use permit::{MAX_OUTSTANDING, Permit, UplinkPermit, Violation};
