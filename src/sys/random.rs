//! Random bytes from the kernel.

use rustix::{
    io::Errno,
    rand::{GetRandomFlags, getrandom},
};

/// Fills a buffer; waits until the kernel's pool is ready, once after boot.
///
/// # Errors
/// The kernel has no `getrandom`.
pub fn fill(buffer: &mut [u8]) -> std::io::Result<()> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match getrandom(rest, GetRandomFlags::empty()) {
            Ok(count) => filled = filled.saturating_add(count),
            Err(Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(())
}

/// An array of random bytes.
///
/// # Errors
/// As [`fill`].
pub fn random<const N: usize>() -> std::io::Result<[u8; N]> {
    let mut bytes = [0; N];
    fill(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_draws_differ_and_long_buffers_are_filled() {
        assert_ne!(random::<16>().unwrap(), random::<16>().unwrap());
        let mut long = vec![0; 4096];
        fill(&mut long).unwrap();
        assert!(long.chunks(64).all(|chunk| chunk.iter().any(|byte| *byte != 0)));
    }
}
