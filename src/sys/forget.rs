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

/// What one call of [`overwrite`] reaches.
const BLOCK: usize = 128 * 1024;

thread_local! {
    /// The lowest address of this thread's stack.
    static LOWEST: Option<usize> = lowest();
}

/// Empties this thread's stack below the caller, however deep earlier calls went: futures are large, and are moved by way
/// of it.
#[inline(never)]
#[allow(unsafe_code)]
pub fn wipe_stack() {
    let overwritten = overwrite(usize::MAX);
    let Ok(Some(lowest)) = LOWEST.try_with(|lowest| *lowest) else { return };
    // What is deeper than that is hardly ever written: the kernel takes those pages back, if there are any. Of those that
    // were just overwritten at most one: each costs a fault when it is next.
    let page = rustix::param::page_size();
    let (from, to) = (lowest.next_multiple_of(page), overwritten.next_multiple_of(page));
    let Some(length) = to.checked_sub(from) else { return };
    let emptied = [libc::MADV_DONTNEED_LOCKED, libc::MADV_DONTNEED].iter().any(|advice| {
        // SAFETY: whole pages of this thread's own stack, all of them half a block or more below the frames that are in
        // use (a page has 64 KiB at most): nobody reads them before they are written again (madvise(2)).
        let told = unsafe { libc::madvise(from as *mut libc::c_void, length, *advice) };
        // Of the main thread's stack not all is mapped: what is was emptied.
        told == 0 || io::Error::last_os_error().raw_os_error() == Some(libc::ENOMEM)
    });
    // Locked pages can be given back since Linux 5.18.
    if !emptied {
        overwrite(from);
    }
}

/// Overwrites a block of the stack below the caller, and further ones down to two blocks above `lowest`. The lowest address
/// that was overwritten.
#[inline(never)]
#[allow(unsafe_code)]
fn overwrite(lowest: usize) -> usize {
    let mut below = std::mem::MaybeUninit::<[u8; BLOCK]>::uninit();
    // SAFETY: the array is this frame's own, and is written within its length.
    unsafe { libc::explicit_bzero(below.as_mut_ptr().cast(), BLOCK) };
    let here = below.as_ptr() as usize;
    let reached = if lowest < here.saturating_sub(2 * BLOCK) { overwrite(lowest) } else { here };
    // Its frame is in use until here, so that the next one's is below it.
    std::hint::black_box(&below);
    reached
}

#[allow(unsafe_code)]
fn lowest() -> Option<usize> {
    let mut attributes = std::mem::MaybeUninit::<libc::pthread_attr_t>::uninit();
    let (mut lowest, mut size) = (std::ptr::null_mut(), 0);
    // SAFETY: `attributes` is read only if the first call, which initialises it, succeeded, and is destroyed once; the
    // others write to what is ours (pthread_getattr_np(3)).
    let told = unsafe {
        if libc::pthread_getattr_np(libc::pthread_self(), attributes.as_mut_ptr()) != 0 {
            return None;
        }
        let told = libc::pthread_attr_getstack(attributes.as_ptr(), &raw mut lowest, &raw mut size);
        libc::pthread_attr_destroy(attributes.as_mut_ptr());
        told
    };
    (told == 0).then_some(lowest as usize)
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::hint::black_box;
    use std::os::unix::fs::FileExt;

    const MARK: u64 = 0x6d61_726b_6d61_726b;

    /// Leaves a mark on the stack every so many bytes; where.
    #[inline(never)]
    fn leave_marks(depth: usize) -> Vec<usize> {
        let frame = black_box([MARK; 512]);
        let mut marks = if depth > 0 { leave_marks(depth - 1) } else { Vec::new() };
        marks.push(black_box(&frame).as_ptr() as usize);
        marks
    }

    fn are_there(marks: &[usize]) -> usize {
        let memory = std::fs::File::open("/proc/self/mem").unwrap();
        let read = |mark: &usize| {
            let mut word = [0; 8];
            memory.read_exact_at(&mut word, *mark as u64).unwrap();
            u64::from_ne_bytes(word) == MARK
        };
        marks.iter().filter(|mark| read(mark)).count()
    }

    /// On a thread of its own; the marks within what looking at them uses itself are left out.
    fn none_is_left_by(wipe: fn()) {
        let thread = std::thread::Builder::new().stack_size(4 << 20).spawn(move || {
            let mut marks = leave_marks(200);
            marks.truncate(190);
            assert!(marks[189] - marks[0] > 4 * BLOCK);
            assert_eq!(are_there(&marks), 190, "they are seen");
            wipe();
            assert_eq!(are_there(&marks), 0);
        });
        thread.unwrap().join().unwrap();
    }

    #[test]
    fn a_stack_is_wiped_however_deep_it_was() {
        none_is_left_by(wipe_stack);
    }

    #[test]
    fn it_is_where_the_kernel_takes_no_locked_page_back() {
        none_is_left_by(|| {
            overwrite(lowest().unwrap());
        });
    }
}
