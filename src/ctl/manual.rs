//! The man page: one page for all commands.

use clap::Command;
use clap_mangen::Man;
use std::io;

/// shuntctl(1) in roff.
pub(super) fn page(mut command: Command) -> io::Result<String> {
    command.build();
    let mut page = Vec::new();
    let man = Man::new(command.clone());
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    page.extend_from_slice(b".SH COMMANDS\n");
    commands(&command, &mut page)?;
    let status = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    page.extend_from_slice(b".SH EXIT STATUS\n");
    for line in status.lines().skip(1) {
        let (code, meaning) = line.trim().split_once(' ').unwrap_or((line, ""));
        page.extend_from_slice(format!(".TP\n{code}\n{}\n", meaning.trim().replace('-', "\\-")).as_bytes());
    }
    page.extend_from_slice(
        b".SH ENVIRONMENT\n.TP\nDBUS_SYSTEM_BUS_ADDRESS\nThe system bus, where it is not the usual one.\n",
    );
    Ok(String::from_utf8_lossy(&page).into_owned())
}

/// A subsection for each command, out of what would be a page of its own.
fn commands(of: &Command, page: &mut Vec<u8>) -> io::Result<()> {
    for command in of.get_subcommands().filter(|command| command.get_name() != "help") {
        let title = command.get_bin_name().unwrap_or(command.get_name()).to_owned();
        let mut part = Vec::new();
        let man = Man::new(command.clone());
        man.render_synopsis_section(&mut part)?;
        man.render_description_section(&mut part)?;
        man.render_options_section(&mut part)?;
        let part = String::from_utf8_lossy(&part)
            .replace(".SH SYNOPSIS", &format!(".SS {}", title.replace('-', "\\-")))
            .replace(".SH DESCRIPTION", ".PP")
            .replace(".SH OPTIONS", ".PP");
        page.extend_from_slice(part.as_bytes());
        commands(command, page)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::args::Cli;
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_man_page_tells_every_command_and_exit_status() {
        let page = page(Cli::command()).unwrap();
        for command in Cli::command().get_subcommands() {
            assert!(page.contains(&format!(".SS shuntctl {}", command.get_name())), "{}", command.get_name());
        }
        assert!(page.contains(".SS shuntctl peers policy"));
        assert!(
            page.contains(".TP\n6\nthe text\\*(Aqs outcome") || page.contains(".TP\n6\nthe text's outcome"),
            "{page}"
        );
        assert!(!page.contains("shuntctl\\-send(1)"), "there is one page only");
    }
}
