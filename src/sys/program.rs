//! The program's own code and constants in memory.

use std::ffi::c_void;

/// elf(5), `PF_W`; not among Android's constants in libc.
const WRITABLE: u32 = 2;

/// Unmaps the pages of this program that were read from its file: what a start or a log-in ran once stays the
/// kernel's cache to drop, and is no more this process's memory. What runs next is mapped anew, 64 KiB a fault,
/// from that cache. Nothing is lost: only segments that can't be written are named.
#[allow(unsafe_code)]
pub fn unmap_unused() {
    // SAFETY: the callback has dl_iterate_phdr(3)'s type, and keeps nothing.
    unsafe { libc::dl_iterate_phdr(Some(unmap_program), std::ptr::null_mut()) };
}

/// Called for each object that is mapped; the program is the one with this function in it.
#[allow(unsafe_code)]
unsafe extern "C" fn unmap_program(info: *mut libc::dl_phdr_info, _size: usize, _data: *mut c_void) -> libc::c_int {
    // SAFETY: the linker's own record, valid while this call lasts, with `dlpi_phnum` headers behind the pointer.
    let (base, headers) = unsafe {
        let info = &*info;
        (info.dlpi_addr, std::slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum)))
    };
    let page = rustix::param::page_size();
    let loaded = headers.iter().filter(|header| header.p_type == libc::PT_LOAD).filter_map(|header| {
        let start = usize::try_from(base + header.p_vaddr).ok()?;
        Some((start..start + usize::try_from(header.p_memsz).ok()?, header.p_flags & WRITABLE == 0))
    });
    let here = unmap_program as *const () as usize;
    if !loaded.clone().any(|(segment, _)| segment.contains(&here)) {
        return 0;
    }
    for (segment, _) in loaded.filter(|(_, read_only)| *read_only) {
        let first = segment.start & !(page - 1);
        // SAFETY: whole pages of a private, read-only mapping of a file: they read the same again when touched
        // (madvise(2), MADV_DONTNEED). Refused, they stay.
        unsafe { libc::madvise(first as *mut c_void, segment.end - first, libc::MADV_DONTNEED) };
    }
    1
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hint::black_box;
    use std::io::{Read, Seek, SeekFrom};

    /// Read-only and touched by nobody else; large enough that no neighbour's fault maps its middle.
    static BLOCK: [u8; 1 << 20] = [7; 1 << 20];

    /// Whether the page of an address is mapped (proc_pid_pagemap(5), bit 63).
    fn is_mapped(address: *const u8) -> bool {
        let mut entry = [0; 8];
        let mut map = std::fs::File::open("/proc/self/pagemap").unwrap();
        map.seek(SeekFrom::Start((address as usize / rustix::param::page_size() * 8) as u64)).unwrap();
        map.read_exact(&mut entry).unwrap();
        u64::from_ne_bytes(entry) >> 63 == 1
    }

    #[test]
    fn what_is_not_used_is_mapped_no_more_and_reads_the_same_when_it_is() {
        let middle = black_box(&BLOCK).get(BLOCK.len() / 2).unwrap();
        assert_eq!(*black_box(middle), 7);
        assert!(is_mapped(middle));
        unmap_unused();
        assert!(!is_mapped(middle));
        assert_eq!(*black_box(middle), 7);
    }
}
