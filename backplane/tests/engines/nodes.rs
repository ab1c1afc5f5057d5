//! Nodes as processes.

use std::collections::HashMap;

use crate::{
    on_each_engine,
    support::{Engine, Node, Server},
};

on_each_engine! {
    messages_reach_all_nodes_once_and_in_order,
    a_node_that_is_killed_is_missed_by_presence_alone,
    what_is_lost_with_the_broker_is_counted,
    a_node_that_joins_late_gets_what_comes_from_then_on,
}

async fn messages_reach_all_nodes_once_and_in_order(engine: Engine) {
    let server = Server::start(engine).await;
    let mut nodes = three(&server, &[]).await;
    for node in &mut nodes {
        node.say("load news 1000").await;
    }
    finish(&mut nodes).await;
    let names = nodes.each_ref().map(|node| node.name.clone());
    for node in &mut nodes {
        let numbers = numbers(&node.messages_until("news end").await);
        for name in &names {
            assert_eq!(numbers[name], (0..1000).collect::<Vec<_>>(), "{name} at {}", node.name);
        }
        assert!(node.ask("stats", "stats").await.contains("gaps: 0"));
    }
}

async fn a_node_that_is_killed_is_missed_by_presence_alone(engine: Engine) {
    let server = Server::start(engine).await;
    let mut nodes = three(&server, &["--heartbeat", "200"]).await;
    for node in &mut nodes {
        node.hear("event presence news 3").await;
    }
    let [mut one, mut two, three] = nodes;
    let name = three.name.clone();
    three.kill().await;
    for node in [&mut one, &mut two] {
        node.hear(&format!("event node-left {name}")).await;
        node.hear("event presence news 2").await;
        assert_eq!(node.ask("nodes", "nodes ").await, "1");
    }
    one.say("publish news still here").await;
    assert_eq!(two.messages_until("news still here").await, [""; 0]);
}

async fn what_is_lost_with_the_broker_is_counted(engine: Engine) {
    const COUNT: usize = 5_000;
    let mut server = Server::start(engine).await;
    let mut nodes = three(&server, &["--heartbeat", "300"]).await;
    for node in &mut nodes {
        node.say(&format!("load news {COUNT}")).await;
    }
    nodes[0].wait_for_messages(1_000).await;
    server.kill().await;
    for node in &mut nodes {
        node.hear("event disconnected").await;
        assert!(node.ask("status", "status ").await.starts_with("Disconnected"));
    }
    server.restart().await;
    for node in &mut nodes {
        // What was sent while this one was back, and not yet the others, is lost to those.
        node.hear("event connected").await;
    }
    finish(&mut nodes).await;
    let names = nodes.each_ref().map(|node| node.name.clone());
    for node in &mut nodes {
        let numbers = numbers(&node.messages_until("news end").await);
        let mut received = 0;
        for name in &names {
            // There may be none: all may have been sent while only the other one was back.
            let numbers = numbers.get(name).map_or(&[][..], Vec::as_slice);
            assert!(numbers.is_sorted_by(|one, next| one < next), "{name} at {}", node.name);
            if *name == node.name {
                assert_eq!(numbers.len(), COUNT, "the local members go on among themselves");
            } else {
                received += numbers.len();
            }
        }
        let stats = node.ask("stats", "stats").await;
        let of = |what: &str| field(&stats, what);
        assert_eq!(received + of("missed"), 2 * COUNT, "{stats}");
        assert_eq!((of("unsent"), of("queued")), (0, 0), "{stats}");
    }
}

async fn a_node_that_joins_late_gets_what_comes_from_then_on(engine: Engine) {
    let server = Server::start(engine).await;
    let address = server.address();
    let mut early = Node::start(&[&address, "news"]).await;
    for number in 0..100 {
        early.say(&format!("publish news {number}")).await;
    }
    early.wait_for_messages(100).await;
    let mut late = Node::start(&[&address, "news"]).await;
    late.hear("event presence news 2").await;
    early.say("publish news now").await;
    assert_eq!(late.messages_until("news now").await, [""; 0]);
    assert!(late.ask("stats", "stats").await.contains("gaps: 0"));
}

/// Three nodes with a member of `news` each, who have heard of each other.
async fn three(server: &Server, options: &[&str]) -> [Node; 3] {
    let address = server.address();
    let arguments: Vec<_> = options.iter().copied().chain([&*address, "news"]).collect();
    let mut nodes = [
        Node::start(&arguments).await,
        Node::start(&arguments).await,
        Node::start(&arguments).await,
    ];
    for node in &mut nodes {
        node.hear("joined news").await;
    }
    let (first, others) = nodes.split_first_mut().unwrap();
    // Each knows where the others begin.
    for (index, node) in others.iter_mut().chain([first]).enumerate() {
        node.say(&format!("publish news hello {index}")).await;
    }
    for node in &mut nodes {
        node.wait_for_messages(3).await;
        node.messages.clear();
    }
    nodes
}

/// All say that they have published everything, and all have heard it.
async fn finish(nodes: &mut [Node; 3]) {
    for node in &mut *nodes {
        node.hear("loaded news").await;
    }
    for node in &mut *nodes {
        node.say(&format!("publish news {} ends", node.name)).await;
    }
    let ends = nodes.each_ref().map(|node| format!("news {} ends", node.name));
    for node in nodes {
        node.wait_for_all(&ends).await;
        node.messages.retain(|message| !ends.contains(message));
        node.messages.push("news end".into());
    }
}

/// What was received of each node.
fn numbers(messages: &[String]) -> HashMap<String, Vec<usize>> {
    let mut numbers = HashMap::<_, Vec<_>>::new();
    for message in messages {
        let (name, number) = message.strip_prefix("news ").unwrap().split_once('-').unwrap();
        numbers.entry(name.to_owned()).or_default().push(number.parse().unwrap());
    }
    numbers
}

/// A number in the statistics, as they are printed.
fn field(stats: &str, name: &str) -> usize {
    let (_, rest) = stats.split_once(&format!(" {name}: ")).unwrap();
    rest[..rest.find(|digit: char| !digit.is_ascii_digit()).unwrap()].parse().unwrap()
}
