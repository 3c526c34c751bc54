//! A look into the server: its tables, and its files byte by byte.

use super::DOMAIN;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// One mnesia table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Its name, `passwd` say.
    pub name: String,
    /// Whether its rows reach the disk.
    pub on_disk: bool,
    /// Each row as an Erlang term.
    pub rows: Vec<String>,
}

/// Prints `T name storage` for each table and `R row` for each of its rows.
pub(super) fn script(node: &str) -> String {
    format!(
        "N = '{node}', \
         C = fun(M, F, A) -> case rpc:call(N, M, F, A) of \
               {{badrpc, W}} -> io:format(\"E ~p~n\", [W]), halt(1); V -> V end end, \
         [begin io:format(\"T ~s ~s~n\", [T, C(mnesia, table_info, [T, storage_type])]), \
           [io:format(\"R ~0p~n\", [R]) || R <- C(mnesia, dirty_select, [T, [{{'_', [], ['$_']}}]])] end \
          || T <- lists:delete(schema, C(mnesia, system_info, [local_tables]))], halt()."
    )
}

/// Has mnesia write its log out: it keeps the latest changes, a fresh account too, back for a while.
pub(super) fn write_out(node: &str) -> String {
    format!(
        "case rpc:call('{node}', mnesia, sync_log, []) of ok -> halt(0); W -> io:format(\"~p~n\", [W]), halt(1) end."
    )
}

/// Tells `mod_shunt` what its timer tells it each hour, and waits until it has done what it does then.
pub(super) fn an_hour_passes(node: &str) -> String {
    format!(
        "Call = fun(M, F, A) -> rpc:call('{node}', M, F, A) end, \
         P = Call(gen_mod, get_module_proc, [<<\"{DOMAIN}\">>, mod_shunt]), \
         hour = Call(erlang, send, [P, hour]), ok = Call(gen_server, call, [P, done]), halt(0)."
    )
}

/// Runs the asking node and reads its answer.
pub(super) async fn ask(mut command: Command) -> Result<Vec<Table>> {
    command.stdin(Stdio::null()).stderr(Stdio::inherit());
    let output = tokio::task::spawn_blocking(move || command.output()).await?.context("cannot start erl")?;
    let text = String::from_utf8(output.stdout)?;
    let mut tables: Vec<Table> = Vec::new();
    for line in text.lines() {
        match line.split_once(' ') {
            Some(("T", table)) => {
                let (name, storage) = table.split_once(' ').context("a table without a storage type")?;
                tables.push(Table { name: name.to_owned(), on_disk: storage != "ram_copies", rows: Vec::new() });
            }
            Some(("R", row)) => tables.last_mut().context("a row without a table")?.rows.push(row.to_owned()),
            _ => bail!("the server's node says: {line}"),
        }
    }
    if !output.status.success() || tables.is_empty() {
        bail!("the server's tables could not be read; is it running?");
    }
    Ok(tables)
}

/// Adds every file below `dir` that contains `needle`.
pub(super) fn files_containing(dir: &Path, needle: &[u8], found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            files_containing(&entry.path(), needle, found)?;
        } else if std::fs::read(entry.path())?.windows(needle.len()).any(|window| window == needle) {
            found.push(entry.path());
        }
    }
    Ok(())
}
