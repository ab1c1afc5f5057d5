//! [`Node`]: the example `node`, driven by lines.

use std::{collections::VecDeque, path::PathBuf, process::Stdio};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::{Child, ChildStdin, Command},
    sync::mpsc,
};

use super::soon;

/// It is killed when this is dropped.
pub(crate) struct Node {
    pub(crate) name: String,
    process: Child,
    input: ChildStdin,
    output: mpsc::UnboundedReceiver<String>,
    /// What was read and not asked for.
    lines: VecDeque<String>,
    pub(crate) messages: Vec<String>,
}

impl Node {
    pub(crate) async fn start(arguments: &[&str]) -> Self {
        let mut process = Command::new(path())
            .args(arguments)
            .kill_on_drop(true)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the example `node` has to be built");
        let input = process.stdin.take().unwrap();
        let mut written = BufReader::new(process.stdout.take().unwrap()).lines();
        let (lines, output) = mpsc::unbounded_channel();
        // At once: a node that cannot write stands still.
        tokio::spawn(async move {
            while let Ok(Some(line)) = written.next_line().await {
                let _ = lines.send(line);
            }
        });
        let (lines, messages) = (VecDeque::new(), Vec::new());
        let mut node = Self { name: String::new(), process, input, output, lines, messages };
        node.name = node.hear("attached ").await;
        node
    }

    /// Waits for what it asks for to be heard.
    pub(crate) async fn ask(&mut self, command: &str, answer: &str) -> String {
        self.say(command).await;
        self.hear(answer).await
    }

    pub(crate) async fn say(&mut self, command: &str) {
        self.input.write_all(format!("{command}\n").as_bytes()).await.unwrap();
    }

    /// The rest of the first line that begins like this and was not heard before.
    pub(crate) async fn hear(&mut self, prefix: &str) -> String {
        if let Some(index) = self.lines.iter().position(|line| line.starts_with(prefix)) {
            let line = self.lines.remove(index).unwrap();
            return line[prefix.len()..].into();
        }
        loop {
            let line = self.read(prefix).await;
            if let Some(rest) = line.strip_prefix(prefix) {
                return rest.into();
            }
            if !line.starts_with("message ") {
                self.lines.push_back(line);
            }
        }
    }

    /// The messages that have come, until this one has, which is left out.
    pub(crate) async fn messages_until(&mut self, last: &str) -> Vec<String> {
        loop {
            let index = self.messages.iter().position(|message| message == last);
            if let Some(index) = index {
                let messages: Vec<_> = self.messages.drain(..=index).collect();
                return messages[..index].to_vec();
            }
            self.read_on(last).await;
        }
    }

    pub(crate) async fn wait_for_messages(&mut self, count: usize) {
        while self.messages.len() < count {
            self.read_on("a message").await;
        }
    }

    pub(crate) async fn wait_for_all(&mut self, messages: &[String]) {
        for message in messages {
            while !self.messages.contains(message) {
                self.read_on(message).await;
            }
        }
    }

    /// By signal 9.
    pub(crate) async fn kill(mut self) {
        self.process.kill().await.unwrap();
    }

    async fn read_on(&mut self, what: &str) {
        let line = self.read(what).await;
        if !line.starts_with("message ") {
            self.lines.push_back(line);
        }
    }

    async fn read(&mut self, what: &str) -> String {
        let what = format!("{what:?} of node {} (it said {:?})", self.name, self.lines);
        let line = soon(&what, self.output.recv()).await.expect("the node is there");
        if let Some(message) = line.strip_prefix("message ") {
            self.messages.push(message.into());
        }
        line
    }
}

/// Beside the directory of the tests.
fn path() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    tests.ancestors().nth(2).unwrap().join("examples/node")
}
