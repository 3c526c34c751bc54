//! Stand-ins for core and uplink. The core takes its orders, a line each, from a socket that the
//! test listens on; the uplink takes them from the wall, through the core.

use crate::probe::probe;
use shunt::sys::{
    confine,
    control::Status,
    inherited_agents, inherited_wall,
    warden::{Event, WardenError, WardenHandle},
};
use std::{
    io::{BufRead, BufReader, Write},
    os::fd::AsFd,
    process::ExitCode,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader as AsyncReader, Lines},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    signal::unix::{SignalKind, signal},
};

/// What a started process finds: before anything else is opened.
fn inherited() -> String {
    let environment: Vec<String> = std::env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned()).collect();
    format!("fds={:?} env={environment:?} args={:?}", open_descriptors(), std::env::args().skip(1).collect::<Vec<_>>())
}

fn open_descriptors() -> Vec<i32> {
    #[allow(unsafe_code)]
    // SAFETY: asks for a flag of a number.
    (0..1024).filter(|number| unsafe { libc::fcntl(*number, libc::F_GETFD) } >= 0).collect()
}

/// The core: `shuntd-core SOCKET`.
pub(crate) fn core() -> ExitCode {
    let found = inherited();
    let Some(script) = std::env::args().nth(1) else {
        // Started by hand: says what the real one would.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _inside = runtime.enter();
        return match WardenHandle::inherited() {
            Ok(_) => ExitCode::SUCCESS,
            Err(_) => ExitCode::from(9),
        };
    };
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        let mut warden = Some(WardenHandle::inherited().unwrap());
        let lacks = confine::core(warden.as_ref().unwrap().descriptor());
        let (read, mut say) = UnixStream::connect(script).await.unwrap().into_split();
        let mut script = AsyncReader::new(read).lines();
        answer(&mut say, &format!("core {} {found} lacks={lacks:?}", std::process::id())).await;
        let mut terminate = signal(SignalKind::terminate()).unwrap();
        let mut ignore = false;
        let mut wall = None;
        loop {
            tokio::select! {
                event = next(warden.as_ref()) => match event {
                    Ok(Event::Died(status)) => answer(&mut say, &format!("died {}", shown(status))).await,
                    Ok(other) => answer(&mut say, &format!("event {other:?}")).await,
                    Err(e) => { answer(&mut say, &format!("warden {e}")).await; warden = None; }
                },
                _ = terminate.recv() => {
                    answer(&mut say, "sigterm").await;
                    if !ignore { return ExitCode::SUCCESS; }
                }
                line = script.next_line() => {
                    let Ok(Some(line)) = line else { return ExitCode::from(8) };
                    let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
                    let said = match word {
                        "exit" => return ExitCode::from(rest.parse::<u8>().unwrap()),
                        "close" => { warden = None; "closed".to_owned() }
                        "ignore" => { ignore = true; "ignoring".to_owned() }
                        "ready" => { warden.as_ref().unwrap().ready().unwrap(); "said".to_owned() }
                        "no-exec" => format!("{:?}", confine::core_no_exec().is_ok()),
                        "probe" => probe(rest),
                        "agents" => first_agent().unwrap_or_else(|e| e.to_string()),
                        "start" => match warden.as_ref().unwrap().start().await {
                            Ok(stream) => {
                                let mut new = Wall::new(stream);
                                let hello = new.ask("hello").await;
                                wall = Some(new);
                                hello
                            }
                            Err(WardenError::StartFailed(e)) => format!("start-failed {}", e.raw_os_error().unwrap()),
                            Err(e) => format!("start {e}"),
                        },
                        "stop" => {
                            wall = None;
                            warden.as_ref().unwrap().stop().await.unwrap();
                            "stopped".to_owned()
                        }
                        "uplink" => wall.as_mut().unwrap().ask(rest).await,
                        _ => panic!("{line}"),
                    };
                    answer(&mut say, &said).await;
                }
            }
        }
    })
}

/// What the first to connect to the agents' socket says.
fn first_agent() -> std::io::Result<String> {
    let Some(socket) = inherited_agents()? else { return Ok("no socket".to_owned()) };
    std::io::read_to_string(socket.accept()?.0)
}

async fn next(warden: Option<&WardenHandle>) -> Result<Event, WardenError> {
    match warden {
        Some(warden) => warden.event().await,
        None => std::future::pending().await,
    }
}

async fn answer(say: &mut OwnedWriteHalf, line: &str) {
    // A test that is over no longer listens.
    let _ = say.write_all(format!("{line}\n").as_bytes()).await;
}

fn shown(status: Status) -> String {
    match status {
        Status::Exited(code) => format!("exit {code}"),
        Status::Signal(signal) => format!("signal {signal}"),
    }
}

struct Wall {
    said: Lines<AsyncReader<OwnedReadHalf>>,
    say: OwnedWriteHalf,
}

impl Wall {
    fn new(stream: UnixStream) -> Self {
        let (read, say) = stream.into_split();
        Self { said: AsyncReader::new(read).lines(), say }
    }

    async fn ask(&mut self, line: &str) -> String {
        answer(&mut self.say, line).await;
        self.said.next_line().await.unwrap().unwrap_or_else(|| "uplink ended".to_owned())
    }
}

/// The uplink.
pub(crate) fn uplink() -> ExitCode {
    let found = inherited();
    let wall = inherited_wall().unwrap();
    wall.set_nonblocking(false).unwrap();
    let lacks = confine::uplink(wall.as_fd());
    let mut say = wall.try_clone().unwrap();
    for line in BufReader::new(wall).lines() {
        let line = line.unwrap();
        let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
        let said = match word {
            "hello" => format!("uplink {} {found} lacks={lacks:?}", std::process::id()),
            "probe" => probe(rest),
            "exit" => return ExitCode::from(rest.parse::<u8>().unwrap()),
            "hang" => {
                writeln!(say, "hanging").unwrap();
                loop {
                    std::thread::park();
                }
            }
            _ => panic!("{line}"),
        };
        writeln!(say, "{said}").unwrap();
    }
    ExitCode::SUCCESS
}
