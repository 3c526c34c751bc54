//! What needs the kernel or the C library: processes and their confinement, the channel to the warden,
//! clocks, random bytes, memory. The only place with `unsafe`.

mod background;
mod clock;
pub mod confine;
pub mod control;
#[cfg(feature = "directory")]
pub mod forget;
mod heap;
mod inherit;
pub mod journal;
mod limits;
mod program;
mod random;
pub mod signals;
pub mod spawn;
mod unread;
pub mod users;
pub mod warden;

pub use background::go_to_background;
pub use clock::now;
pub use heap::give_back;
pub use inherit::{inherited_agents, inherited_control, inherited_listener, inherited_wall};
pub use limits::many_files;
pub use program::unmap_unused;
pub use random::{fill, random};
pub use unread::all_read;
