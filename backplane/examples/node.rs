//! One node of many: what is typed is published, what comes is printed.
//!
//!     cargo run -p wsweave-backplane --example node -- nats://127.0.0.1:4222 lobby
//!
//! Each line is a command: `join TOPIC`, `leave TOPIC`, `publish TOPIC TEXT`, `load TOPIC COUNT`,
//! `presence TOPIC`, `history TOPIC COUNT`, `nodes`, `stats`, `status`, `close`. Options before the
//! address: `--prefix WORD`, `--replay COUNT`, `--heartbeat MILLISECONDS`, `--timeout MILLISECONDS`,
//! `--max-queue BYTES`.

use std::{collections::HashMap, env, error::Error, time::Duration};

use futures::StreamExt;
use tokio::{
    io::{AsyncBufReadExt, BufReader, stdin},
    task::JoinHandle,
};
use wsweave::{Connection, ConnectionExt, Group, Membership, Message};
use wsweave_backplane::{Backplane, Broker, Event, Status};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (broker, topics) = arguments()?;
    let group = Group::new();
    let backplane = match Backplane::attach(&group, broker).await {
        Ok(backplane) => backplane,
        Err(error) => {
            println!("error {:?}: {error}", error.kind());
            return Err(error.into());
        }
    };
    println!("attached {}", backplane.node());
    tokio::spawn(print_events(backplane.clone()));
    let mut node = Node { group, backplane, members: HashMap::new() };
    for topic in topics {
        node.obey(&format!("join {topic}")).await?;
    }
    let mut lines = BufReader::new(stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        if let Err(error) = node.obey(&line).await {
            println!("error {error}");
        }
    }
    node.backplane.close().await;
    Ok(())
}

struct Node {
    group: Group,
    backplane: Backplane,
    members: HashMap<String, Member>,
}

/// A connection in this process, whose peer prints what it gets.
struct Member {
    _membership: Membership,
    tasks: [JoinHandle<()>; 2],
}

impl Node {
    async fn obey(&mut self, line: &str) -> Result<(), Box<dyn Error>> {
        let mut words = line.splitn(3, ' ');
        let command = words.next().unwrap_or_default();
        let (topic, rest) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let (backplane, name) = (&self.backplane, topic.to_owned());
        match command {
            "join" => {
                self.members.insert(name, Member::new(&self.group, topic)?);
                backplane.ready(topic).await?;
                println!("joined {topic}");
            }
            "leave" => {
                self.members.remove(topic);
                println!("left {topic}");
            }
            "publish" => {
                let delivered = backplane.publish(topic, rest)?;
                println!("published {delivered}");
            }
            "load" => {
                tokio::spawn(load(backplane.clone(), name, rest.parse()?));
            }
            "presence" => {
                let presence = backplane.presence(topic);
                println!("presence {topic} {} {}", presence.total, presence.local);
            }
            "history" => {
                for message in backplane.history(topic, rest.parse()?).await? {
                    println!("kept {topic} {}", text(&message));
                }
                println!("history {topic}");
            }
            "nodes" => println!("nodes {}", backplane.nodes().len()),
            "stats" => println!("stats {:?}", backplane.stats()),
            "status" => match backplane.status() {
                Status::Disconnected { error, .. } => println!("status Disconnected: {error}"),
                status => println!("status {status:?}"),
            },
            "close" => println!("closed {}", backplane.close().await),
            _ => println!("unknown {command}"),
        }
        Ok(())
    }
}

impl Member {
    fn new(group: &Group, topic: &str) -> Result<Self, wsweave::Error> {
        let (mut connection, mut peer) = Connection::pair();
        let membership = group.join(topic, &connection.handle())?;
        let name = topic.to_owned();
        let connection = tokio::spawn(async move {
            connection.run().await;
        });
        let peer = tokio::spawn(async move {
            while let Some(message) = peer.next().await {
                println!("message {name} {}", text(&message));
            }
        });
        Ok(Self { _membership: membership, tasks: [connection, peer] })
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// Publishes numbers, a few at a time: nobody is to be overrun.
async fn load(backplane: Backplane, topic: String, count: u64) {
    let mut pace = tokio::time::interval(Duration::from_millis(1));
    for number in 0..count {
        if number % 10 == 0 {
            pace.tick().await;
        }
        // What is not sent is an event.
        let _ = backplane.publish(&topic, format!("{}-{number}", backplane.node()));
    }
    println!("loaded {topic} {count}");
}

async fn print_events(backplane: Backplane) {
    let mut events = backplane.events();
    drop(backplane);
    while let Some(event) = events.next().await {
        match event {
            Event::Connected => println!("event connected"),
            Event::Disconnected(error) => println!("event disconnected {error}"),
            Event::Gap { topic, node, missed } => println!("event gap {topic} {node} {missed}"),
            Event::Unsent { topic, reason } => println!("event unsent {topic} {reason:?}"),
            Event::Invalid { topic, reason } => println!("event invalid {topic:?} {reason:?}"),
            Event::Presence { topic, total } => println!("event presence {topic} {total}"),
            Event::NodeJoined(node) => println!("event node-joined {node}"),
            Event::NodeLeft(node) => println!("event node-left {node}"),
            other => println!("event {other:?}"),
        }
    }
}

fn text(message: &Message) -> &str {
    message.as_text().unwrap_or("(bytes)")
}

fn arguments() -> Result<(Broker, Vec<String>), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let mut options = HashMap::new();
    let mut address = String::new();
    while let Some(argument) = arguments.next() {
        let Some(option) = argument.strip_prefix("--") else {
            address = argument;
            break;
        };
        options.insert(option.to_owned(), arguments.next().ok_or("an option without a value")?);
    }
    let is_redis = address.starts_with("redis:");
    let mut broker = if is_redis { Broker::redis(address) } else { Broker::nats(address) };
    for (option, value) in options {
        let number = value.parse();
        broker = match option.as_str() {
            "prefix" => broker.prefix(value),
            "replay" => broker.replay(value.parse()?, Duration::from_secs(3_600)),
            "heartbeat" => broker.heartbeat(Duration::from_millis(number?)),
            "timeout" => broker.timeout(Duration::from_millis(number?)),
            "max-queue" => broker.max_queue(value.parse()?),
            other => return Err(format!("unknown option --{other}").into()),
        };
    }
    Ok((broker, arguments.collect()))
}
