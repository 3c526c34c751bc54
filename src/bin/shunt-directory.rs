//! shunt-directory: the cloud's directory service and its operator's commands.

/// What was freed is not read again: numbers pass through many hands here.
#[global_allocator]
static ALLOCATOR: shunt::sys::forget::Wiping = shunt::sys::forget::Wiping;

fn main() -> std::process::ExitCode {
    shunt::directory::main()
}
