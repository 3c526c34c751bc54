//! shunt-directory: the cloud's directory service and its operator's commands.

fn main() -> std::process::ExitCode {
    shunt::directory::main()
}
