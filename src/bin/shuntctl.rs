//! The command line for testers and scripts.

fn main() -> std::process::ExitCode {
    shunt::ctl::main()
}
