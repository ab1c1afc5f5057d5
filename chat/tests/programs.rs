//! The programs as they are started from a shell.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "the lint spares only what is marked as a test itself")]

mod support;

use std::{
    process::{ExitStatus, Output, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};
use wsweave::{CloseCode, ConnectionExt, Server, ServerHandle};

use crate::support::{Member, limits, start, texts, url, within};

struct Program {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    /// HOST:PORT
    addr: String,
}

impl Program {
    async fn start(addr: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_chat"))
            .args(["--listen", addr])
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = within(lines.next_line()).await.unwrap().unwrap();
        let addr =
            line.strip_prefix("listening on http://").unwrap().trim_end_matches('/').to_owned();
        Self { child, lines, addr }
    }

    fn url(&self) -> String {
        format!("ws://{}/ws", self.addr)
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id().unwrap()).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    }

    async fn end(mut self) -> (ExitStatus, Vec<String>) {
        let mut left = Vec::new();
        while let Some(line) = within(self.lines.next_line()).await.unwrap() {
            left.push(line);
        }
        (within(self.child.wait()).await.unwrap(), left)
    }
}

#[tokio::test]
async fn a_server_that_stops_sends_everybody_away_and_another_takes_its_place() {
    let server = Program::start("127.0.0.1:0").await;
    let addr = server.addr.clone();
    let mut ada = Member::in_room(&server.url(), "Ada", "lobby").await;
    let bob = Member::in_room(&server.url(), "Bob", "lobby").await;
    ada.tell(json!({"type": "say", "room": "lobby", "text": "hello", "key": "k1"})).await;
    let said = ada.message().await;
    server.signal(Signal::TERM);
    for member in [ada, bob] {
        let finish = member.end().await;
        assert_eq!((finish.code, finish.clean), (CloseCode::GOING_AWAY, true));
    }
    let (status, lines) = server.end().await;
    assert!(status.success());
    assert!(lines[0].starts_with("2 sent away; "), "{lines:?}");
    assert!(lines[0].ends_with(", 0 aborted"), "{lines:?}");

    let server = Program::start(&addr).await;
    let mut ada = Member::named(&server.url(), "Ada").await;
    let joined = ada.join("lobby", said["id"].as_str()).await;
    assert_eq!((texts(&joined).len(), &joined["resumed"]), (0, &json!(false)));
    ada.tell(json!({"type": "say", "room": "lobby", "text": "hello", "key": "k1"})).await;
    let again = ada.message().await;
    assert_eq!(again["key"], said["key"]);
    assert_ne!(again["id"], said["id"]);
}

#[tokio::test]
async fn a_server_that_is_killed_leaves_its_port() {
    let server = Program::start("127.0.0.1:0").await;
    let addr = server.addr.clone();
    let ada = Member::in_room(&server.url(), "Ada", "lobby").await;
    server.signal(Signal::KILL);
    assert_eq!(ada.end().await.code, CloseCode::ABNORMAL);
    assert!(!server.end().await.0.success());
    Member::in_room(&Program::start(&addr).await.url(), "Ada", "lobby").await;
}

#[tokio::test]
async fn wrong_options_are_explained() {
    for wrong in [&["--port", "1"][..], &["--origin", "*"], &["--listen"]] {
        let output = Command::new(env!("CARGO_BIN_EXE_chat")).args(wrong).output();
        let Output { status, stderr, .. } = within(output).await.unwrap();
        assert_eq!(status.code(), Some(2), "{wrong:?}");
        assert!(String::from_utf8_lossy(&stderr).contains("usage: chat"), "{wrong:?}");
    }
    let output = Command::new(env!("CARGO_BIN_EXE_chat")).args(["--listen", "nowhere"]).output();
    assert_eq!(within(output).await.unwrap().status.code(), Some(1));
}

async fn crowd(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crowd"));
    within(command.args(arguments).kill_on_drop(true).output()).await.unwrap()
}

