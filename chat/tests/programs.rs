//! The programs as they are started from a shell.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "the lint spares only what is marked as a test itself")]

mod support;

use std::process::{ExitStatus, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};
use wsweave::CloseCode;

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

#[tokio::test]
async fn a_crowd_counts_what_arrives() {
    let chat = start(limits()).await;
    let url = url(&chat);
    let options = ["--members", "50", "--rate", "100", "--seconds", "2", "--room-size", "20"];
    let output = crowd(&[&[&*url][..], &options].concat()).await;
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{printed}");
    // Of 50 members 40 are in rooms of 20 and 10 in one of 10, and each has said 4.
    let expected = "said 200, delivered 3600, lost 0, errors 0, connections lost 0";
    assert!(printed.contains(expected), "{printed}");
    assert!(printed.contains("50 of 50 members"), "{printed}");
    assert!(printed.contains("latency: p50 "), "{printed}");
}

#[tokio::test]
async fn a_crowd_says_what_was_lost() {
    let chat = start(chat::Limits { text: 8, ..limits() }).await;
    let url = url(&chat);
    let output = crowd(&[&url, "--members", "2", "--rate", "10", "--seconds", "1"]).await;
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{printed}");
    assert!(printed.contains("said 10, delivered 0, lost 20, errors 10"), "{printed}");
}

#[tokio::test]
async fn a_crowd_without_a_server_or_without_descriptors_says_so() {
    let output = crowd(&["ws://127.0.0.1:1/ws", "--members", "2"]).await;
    assert_eq!(output.status.code(), Some(2));
    let output = crowd(&["ws://127.0.0.1:1/ws", "--members", "1000000000000"]).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("open files"));
}
