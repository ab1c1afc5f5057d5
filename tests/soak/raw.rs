//! Visitors over a bare socket, who write byte by byte what they like.

use std::{io, sync::LazyLock, time::Duration};

use flate2::{Compress, FlushCompress};
use futures::{AsyncRead, AsyncReadExt, AsyncWriteExt, future::join};
use rand::{RngExt, seq::IndexedRandom};
use smol::net::TcpStream;
use wsweave::{Message, Role};

use crate::{
    site::MAX_MESSAGE,
    support::{Frame, parse, request, rt},
    visit::{Outcome, Visit, expect},
};

/// A message in fragments, with pings between them, and a proper end.
pub(crate) async fn fragments(visit: &mut Visit) -> Outcome {
    let path = visit.echo_path();
    let mut stream = upgraded(visit, path, "").await?;
    for message in visit.messages() {
        let (first, rest) = match &message {
            Message::Text(text) => (Frame::text(""), text.as_bytes()),
            Message::Binary(bytes) => (Frame::binary(""), &bytes[..]),
        };
        let mut written = first.unfinished().to(Role::Server);
        let mut pings = 0;
        for part in rest.chunks(visit.rng.random_range(1..70_000).max(rest.len() / 9)) {
            written.extend(Frame::continuation(part).unfinished().to(Role::Server));
            if visit.one_in(3) {
                written.extend(Frame::ping("are you there?").to(Role::Server));
                pings += 1;
            }
        }
        written.extend(Frame::continuation("").to(Role::Server));
        let (mut reading, mut writing) = (stream.clone(), stream.clone());
        let answer = async {
            loop {
                let frame = read_frame(&mut reading).await?;
                match frame.opcode {
                    10 => pings -= 1,
                    // Keepalive's.
                    9 => {}
                    8 => return Err(io::Error::other("it ended before the answer")),
                    _ => return Ok((frame, pings)),
                }
            }
        };
        let (wrote, answer) = join(writing.write_all(&written), answer).await;
        wrote?;
        let (frame, pongs_left) = answer?;
        expect(pongs_left == 0, "a pong is missing")?;
        let answer = match &message {
            Message::Text(_) => String::from_utf8(frame.payload)?.into(),
            Message::Binary(_) => frame.payload.into(),
        };
        visit.check(&message, Some(answer))?;
    }
    stream.write_all(&Frame::close(1000, "").to(Role::Server)).await?;
    ends_with_code(visit, stream, 1000).await
}

pub(crate) async fn garbage(visit: &mut Visit) -> Outcome {
    let length = visit.rng.random_range(1..20_000);
    let mut garbage = visit.bytes(length);
    if visit.one_in(2) {
        garbage.splice(..0, *b"GET / HTTP/1.1\r\n");
    }
    let door = visit.door();
    let mut stream = TcpStream::connect(visit.site.impatient_doors[door].addr).await?;
    // The server may have had enough before the end.
    let _ = stream.write_all(&garbage).await;
    if visit.one_in(2) {
        read_to_end(&mut stream).await;
    }
    Ok(())
}

pub(crate) async fn half_handshake(visit: &mut Visit) -> Outcome {
    let door = visit.door();
    let mut stream = TcpStream::connect(visit.site.impatient_doors[door].addr).await?;
    let request = request("/loop");
    stream.write_all(visit.part(request.as_bytes())).await?;
    leave(visit, stream).await;
    Ok(())
}

pub(crate) async fn half_frame(visit: &mut Visit) -> Outcome {
    let path = &format!("{}?impatient", visit.echo_path());
    let mut stream = upgraded(visit, path, "").await?;
    let frame = Frame::binary(visit.message().as_bytes()).to(Role::Server);
    // On a busy machine the server may have had enough before the end.
    let _ = stream.write_all(visit.part(&frame)).await;
    leave(visit, stream).await;
    Ok(())
}

/// No message, no answer to a ping, nor to a Close.
pub(crate) async fn silence(visit: &mut Visit) -> Outcome {
    let path = &format!("{}?impatient", visit.echo_path());
    let stream = upgraded(visit, path, "").await?;
    leave(visit, stream).await;
    Ok(())
}

pub(crate) async fn reset(visit: &mut Visit) -> Outcome {
    let path = &format!("{}?impatient", visit.echo_path());
    let mut stream = upgraded(visit, path, "").await?;
    let (moment, messages) = (visit.moment(), visit.messages());
    let (mut reading, writing) = (stream.clone(), &mut stream);
    let talk = async {
        for message in messages {
            let frame = Frame::binary(message.as_bytes()).to(Role::Server);
            let _ = writing.write_all(&frame).await;
        }
    };
    rt::in_time(moment, join(talk, read_to_end(&mut reading))).await;
    rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO))?;
    Ok(())
}

