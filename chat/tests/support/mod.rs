//! Members that are real WebSocket clients, of a server in this process.

#![allow(dead_code, reason = "each test file takes what it needs")]
#![allow(clippy::unwrap_used, reason = "the lint spares only what is marked as a test itself")]

use std::time::Duration;

use chat::{Chat, Limits, Network};
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::time::timeout;
use wsweave::{Client, Config, Connection, ConnectionExt, Finish, Message, Origins};

/// How long anything may take before a test has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// Tests say more in a second than people do, and wait longer.
pub(crate) fn limits() -> Limits {
    Limits { rate: 10_000, loading: PATIENCE, ..Limits::default() }
}

pub(crate) async fn start(limits: Limits) -> Chat {
    Chat::start("127.0.0.1:0", Origins::same_host(), limits).await.unwrap()
}

/// A node of a network.
pub(crate) async fn start_among(limits: Limits, address: &str) -> Chat {
    let network = Network::new(address).unwrap();
    let origins = Origins::same_host();
    within(Chat::start_among("127.0.0.1:0", origins, limits, &network)).await.unwrap()
}

pub(crate) fn url(chat: &Chat) -> String {
    format!("ws://{}/ws", chat.addrs()[0])
}

pub(crate) async fn within<T>(work: impl Future<Output = T>) -> T {
    timeout(PATIENCE, work).await.expect("it takes too long")
}

pub(crate) struct Member {
    pub(crate) conn: Connection,
}

impl Member {
    /// A connection that has said nothing yet.
    pub(crate) async fn connect(url: &str) -> Self {
        Self::connect_with(url, Config::default()).await
    }

    pub(crate) async fn connect_with(url: &str, config: Config) -> Self {
        let client = Client::new(url).unwrap().no_proxy().config(config);
        Self { conn: within(client.connect()).await.unwrap() }
    }

    /// One that has said hello.
    pub(crate) async fn named(url: &str, name: &str) -> Self {
        let mut member = Self::connect(url).await;
        member.tell(json!({"type": "hello", "version": 1, "name": name})).await;
        assert_eq!(member.hear().await["type"], "welcome");
        member
    }

    /// One that is in a room.
    pub(crate) async fn in_room(url: &str, name: &str, room: &str) -> Self {
        let mut member = Self::named(url, name).await;
        member.join(room, None).await;
        member
    }

    /// Enters a room; returns what is said to that.
    pub(crate) async fn join(&mut self, room: &str, after: Option<&str>) -> Value {
        self.tell(json!({"type": "join", "room": room, "after": after})).await;
        let mut joined = self.hear().await;
        // It may be in another room already.
        while joined["type"] == "network" {
            joined = self.hear().await;
        }
        assert_eq!(joined["type"], "joined", "{joined}");
        joined
    }

    pub(crate) async fn say(&mut self, room: &str, text: &str) {
        self.tell(json!({"type": "say", "room": room, "text": text})).await;
    }

    pub(crate) async fn tell(&mut self, request: Value) {
        self.send(request.to_string()).await;
    }

    pub(crate) async fn send(&mut self, message: impl Into<Message>) {
        within(self.conn.send(message.into())).await.unwrap();
    }

    pub(crate) async fn hear(&mut self) -> Value {
        let message = within(self.conn.next()).await;
        let message = message.unwrap_or_else(|| panic!("it ended: {:?}", self.conn.finish()));
        serde_json::from_str(message.as_text().unwrap()).unwrap()
    }

    /// The next message of the room, after perhaps some news of who is there, and of other nodes.
    pub(crate) async fn message(&mut self) -> Value {
        loop {
            let event = self.hear().await;
            if event["type"] != "presence" && event["type"] != "network" {
                assert_eq!(event["type"], "message", "{event}");
                return event;
            }
        }
    }

    /// The next messages' texts.
    pub(crate) async fn texts(&mut self, count: usize) -> Vec<String> {
        let mut texts = Vec::new();
        while texts.len() < count {
            texts.push(self.message().await["text"].as_str().unwrap().to_owned());
        }
        texts
    }

    /// The code of the error that comes next.
    pub(crate) async fn error(&mut self) -> String {
        let event = self.hear().await;
        assert_eq!(event["type"], "error", "{event}");
        event["code"].as_str().unwrap().to_owned()
    }

    /// Tells whether it is still served, and that nothing else is to be heard.
    pub(crate) async fn hears_nothing(&mut self) {
        self.tell(json!({"type": "ping"})).await;
        assert_eq!(self.hear().await, json!({"type": "pong"}));
    }

    pub(crate) async fn close(mut self) {
        within(self.conn.close()).await.unwrap();
    }

    /// Waits for the connection's end.
    pub(crate) async fn end(mut self) -> Finish {
        within(async {
            while self.conn.next().await.is_some() {}
            self.conn.finish().unwrap().clone()
        })
        .await
    }
}

/// The texts of a history.
pub(crate) fn texts(joined: &Value) -> Vec<&str> {
    joined["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|said| said["text"].as_str().unwrap())
        .collect()
}