/// What a crowd prints at its end, and its exit code.
async fn outcome(arguments: &[&str]) -> (Option<i32>, String) {
    let output = crowd(arguments).await;
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

/// A server that speaks the protocol, and answers what is said by what `answer` makes of it: how often that
/// is told. It is asked with how much was said before. Who is not even to join is not answered at all.
async fn answering(joins: bool, answer: fn(usize) -> usize) -> (ServerHandle, String) {
    let server = Server::new().bind("127.0.0.1:0").await.unwrap();
    let (handle, url) = (server.handle(), format!("ws://{}/ws", server.local_addrs()[0]));
    tokio::spawn(server.serve(move |conn| async move {
        let mut before = 0;
        conn.on_each(move |peer, message| {
            let mut event: Value = serde_json::from_str(message.as_text().unwrap()).unwrap();
            if event["type"] == "join" && joins {
                peer.send(json!({"type": "joined"}).to_string());
            } else if event["type"] == "say" {
                event["type"] = "message".into();
                (0..answer(before)).for_each(|_| peer.send(event.to_string()));
                before += 1;
            }
        })
        .run()
        .await;
        Ok::<(), wsweave::Error>(())
    }));
    (handle, url)
}

#[tokio::test]
async fn a_crowd_counts_what_arrives() {
    let chat = start(limits()).await;
    let url = url(&chat);
    let options = ["--members", "50", "--rate", "100", "--seconds", "2", "--room-size", "20"];
    let (code, printed) = outcome(&[&[&*url][..], &options].concat()).await;
    assert_eq!(code, Some(0), "{printed}");
    // Of 50 members 40 are in rooms of 20 and 10 in one of 10, and each has said 4.
    let expected = "said 200, delivered 3600, lost 0, duplicates 0, errors 0, connections lost 0, never made 0";
    assert!(printed.contains(expected), "{printed}");
    assert!(printed.contains("50 of 50 members"), "{printed}");
    assert!(printed.contains("latency: p50 "), "{printed}");
}

#[tokio::test]
async fn a_crowd_says_what_was_lost() {
    let chat = start(chat::Limits { text: 8, ..limits() }).await;
    let options = ["--members", "2", "--rate", "10", "--seconds", "1"];
    let (code, printed) = outcome(&[&[&*url(&chat)][..], &options].concat()).await;
    assert_eq!(code, Some(1), "{printed}");
    let expected = "said 10, delivered 0, lost 20, duplicates 0, errors 10";
    assert!(printed.contains(expected), "{printed}");
}

#[tokio::test]
async fn what_comes_twice_does_not_make_up_for_what_is_lost() {
    let options = ["--members", "1", "--rate", "10", "--seconds", "1"];
    let (_server, url) = answering(true, |before| [2, 1, 0, 1][before % 4]).await;
    let (code, printed) = outcome(&[&[&*url][..], &options].concat()).await;
    assert_eq!(code, Some(1), "{printed}");
    assert!(printed.contains("said 10, delivered 8, lost 2, duplicates 3,"), "{printed}");
    // Nor is it well in itself.
    let (_server, url) = answering(true, |before| 1 + before / 9).await;
    let (code, printed) = outcome(&[&[&*url][..], &options].concat()).await;
    assert_eq!(code, Some(1), "{printed}");
    assert!(printed.contains("said 10, delivered 10, lost 0, duplicates 1,"), "{printed}");
}

#[tokio::test]
async fn a_room_of_a_crowd_is_on_all_servers() {
    let (one, other) = (start(limits()).await, start(limits()).await);
    let options = ["--members", "4", "--rate", "8", "--seconds", "1"];
    let (code, printed) = outcome(&[&[&*url(&one), &*url(&other)][..], &options].concat()).await;
    // These two know nothing of each other: of four members two hear each message.
    assert_eq!(code, Some(1), "{printed}");
    assert!(printed.contains("said 8, delivered 16, lost 16, duplicates 0"), "{printed}");
}

#[tokio::test]
async fn a_crowd_that_is_cut_off_says_so_at_once() {
    let chat = start(limits()).await;
    let child = Command::new(env!("CARGO_BIN_EXE_crowd"))
        .args([&*url(&chat), "--members", "10", "--rate", "10", "--seconds", "600"])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn();
    let mut child = child.unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut line = async |part| loop {
        let line = lines.next_line().await.unwrap().unwrap();
        if line.contains(part) {
            return line;
        }
    };
    within(line("10 of 10 members")).await;
    chat.stop(Duration::ZERO).await;
    let report = within(line("connections lost")).await;
    assert!(report.ends_with("connections lost 10, never made 0"), "{report}");
    assert_eq!(within(child.wait()).await.unwrap().code(), Some(1));
}

#[tokio::test]
async fn a_crowd_goes_on_without_members_who_are_not_answered() {
    let chat = start(limits()).await;
    let (_server, deaf) = answering(false, |_| 0).await;
    let options = ["--members", "2", "--rate", "10", "--seconds", "1"];
    let (code, printed) = outcome(&[&[&*url(&chat), &*deaf][..], &options].concat()).await;
    assert_eq!(code, Some(1), "{printed}");
    let expected =
        "said 5, delivered 5, lost 0, duplicates 0, errors 0, connections lost 0, never made 1";
    assert!(printed.contains(expected), "{printed}");
}

#[tokio::test]
async fn a_crowd_without_a_server_or_without_descriptors_says_so() {
    let output = crowd(&["ws://127.0.0.1:1/ws", "--members", "2"]).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("could not join"));
    let output = crowd(&["ws://127.0.0.1:1/ws", "--members", "1000000000000"]).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("open files"));
}

#[tokio::test]
async fn a_crowd_explains_itself() {
    let url = "ws://127.0.0.1:1/ws";
    let output = crowd(&["--help"]).await;
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&output.stdout).contains("usage: crowd URL"));
    for wrong in [
        &[][..],
        &["--members", "10"],
        &[url, "--members", "0"],
        &[url, "--members"],
        &[url, "--rate", "-1"],
        &[url, "--seconds", "18446744073709551615"],
        &[url, "--bytes", "70000"],
        &[url, "--people", "10"],
    ] {
        let Output { status, stderr, .. } = crowd(wrong).await;
        assert_eq!(status.code(), Some(2), "{wrong:?}");
        assert!(String::from_utf8_lossy(&stderr).contains("usage: crowd"), "{wrong:?}");
    }
    assert_eq!(crowd(&[url, "ftp://127.0.0.1/"]).await.status.code(), Some(2));
}
