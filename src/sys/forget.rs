//! For a process that is shown what it must not keep: freed memory is wiped, no dump is written.

use std::alloc::{GlobalAlloc, Layout, System};
use std::io;

/// The system's allocator, wiping each block before it is given back: libraries leave copies of what
/// they parse and format in blocks that nobody clears.
#[derive(Debug)]
pub struct Wiping;

// SAFETY: all is handed to `System`; before that a block is only written within its own length. The
// default `realloc` moves by these two, so that the old block is wiped as well.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Wiping {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are `System`'s conditions.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are `System`'s conditions.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the block has this layout, is the caller's to write, and is used by nobody else.
        // explicit_bzero(3) is never optimised away.
        unsafe {
            libc::explicit_bzero(block.cast(), layout.size());
            System.dealloc(block, layout);
        }
    }
}

/// Overwrites what earlier calls left on this thread's stack, as deep as ours go.
#[inline(never)]
#[allow(unsafe_code)]
pub fn wipe_stack() {
    let mut below = std::mem::MaybeUninit::<[u8; 128 * 1024]>::uninit();
    // SAFETY: the array is this frame's own, and is written within its length.
    unsafe { libc::explicit_bzero(below.as_mut_ptr().cast(), size_of_val(&below)) };
}

/// No core file, no ptrace by the same user, and, where the system lets us, no page in swap. Whether
/// memory could be locked.
pub fn keep_out_of_dumps_and_swap() -> io::Result<bool> {
    use rustix::mm::{MlockAllFlags, mlockall};
    use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    // With a limit, a later allocation beyond it would fail instead.
    let unlimited = getrlimit(Resource::Memlock).current.is_none() || rustix::process::geteuid().is_root();
    let flags = MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT;
    Ok(unlimited && mlockall(flags).is_ok())
}