pub(crate) async fn broken_rule(visit: &mut Visit) -> Outcome {
    let (frame, code) = match visit.rng.random_range(0..9) {
        0 => (Frame::text("reserved bits").with_rsv(3).to(Role::Server), 1002),
        1 => (Frame::new(5, "reserved opcode").to(Role::Server), 1002),
        2 => (Frame::text("not masked").encode(), 1002),
        3 => (Frame::continuation("of nothing").to(Role::Server), 1002),
        4 => (Frame::ping("in two").unfinished().to(Role::Server), 1002),
        5 => (Frame::ping([0; 126]).to(Role::Server), 1002),
        6 => (Frame::close(1005, "").to(Role::Server), 1002),
        7 => (Frame::text([0xc0]).to(Role::Server), 1007),
        _ => {
            let frame = Frame::binary("").keyed(Some([1, 2, 3, 4]));
            (frame.header(MAX_MESSAGE as u64 + 1), 1009)
        }
    };
    let path = visit.echo_path();
    let mut stream = upgraded(visit, path, "").await?;
    stream.write_all(&frame).await?;
    ends_with_code(visit, stream, code).await
}

/// Few bytes that inflate to more than the server takes.
pub(crate) async fn bomb(visit: &mut Visit) -> Outcome {
    static BOMB: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let mut bomb = Vec::with_capacity(MAX_MESSAGE / 100);
        let mut compress = Compress::new(flate2::Compression::best(), false);
        compress.compress_vec(&vec![0; 4 * MAX_MESSAGE], &mut bomb, FlushCompress::Sync).unwrap();
        bomb.truncate(bomb.len() - 4);
        Frame::binary(bomb).with_rsv(4).to(Role::Server)
    });
    let path = visit.echo_path();
    let offer = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
    let mut stream = upgraded(visit, path, offer).await?;
    stream.write_all(&BOMB).await?;
    ends_with_code(visit, stream, 1009).await
}

pub(crate) async fn never_reads(visit: &mut Visit) -> Outcome {
    let _stream = upgraded(visit, "/flood?impatient", "").await?;
    rt::sleep(Duration::from_millis(visit.rng.random_range(0..5_000))).await;
    Ok(())
}

pub(crate) async fn only_writes(visit: &mut Visit) -> Outcome {
    let path = &format!("{}?impatient", visit.echo_path());
    let mut stream = upgraded(visit, path, "").await?;
    let frame = Frame::binary(visit.bytes(100_000)).to(Role::Server);
    let limit = Duration::from_millis(visit.rng.random_range(0..5_000));
    rt::in_time(limit, async { while stream.write_all(&frame).await.is_ok() {} }).await;
    Ok(())
}

/// A socket whose request for this path, with these headers, was accepted.
async fn upgraded(visit: &Visit, path: &str, headers: &str) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(visit.site.doors[0].addr).await?;
    let request = request(path).replace("Host:", &format!("{headers}Host:"));
    stream.write_all(request.as_bytes()).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).await?;
        head.extend(byte);
    }
    let accepted = head.starts_with(b"HTTP/1.1 101 ");
    accepted.then_some(stream).ok_or_else(|| io::Error::other(String::from_utf8_lossy(&head)))
}

/// Goes at once, or when the server has had enough; now and then it says so to TCP only.
async fn leave(visit: &mut Visit, mut stream: TcpStream) {
    match ["go", "stay", "half"].choose(&mut visit.rng) {
        Some(&"stay") => {
            read_to_end(&mut stream).await;
        }
        Some(&"half") => {
            let _ = stream.shutdown(std::net::Shutdown::Write);
            read_to_end(&mut stream).await;
        }
        _ => {}
    }
}

/// The server says a Close with this code, and ends.
async fn ends_with_code(visit: &Visit, mut stream: TcpStream, code: u16) -> Outcome {
    let rest = read_to_end(&mut stream).await;
    let codes: Vec<_> = parse(&rest).0.iter().filter_map(Frame::close_code).collect();
    let said = codes == [code];
    expect(said || visit.site.is_closing(), format_args!("codes {codes:?} for {code}"))
}

async fn read_to_end(stream: &mut TcpStream) -> Vec<u8> {
    let mut read = Vec::new();
    let _ = stream.read_to_end(&mut read).await;
    read
}

/// Reads one frame of a server's, and no further.
async fn read_frame(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Frame> {
    let mut bytes = vec![0; 2];
    stream.read_exact(&mut bytes).await?;
    let extended = match bytes[1] {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    let mut header = vec![0; extended];
    stream.read_exact(&mut header).await?;
    let length = match extended {
        0 => usize::from(bytes[1]),
        _ => header.iter().fold(0, |length, &byte| length << 8 | usize::from(byte)),
    };
    bytes.extend(header);
    let start = bytes.len();
    bytes.resize(start + length, 0);
    stream.read_exact(&mut bytes[start..]).await?;
    Ok(parse(&bytes).0.remove(0))
}
