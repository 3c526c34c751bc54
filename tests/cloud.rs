//! The kit's cloud and network do what they say.

use shunt_kit::cloud::Cloud;
use shunt_kit::proxy::{Mode, Proxy};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

#[tokio::test]
async fn accounts_come_and_go_and_only_a_scram_verifier_is_kept_of_them_also_across_a_crash() {
    let mut cloud = Cloud::start().await.expect("a cloud");
    cloud.register("somebody", "a password of hers").await.expect("register");
    assert!(cloud.register("somebody", "another").await.is_err(), "the name is taken");
    cloud.register("left", "gone").await.expect("register");
    cloud.unregister("left").await.expect("unregister");

    cloud.stop().await.expect("stop");
    cloud.restart().await.expect("restart");
    cloud.crash().await.expect("crash");
    cloud.restart().await.expect("restart");

    let tables = cloud.stored().await.expect("tables");
    let passwd = tables.iter().find(|table| table.name == "passwd").expect("passwd");
    assert!(passwd.on_disk);
    assert_eq!(passwd.rows.len(), 1, "{:?}", passwd.rows);
    assert!(passwd.rows[0].contains("somebody") && passwd.rows[0].contains("scram"), "{:?}", passwd.rows);
    assert!(!cloud.files_containing(b"somebody").expect("files").is_empty(), "the look sees what is there");
    assert!(cloud.files_containing(b"a password of hers").expect("files").is_empty());
    assert_eq!(cloud.sessions().await.expect("sessions"), 0);
}

/// A server that sends back what it gets.
async fn echo() -> std::io::Result<std::net::SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let addr = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut read, mut write) = stream.split();
                tokio::io::copy(&mut read, &mut write).await
            });
        }
    });
    Ok(addr)
}

async fn says(stream: &mut TcpStream, text: &[u8]) -> std::io::Result<Vec<u8>> {
    stream.write_all(text).await?;
    let mut back = vec![0; text.len()];
    stream.read_exact(&mut back).await?;
    Ok(back)
}

#[tokio::test]
async fn the_proxy_passes_stalls_swallows_refuses_and_cuts() {
    let mut proxy = Proxy::start(echo().await.expect("echo")).expect("proxy");
    let mut first = TcpStream::connect(proxy.addr()).await.expect("connect");
    assert_eq!(says(&mut first, b"one").await.expect("echo"), b"one");

    proxy.set(Mode::Stall).await.expect("set");
    first.write_all(b"two").await.expect("write");
    proxy.set(Mode::Pass).await.expect("set");
    let mut back = [0; 3];
    first.read_exact(&mut back).await.expect("nothing is lost in a stall");
    assert_eq!(&back, b"two");

    proxy.set(Mode::Refuse).await.expect("set");
    assert!(TcpStream::connect(proxy.addr()).await.is_err());
    assert_eq!(says(&mut first, b"three").await.expect("open ones go on"), b"three");

    proxy.set(Mode::BlackHole).await.expect("set");
    let before = proxy.bytes_up();
    first.write_all(b"four").await.expect("the sender notices nothing");
    let mut second = TcpStream::connect(proxy.addr()).await.expect("accepted into the hole");
    second.write_all(b"five").await.expect("the sender notices nothing");
    proxy.until_bytes_up(before + 8).await;
    assert_eq!(proxy.connections(), 2);
    proxy.set(Mode::Pass).await.expect("set");
    for stream in [&mut first, &mut second] {
        let end = stream.read(&mut back).await.expect_err("a stream with bytes missing is reset");
        assert_eq!(end.kind(), std::io::ErrorKind::ConnectionReset);
    }

    let mut third = TcpStream::connect(proxy.addr()).await.expect("connect");
    assert_eq!(says(&mut third, b"six").await.expect("echo"), b"six");
    proxy.cut();
    let end = third.read(&mut back).await.expect_err("cut");
    assert_eq!(end.kind(), std::io::ErrorKind::ConnectionReset);
}
