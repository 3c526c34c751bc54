//! The C library's heap, told to give back what was needed once.

/// Blocks from here on are mapped by themselves and unmapped when they are freed.
#[cfg(target_env = "gnu")]
const MAPPED_FROM: libc::c_int = 128 * 1024;

/// To be called before the first thread. Evaluating a number takes 19 MiB for a moment. Of the first such block
/// glibc learns that large ones are common, and keeps the next for good, in an arena of its thread (mallopt(3),
/// `M_MMAP_THRESHOLD`): a set threshold is not learnt. musl and Android's allocator give back by themselves.
#[allow(unsafe_code)]
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    for (option, value) in [(libc::M_MMAP_THRESHOLD, MAPPED_FROM), (libc::M_ARENA_MAX, 1)] {
        // SAFETY: two numbers, before there is a thread; glibc's documented options. Refused (0), all stays as it was.
        let _taken = unsafe { libc::mallopt(option, value) };
    }
}
