//! More than one server, on real brokers: each test with NATS and with Redis.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "the lint spares only what is marked as a test itself")]

#[allow(dead_code, reason = "of use to the backplane's own tests")]
#[path = "../../backplane/tests/support/server.rs"]
mod server;
mod support;
#[allow(dead_code, reason = "of use to the backplane's own tests")]
#[path = "../../backplane/tests/support/way.rs"]
mod way;

use std::{
    collections::BTreeSet,
    process::{Output, Stdio},
    time::{Duration, Instant},
};

use chat::{Chat, DRAIN, Limits};
use futures::StreamExt;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines},
    net::{TcpListener, TcpStream},
    process::{Child, ChildStdout, Command},
};
use wsweave::{Connection, ConnectionExt, Group};
use wsweave_backplane::Backplane;

use crate::{
    server::{Engine, Server, free_port},
    support::{Member, limits, start_among, texts, url, within},
    way::Way,
};

/// Makes a test of each function, with each engine.
macro_rules! on_each_engine {
    ($($test:ident),* $(,)?) => {
        mod nats {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    super::$test(super::Engine::Nats).await;
                }
            )*
        }

        mod redis {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    super::$test(super::Engine::Redis).await;
                }
            )*
        }
    };
}

on_each_engine! {
    people_on_two_nodes_hear_each_other_once,
    who_is_there_is_known_at_all_nodes,
    one_name_is_one_person_on_all_nodes,
    a_node_that_comes_late_has_what_was_said_last,
    people_of_a_node_that_is_killed_leave,
    without_a_broker_people_go_on_at_their_node,
    a_room_that_was_opened_alone_gets_what_was_said_elsewhere,
    a_room_that_was_full_alone_gets_what_was_said_elsewhere,
    what_comes_too_fast_is_a_gap_and_comes_once,
    a_room_that_is_no_more_says_nothing_of_the_next,
    a_room_that_was_forgotten_has_what_its_own_people_said,
    what_comes_too_late_is_a_gap,
    what_does_not_fit_in_the_queue_is_told,
    who_moves_to_another_node_misses_nothing,
    what_is_said_again_at_another_node_is_said_once,
    what_no_node_would_say_does_no_harm,
    rooms_by_one_client_are_limited,
    a_broker_that_is_none_ends_the_program_in_time,
    a_node_stops_in_time_though_the_broker_hangs,
    a_node_stops_though_nobody_reads_what_it_prints,
}

/// The test's own name for it.
pub(crate) async fn soon<T>(what: &str, work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), work)
        .await
        .unwrap_or_else(|_| panic!("{what} did not come in time"))
}

impl Member {
    /// The next event that is meant, past all others.
    async fn until(&mut self, what: &str, meant: impl Fn(&Value) -> bool) -> Value {
        soon(what, async {
            loop {
                let event = self.hear().await;
                if meant(&event) {
                    return event;
                }
            }
        })
        .await
    }

    /// Hears until each of these has come, in whatever order; returns all that has.
    async fn until_all(&mut self, what: &str, meant: &[&dyn Fn(&Value) -> bool]) -> Vec<Value> {
        let mut heard = Vec::new();
        soon(what, async {
            while !meant.iter().all(|meant| heard.iter().any(meant)) {
                heard.push(self.hear().await);
            }
        })
        .await;
        heard
    }

    async fn until_network(&mut self, together: bool, nodes: usize) {
        let network = json!({"type": "network", "together": together, "nodes": nodes});
        self.until(&network.to_string(), |event| *event == network).await;
    }

    /// Enters a room, and finds somebody of another node there: at once, or in a moment.
    async fn meet(&mut self, room: &str, name: &str) {
        let joined = self.join(room, None).await;
        if !joined["people"].as_array().unwrap().contains(&json!(name)) {
            self.until_presence(name, "joined").await;
        }
    }

    async fn until_presence(&mut self, name: &str, change: &str) {
        self.until(&format!("{name} has {change}"), |event| {
            event["type"] == "presence" && event["name"] == name && event["change"] == change
        })
        .await;
    }

    /// What comes before a pong, but for news of the network.
    async fn rest(&mut self) -> Vec<Value> {
        self.tell(json!({"type": "ping"})).await;
        let mut rest = Vec::new();
        loop {
            let event = self.hear().await;
            if event["type"] == "pong" {
                return rest;
            }
            if event["type"] != "network" {
                rest.push(event);
            }
        }
    }

    async fn say_with(&mut self, text: &str, key: &str) {
        self.tell(json!({"type": "say", "room": "lobby", "text": text, "key": key})).await;
    }
}

/// Two nodes that know of each other.
async fn two(server: &Server) -> (Chat, Chat) {
    let one = start_among(limits(), &server.address()).await;
    let two = start_among(limits(), &server.address()).await;
    for chat in [&one, &two] {
        let mut member = Member::in_room(&url(chat), "Probe", "probe").await;
        member.until_network(true, 2).await;
        member.close().await;
    }
    (one, two)
}

/// A node as a program.
struct Program {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    url: String,
}

impl Program {
    async fn start(address: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_chat"))
            .args(["--listen", "127.0.0.1:0", "--backplane", address])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = soon("the address", lines.next_line()).await.unwrap().unwrap();
        let addr = line.strip_prefix("listening on http://").unwrap().trim_end_matches('/');
        let url = format!("ws://{addr}/ws");
        Self { child, lines, url }
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id().unwrap()).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    }
}

async fn people_on_two_nodes_hear_each_other_once(engine: Engine) {
    let server = Server::start(engine).await;
    let (one, two) = two(&server).await;
    let mut ada = Member::in_room(&url(&one), "Ada", "lobby").await;
    let mut bob = Member::in_room(&url(&two), "Bob", "lobby").await;
    let mut eve = Member::in_room(&url(&two), "Eve", "other").await;
    let mut expected = Vec::new();
    for n in 0..20 {
        ada.say("lobby", &format!("<b>{n}</b>")).await;
        assert_eq!(bob.message().await, ada.message().await);
        bob.say("lobby", &format!("answer {n}")).await;
        let heard = ada.message().await;
        assert_eq!(heard, bob.message().await);
        assert_eq!((&heard["name"], &heard["room"]), (&json!("Bob"), &json!("lobby")));
        expected.extend([format!("<b>{n}</b>"), format!("answer {n}")]);
    }
    for member in [&mut ada, &mut bob, &mut eve] {
        assert!(member.rest().await.iter().all(|event| event["type"] == "presence"));
    }
    let mut dan = Member::named(&url(&two), "Dan").await;
    assert_eq!(texts(&dan.join("lobby", None).await), expected);
}

async fn who_is_there_is_known_at_all_nodes(engine: Engine) {
    let server = Server::start(engine).await;
    let (one, two) = two(&server).await;
    let mut ada = Member::in_room(&url(&one), "Ada", "lobby").await;
    let mut bob = Member::named(&url(&two), "Bob").await;
    // Who was there before is asked for, who comes is told: sooner than with what each node says at times.
    let began = Instant::now();
    bob.meet("lobby", "Ada").await;
    ada.until_presence("Bob", "joined").await;
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    let mut eve = Member::named(&url(&one), "<i>Eve</i>").await;
    assert_eq!(eve.join("lobby", None).await["people"], json!(["<i>Eve</i>", "Ada", "Bob"]));
    bob.until_presence("<i>Eve</i>", "joined").await;
    eve.tell(json!({"type": "leave", "room": "lobby"})).await;
    eve.until("left", |event| event["type"] == "left").await;
    bob.until_presence("<i>Eve</i>", "left").await;
    drop(ada);
    bob.until_presence("Ada", "left").await;
    assert_eq!(bob.rest().await, Vec::<Value>::new());
    // A node that stops says farewell.
    within(two.stop(Duration::ZERO)).await;
    eve.join("lobby", None).await;
    eve.until_network(true, 1).await;
    assert_eq!(
        Member::named(&url(&one), "Dan").await.join("lobby", None).await["people"],
        json!(["<i>Eve</i>", "Dan"])
    );
}

async fn one_name_is_one_person_on_all_nodes(engine: Engine) {
    let server = Server::start(engine).await;
    let (one, two) = two(&server).await;
    let mut ada = Member::in_room(&url(&one), "Ada", "lobby").await;
    let mut bob = Member::in_room(&url(&one), "Bob", "lobby").await;
    ada.until_presence("Bob", "joined").await;
    let mut again = Member::named(&url(&two), "Bob").await;
    again.meet("lobby", "Ada").await;
    // Both of them have joined, and one has left: nobody sees anything of that.
    bob.tell(json!({"type": "leave", "room": "lobby"})).await;
    bob.until("left", |event| event["type"] == "left").await;
    again.say("lobby", "I am here").await;
    let next = ada.until("the message", |event| event["type"] != "network").await;
    assert_eq!((&next["type"], &next["name"]), (&json!("message"), &json!("Bob")));
    again.close().await;
    ada.until_presence("Bob", "left").await;
    assert_eq!(ada.rest().await, Vec::<Value>::new());
}

async fn a_node_that_comes_late_has_what_was_said_last(engine: Engine) {
    let server = Server::start(engine).await;
    let one = start_among(limits(), &server.address()).await;
    let mut ada = Member::in_room(&url(&one), "Ada", "lobby").await;
    for n in 0..60 {
        ada.say("lobby", &n.to_string()).await;
    }
    ada.texts(60).await;
    // Asked for with what waits for the broker: that comes as it is said.
    within(one.stop(DRAIN)).await;
    let two = start_among(limits(), &server.address()).await;
    let mut bob = Member::named(&url(&two), "Bob").await;
    let joined = bob.join("lobby", None).await;
    let expected: Vec<_> = (10..60).map(|n| n.to_string()).collect();
    assert_eq!(texts(&joined), expected);
    assert_eq!(joined["resumed"], false);
    // And who was there all the time is not told it again.
    let mut eve = Member::named(&url(&two), "Eve").await;
    assert_eq!(texts(&eve.join("lobby", None).await), expected);
    assert_eq!(eve.hear().await["type"], "network");
    assert_eq!(eve.rest().await, Vec::<Value>::new());
}

async fn people_of_a_node_that_is_killed_leave(engine: Engine) {
    let server = Server::start(engine).await;
    let here = start_among(limits(), &server.address()).await;
    let there = Program::start(&server.address()).await;
    let mut ada = Member::in_room(&url(&here), "Ada", "lobby").await;
    let _bob = Member::in_room(&there.url, "Bob", "lobby").await;
    ada.until_presence("Bob", "joined").await;
    let began = Instant::now();
    there.signal(Signal::KILL);
    ada.until_presence("Bob", "left").await;
    assert!(began.elapsed() < Duration::from_secs(25), "{:?}", began.elapsed());
    ada.until_network(true, 1).await;
}

async fn without_a_broker_people_go_on_at_their_node(engine: Engine) {
    let mut server = Server::start(engine).await;
    let (one, two) = two(&server).await;
    let mut ada = Member::in_room(&url(&one), "Ada", "lobby").await;
    let mut eve = Member::in_room(&url(&one), "Eve", "lobby").await;
    let mut bob = Member::in_room(&url(&two), "Bob", "lobby").await;
    ada.until_presence("Bob", "joined").await;
    server.kill().await;
    // How many nodes there are is forgotten a little later.
    ada.until("alone", |event| event["together"] == false).await;
    bob.until("alone", |event| event["together"] == false).await;
    ada.say("lobby", "while we wait").await;
    assert_eq!(eve.message().await["text"], "while we wait");
    // A new room needs no broker, and who comes is told how things are.
    let mut dan = Member::named(&url(&two), "Dan").await;
    dan.join("new", None).await;
    assert_eq!(dan.hear().await["together"], false);
    bob.say("lobby", "over there").await;
    server.restart().await;
    let together = |event: &Value| event["together"] == true && event["nodes"] == 2;
    let [near, far] =
        ["while we wait", "over there"].map(|text| move |event: &Value| event["text"] == text);
    ada.until_all("what Bob has said", &[&together, &far]).await;
    bob.until_all("what Ada has said", &[&together, &near]).await;
    // What comes now is the last of it: Bob has heard everything once.
    ada.say("lobby", "again together").await;
    let heard = bob.until("the message", |event| event["type"] == "message").await;
    assert_eq!(heard["text"], "again together");
    let mut fay = Member::named(&url(&one), "Fay").await;
    let joined = fay.join("lobby", None).await;
    assert_eq!(texts(&joined), ["while we wait", "over there", "again together"]);
    // Who is where is known as before.
    fay.meet("new", "Dan").await;
}

async fn a_room_that_was_opened_alone_gets_what_was_said_elsewhere(engine: Engine) {
    let server = Server::start(engine).await;
    let way = Way::new(server.port()).await;
    let one = start_among(limits(), &server.address()).await;
    let two = start_among(limits(), &engine.address(way.port)).await;
    let mut ada = Member::in_room(&url(&one), "Ada", "lobby").await;
    let mut bob = Member::in_room(&url(&two), "Bob", "other").await;
    bob.until_network(true, 2).await;
    way.cut();
    bob.until("alone", |event| event["together"] == false).await;
    ada.say_with("hello", "k1").await;
    ada.message().await;
    let joined = bob.join("lobby", None).await;
    assert!(texts(&joined).is_empty());
    bob.say_with("is anybody there?", "k2").await;
    let said = bob.message().await;
    // There may be more than that.
    let mut eve = Member::named(&url(&two), "Eve").await;
    assert_eq!(eve.join("lobby", said["id"].as_str()).await["resumed"], false);
    way.mend();
    bob.until("what was missed", |event| event["text"] == "hello").await;
    ada.until("what has waited", |event| event["text"] == "is anybody there?").await;
    let joined = Member::named(&url(&two), "Dan").await.join("lobby", said["id"].as_str()).await;
    assert_eq!(texts(&joined), ["hello", "is anybody there?"]);
    assert_eq!(joined["resumed"], true);
}

/// Waits until the broker has what was said last in the lobby.
async fn kept_by(server: &Server, last: &str) {
    let chat = start_among(limits(), &server.address()).await;
    let mut dan = Member::named(&url(&chat), "Dan").await;
    if texts(&dan.join("lobby", None).await).last() != Some(&last) {
        dan.until("the last", |event| event["text"] == last).await;
    }
}

async fn what_comes_too_late_is_a_gap(engine: Engine) {
    let server = Server::start(engine).await;
    let way = Way::new(server.port()).await;
    let one = start_among(limits(), &server.address()).await;
    let two = start_among(limits(), &engine.address(way.port)).await;
    let mut ada = Member::in_room(&url(&one), "Ada", "lobby").await;
    let mut bob = Member::in_room(&url(&two), "Bob", "lobby").await;
    ada.say("lobby", "one").await;
    bob.message().await;
    way.cut();
    bob.until("alone", |event| event["together"] == false).await;
    for n in 0..70 {
        ada.say("lobby", &n.to_string()).await;
    }
    kept_by(&server, "69").await;
    way.mend();
    let is_gap = |event: &Value| event["type"] == "gap";
    let heard = bob.until_all("the last", &[&is_gap, &|event| event["text"] == "69"]).await;
    let gaps: Vec<_> = heard.iter().filter(|event| is_gap(event)).collect();
    assert_eq!(gaps, [&json!({"type": "gap", "room": "lobby", "missed": 20})]);
    let heard: Vec<_> = heard.iter().filter_map(|event| event["text"].as_str()).collect();
    let kept: Vec<_> = (20..70).map(|n| n.to_string()).collect();
    assert_eq!(heard, kept);
}

async fn a_room_that_was_full_alone_gets_what_was_said_elsewhere(engine: Engine) {
    let server = Server::start(engine).await;
    let way = Way::new(server.port()).await;
    let one = start_among(limits(), &server.address()).await;
    let two = start_among(limits(), &engine.address(way.port)).await;
    let mut ada = Member::in_room(&url(&one), "Ada", "large").await;
    ada.join("many", None).await;
    let mut bob = Member::in_room(&url(&two), "Bob", "other").await;
    bob.until_network(true, 2).await;
    way.cut();
    bob.until("alone", |event| event["together"] == false).await;
    for room in ["large", "many"] {
        ada.say(room, "hello").await;
        ada.until("herself", |event| event["text"] == "hello").await;
        bob.join(room, None).await;
    }
    // What Bob says first is not in the histories any more.
    for n in 0..10 {
        bob.say("large", &"🙂".repeat(1_990 + n)).await;
    }
    for n in 0..60 {
        bob.say("many", &n.to_string()).await;
    }
    bob.until("the last", |event| event["text"] == "59").await;
    way.mend();
    // Either is heard, or the broker has it no more.
    let mut large = Vec::new();
    let mut is_many_told = false;
    while large.is_empty() || !is_many_told {
        let event = bob.hear().await;
        if event["type"] == "presence" {
            continue;
        }
        if event["room"] == "large" {
            assert_eq!(event["text"], "hello");
            large.push(event);
        } else if event["room"] == "many" {
            assert!(event["type"] == "gap" || event["text"] == "hello", "{event}");
            is_many_told = true;
        }
    }
    // Once: what Ada says now comes after it.
    ada.say("large", "still there?").await;
    let is_next = |event: &Value| event["room"] == "large" && event["type"] != "presence";
    assert_eq!(bob.until("the next", is_next).await["text"], "still there?");
}

async fn what_comes_too_fast_is_a_gap_and_comes_once(engine: Engine) {
    let server = Server::start(engine).await;
    let way = Way::new(server.port()).await;
    let one = start_among(limits(), &server.address()).await;
    // Of two messages the second is too much.
    let two = Limits { wire: 1, ..limits() };
    let two = start_among(two, &engine.address(way.port)).await;
    let mut ada = Member::in_room(&url(&one), "Ada", "lobby").await;
    let mut eve = Member::in_room(&url(&two), "Eve", "other").await;
    let mut bob = Member::in_room(&url(&two), "Bob", "lobby").await;
    ada.until_presence("Bob", "joined").await;
    way.cut();
    bob.until("alone", |event| event["together"] == false).await;
    for n in 0..40 {
        ada.say("lobby", &n.to_string()).await;
    }
    kept_by(&server, "39").await;
    way.mend();
    let (mut gaps, mut heard, mut last) = (0, BTreeSet::new(), Value::Null);
    while gaps == 0 || heard.len() < 40 {
        let event = bob.hear().await;
        if event["type"] == "gap" {
            assert_eq!(event, json!({"type": "gap", "room": "lobby", "missed": 0}));
            gaps += 1;
        } else if event["type"] == "message" {
            assert!(heard.insert(name(&event["text"])), "{event} comes twice");
            last = event;
        }
    }
    // In the other rooms something may be missing, too.
    eve.until("the gap", |event| *event == json!({"type": "gap", "room": "other", "missed": 0}))
        .await;
    let mut again = Member::named(&url(&two), "Bob").await;
    assert_eq!(again.join("lobby", last["id"].as_str()).await["resumed"], false);
    ada.say("lobby", "slowly").await;
    let next = bob.until("the next", |event| event["type"] == "message").await;
    assert_eq!(next["text"], "slowly");
}

async fn a_room_that_is_no_more_says_nothing_of_the_next(engine: Engine) {
    let server = Server::start(engine).await;
    let chat = start_among(Limits { rooms: 1, ..limits() }, &server.address()).await;
    let group = Group::new();
    let who = within(Backplane::attach(&group, server.broker().prefix("chat.who"))).await.unwrap();
    let (mut conn, mut peer) = Connection::pair();
    let handle = conn.handle();
    tokio::spawn(conn.run());
    let _member = group.join("lobby", &handle).unwrap();
    within(who.ready("lobby")).await.unwrap();
    let ask = || {
        let node = who.node().to_string();
        let all =
            json!({"type": "all", "room": "lobby", "node": node, "names": ["Bob"], "ask": true});
        who.publish_except("lobby", all.to_string(), &handle).unwrap();
    };
    let mut ada = Member::in_room(&url(&chat), "Ada", "lobby").await;
    ask();
    ada.until_presence("Bob", "joined").await;
    // The room will answer in a moment, but gives way to another one, and that to the next of its name.
    for room in ["other", "lobby"] {
        ada.tell(json!({"type": "leave", "room": if room == "other" { "lobby" } else { "other" }}))
            .await;
        ada.until("left", |event| event["type"] == "left").await;
        ada.join(room, None).await;
    }
    ask();
    let answer = soon("the answer", async {
        loop {
            let word = peer.next().await.unwrap();
            let word: Value = serde_json::from_str(word.as_text().unwrap()).unwrap();
            if word["type"] == "all" && word["ask"] == false {
                return word;
            }
        }
    });
    assert_eq!(answer.await["names"], json!(["Ada"]));
}

async fn a_room_that_was_forgotten_has_what_its_own_people_said(engine: Engine) {
    let server = Server::start(engine).await;
    let chat = start_among(Limits { rooms: 1, ..limits() }, &server.address()).await;
    let mut ada = Member::in_room(&url(&chat), "Ada", "lobby").await;
    ada.say("lobby", "mine").await;
    ada.texts(1).await;
    kept_by(&server, "mine").await;
    let mut joined = Value::Null;
    for (left, room) in [("lobby", "other"), ("other", "lobby")] {
        ada.tell(json!({"type": "leave", "room": left})).await;
        ada.until("left", |event| event["type"] == "left").await;
        joined = ada.join(room, None).await;
    }
    assert_eq!(texts(&joined), ["mine"]);
}

async fn what_does_not_fit_in_the_queue_is_told(engine: Engine) {
    let mut server = Server::start(engine).await;
    let one = start_among(limits(), &server.address()).await;
    let mut ada = Member::in_room(&url(&one), "Ada", "lobby").await;
    server.kill().await;
    ada.until("alone", |event| event["together"] == false).await;
    // 8 MiB.
    let text = "🙂".repeat(2_000);
    for n in 0..1_200 {
        ada.say_with(&text, &format!("k{n}")).await;
        assert_eq!(ada.message().await["key"], format!("k{n}"));
        if n > 900
            && let Some(error) = ada.rest().await.pop()
        {
            assert_eq!(
                (&error["code"], &error["key"], &error["room"]),
                (&json!("not-everywhere"), &json!(format!("k{n}")), &json!("lobby"))
            );
            return;
        }
    }
    panic!("everything was taken");
}

async fn who_moves_to_another_node_misses_nothing(engine: Engine) {
    let server = Server::start(engine).await;
    let way = Way::new(server.port()).await;
    let one = start_among(limits(), &engine.address(way.port)).await;
    let two = start_among(limits(), &server.address()).await;
    let mut ada = Member::in_room(&url(&one), "Ada", "lobby").await;
    let mut bob = Member::in_room(&url(&two), "Bob", "lobby").await;
    ada.say("lobby", "zero").await;
    bob.message().await;
    ada.until("herself", |event| event["text"] == "zero").await;
    // The order at both is another one: each hears its own first.
    way.cut();
    ada.until("alone", |event| event["together"] == false).await;
    bob.say("lobby", "of two").await;
    bob.message().await;
    ada.say("lobby", "of one").await;
    let last = ada.message().await;
    let mut eve = Member::in_room(&url(&two), "Eve", "other").await;
    way.mend();
    bob.until("Ada's", |event| event["text"] == "of one").await;
    // Ada, who has left before Bob's has come to her node, finds it, although it was before what she has.
    let mut moved = Member::named(&url(&two), "Ada").await;
    let joined = moved.join("lobby", last["id"].as_str()).await;
    assert_eq!(texts(&joined), ["zero", "of two", "of one"]);
    assert_eq!(joined["resumed"], true);
    // In a room that the other node has to open first, too.
    eve.say("other", "only there").await;
    let said = eve.message().await;
    ada.until("together", |event| event["together"] == true).await;
    let joined = ada.join("other", said["id"].as_str()).await;
    assert_eq!((texts(&joined), &joined["resumed"]), (vec!["only there"], &json!(true)));
}

async fn what_is_said_again_at_another_node_is_said_once(engine: Engine) {
    let server = Server::start(engine).await;
    let way = Way::new(server.port()).await;
    let one = start_among(limits(), &engine.address(way.port)).await;
    let two = start_among(limits(), &server.address()).await;
    let mut ada = Member::in_room(&url(&one), "Ada", "lobby").await;
    let mut near = Member::in_room(&url(&one), "Near", "lobby").await;
    let mut far = Member::named(&url(&two), "Far").await;
    far.meet("lobby", "Ada").await;
    // It has come to the other node before she has.
    ada.say_with("first", "k1").await;
    let first = far.message().await;
    let mut moved = Member::in_room(&url(&two), "Ada", "lobby").await;
    moved.say_with("first", "k1").await;
    assert_eq!(moved.message().await, first);
    assert_eq!(near.message().await, first);
    // It has not: then both nodes have one of their own, and nobody has two.
    way.cut();
    near.until("alone", |event| event["together"] == false).await;
    ada.say_with("second", "k2").await;
    assert_eq!(near.message().await["key"], "k2");
    moved.say_with("second", "k2").await;
    assert_eq!(moved.message().await["key"], "k2");
    assert_eq!(far.message().await["key"], "k2");
    way.mend();
    near.until("together", |event| event["together"] == true).await;
    moved.say_with("third", "k3").await;
    ada.say_with("fourth", "k4").await;
    for member in [&mut near, &mut far] {
        let mut heard = member.texts(2).await;
        heard.sort_unstable();
        assert_eq!(heard, ["fourth", "third"]);
    }
}

async fn what_no_node_would_say_does_no_harm(engine: Engine) {
    let server = Server::start(engine).await;
    let chat = start_among(limits(), &server.address()).await;
    let mut ada = Member::in_room(&url(&chat), "Ada", "lobby").await;
    // Two that publish what they please.
    let (group, hour) = (Group::new(), Duration::from_secs(3_600));
    let said = server.broker().prefix("chat.said").replay(50, hour);
    let said = within(Backplane::attach(&group, said)).await.unwrap();
    let who = within(Backplane::attach(&group, server.broker().prefix("chat.who"))).await.unwrap();
    let message = |id: &str, name: &str, text: &str| json!({"type": "message", "id": id, "room": "lobby", "name": name, "text": text, "time": 7});
    let node = who.node().to_string();
    let bad = [
        String::new(),
        "{".to_owned(),
        "[[[[".repeat(2_000),
        "null".to_owned(),
        message("<b>", "Eve", "a").to_string(),
        message("1", "", "a").to_string(),
        message("1", "E\u{202e}ve", "a").to_string(),
        message("1", "Eve", "").to_string(),
        message("1", "Eve", &"x".repeat(2_001)).to_string(),
        message(&"1".repeat(65), "Eve", "a").to_string(),
        json!({"type": "message", "id": "1", "room": "other", "name": "Eve", "text": "a", "time": 7})
            .to_string(),
        json!({"type": "all", "room": "lobby", "node": node, "names": ["Eve", "\u{1b}[2J"], "ask": false})
            .to_string(),
        json!({"type": "here", "room": "lobby", "node": node, "name": "x".repeat(33)}).to_string(),
        json!({"type": "here", "room": "lobby", "node": "", "name": "Eve"}).to_string(),
    ];
    for bad in bad {
        said.publish("lobby", bad.clone()).unwrap();
        who.publish("lobby", bad).unwrap();
    }
    said.publish("lobby", vec![0xff; 100]).unwrap();
    said.publish("lobby", "x".repeat(100_000)).unwrap();
    let gap = ada.until("the gap", |event| event["type"] != "network").await;
    assert_eq!(gap, json!({"type": "gap", "room": "lobby", "missed": 1}));
    raw(engine, &server, "chat.said.topic.lobby", "no envelope").await;
    raw(engine, &server, "chat.who.presence", "no envelope").await;
    // What looks like HTML is a name like any other, and time does not come from the future.
    let here = json!({"type": "here", "room": "lobby", "node": node, "name": "<img src=x>"});
    who.publish("lobby", here.to_string()).unwrap();
    ada.until_presence("<img src=x>", "joined").await;
    let mut late = message("ok-1", "<img src=x>", "<script>alert(1)</script>");
    late["time"] = u64::MAX.into();
    said.publish("lobby", late.to_string()).unwrap();
    let heard = ada.message().await;
    assert_eq!(heard["text"], "<script>alert(1)</script>");
    assert!(heard["time"].as_u64().unwrap() < u64::MAX / 2);
    // Nothing is said twice. Many people at once are told of a few at a time, and there is an end to them.
    said.publish("lobby", late.to_string()).unwrap();
    for node in [&*node, "none-1", "none-2", "none-3", "none-4", "none-5"] {
        let names: Vec<_> = (0..500).map(|n| format!("{n} of {}", &node[..6])).collect();
        let all =
            json!({"type": "all", "room": "lobby", "node": node, "names": names, "ask": true});
        who.publish("lobby", all.to_string()).unwrap();
    }
    said.publish("lobby", message("ok-2", "Eve", "fine").to_string()).unwrap();
    let next = ada.until("the next", |event| event["type"] == "message").await;
    assert_eq!(next["text"], "fine");
    let joined = Member::named(&url(&chat), "Bob").await.join("lobby", None).await;
    assert!(joined["people"].as_array().unwrap().len() <= 2_002);
    assert_eq!(texts(&joined), ["<script>alert(1)</script>", "fine"]);
    let last = format!("499 of {}", &node[..6]);
    ada.until_presence(&last, "joined").await;
    who.close().await;
    ada.until_presence(&last, "left").await;
    // The others were at nodes that there are not.
    let mut dan = Member::named(&url(&chat), "Dan").await;
    let joined = dan.join("lobby", None).await;
    let people = joined["people"].as_array().unwrap().iter().map(name);
    let mut people: BTreeSet<_> = people.collect();
    soon("nobody else", async {
        while people.iter().any(|name| name != "Ada" && name != "Dan") {
            let event = dan.hear().await;
            if event["change"] == "joined" {
                people.insert(name(&event["name"]));
            } else if event["change"] == "left" {
                people.remove(&name(&event["name"]));
            }
        }
    })
    .await;
}

fn name(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// As somebody else does it.
async fn raw(engine: Engine, server: &Server, subject: &str, text: &str) {
    let mut stream = TcpStream::connect(("127.0.0.1", server.port())).await.unwrap();
    let (lines, answer) = match engine {
        Engine::Nats => {
            (format!("CONNECT {{}}\r\nPUB {subject} {}\r\n{text}\r\nPING\r\n", text.len()), "PONG")
        }
        Engine::Redis => (format!("PUBLISH {subject} \"{text}\"\r\nPING\r\n"), "PONG"),
    };
    stream.write_all(lines.as_bytes()).await.unwrap();
    let mut answered = String::new();
    while !answered.contains(answer) {
        let mut bytes = [0; 4096];
        let len = within(stream.read(&mut bytes)).await.unwrap();
        assert!(len > 0, "{answered}");
        answered.push_str(&String::from_utf8_lossy(&bytes[..len]));
    }
}

async fn rooms_by_one_client_are_limited(engine: Engine) {
    let server = Server::start(engine).await;
    let chat = start_among(limits(), &server.address()).await;
    let mut ada = Member::in_room(&url(&chat), "Ada", "lobby").await;
    let mut eve = Member::named(&url(&chat), "Eve").await;
    for hundred in 0..100 {
        for n in 0..100 {
            let room = format!("r{hundred}-{n}");
            eve.tell(json!({"type": "join", "room": room})).await;
            eve.tell(json!({"type": "leave", "room": room})).await;
        }
        let made = eve.rest().await.iter().filter(|event| event["type"] == "joined").count();
        assert_eq!(made, if hundred == 0 { 16 } else { 0 });
    }
    assert_eq!(chat.rooms(), 17);
    ada.say("lobby", "still here").await;
    assert_eq!(ada.message().await["text"], "still here");
}

async fn a_broker_that_is_none_ends_the_program_in_time(engine: Engine) {
    let scheme = if engine == Engine::Nats { "nats" } else { "redis" };
    let garbage = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let [garbage_port, silent_port] =
        [&garbage, &silent].map(|listener| listener.local_addr().unwrap().port());
    tokio::spawn(async move {
        let mut accepted = Vec::new();
        while let Ok((mut stream, _)) = garbage.accept().await {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
            accepted.push(stream);
        }
    });
    let places = [
        (String::new(), 1),
        ("127.0.0.1:99999".to_owned(), 1),
        (format!("127.0.0.1:{}", free_port()), 1),
        (format!("127.0.0.1:{garbage_port}"), 1),
        (format!("127.0.0.1:{silent_port}"), 1),
    ];
    let places = places.map(|(place, code)| (format!("{scheme}://us:s3cret@{place}"), code));
    let others = [("http://us:s3cret@127.0.0.1".to_owned(), 2), ("us:s3cret".to_owned(), 2)];
    let starting = places.into_iter().chain(others).map(|(address, code)| async move {
        let began = Instant::now();
        let program = Command::new(env!("CARGO_BIN_EXE_chat"))
            .args(["--listen", "127.0.0.1:0", "--backplane", &address])
            .kill_on_drop(true)
            .output();
        let Output { status, stdout, stderr } = within(program).await.unwrap();
        let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        assert_eq!(status.code(), Some(code), "{address}: {stderr}");
        assert!(began.elapsed() < Duration::from_secs(30), "{address}");
        assert!(stdout.is_empty() && stderr.starts_with("chat: "), "{address}: {stdout}{stderr}");
        assert!(!stderr.contains("s3cret") && !stderr.contains("panicked"), "{stderr}");
        if code == 1 {
            assert_eq!(stderr.lines().count(), 1, "{stderr}");
        }
    });
    futures::future::join_all(starting).await;
    // Where the option was forgotten, too.
    let program = Command::new(env!("CARGO_BIN_EXE_chat")).arg("nats://us:s3cret@host").output();
    let Output { status, stderr, .. } = within(program).await.unwrap();
    assert_eq!(status.code(), Some(2));
    assert!(!String::from_utf8_lossy(&stderr).contains("s3cret"));
}

async fn a_node_stops_in_time_though_the_broker_hangs(engine: Engine) {
    let server = Server::start(engine).await;
    let mut node = Program::start(&server.address()).await;
    let mut ada = Member::in_room(&node.url, "Ada", "lobby").await;
    server.signal("STOP");
    ada.say("lobby", "is anybody there?").await;
    ada.message().await;
    // A room that is new waits for what the broker has kept, but not for long.
    let began = Instant::now();
    ada.join("other", None).await;
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    let began = Instant::now();
    node.signal(Signal::TERM);
    let finish = ada.end().await;
    assert_eq!(finish.code, wsweave::CloseCode::GOING_AWAY);
    let line = soon("the last word", node.lines.next_line()).await.unwrap().unwrap();
    assert!(line.starts_with("1 sent away; "), "{line}");
    assert!(soon("the end", node.child.wait()).await.unwrap().success());
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    server.signal("CONT");
    // What was not taken is told, as far as a word goes.
    let mut printed = String::new();
    soon("the log", node.child.stderr.take().unwrap().read_to_string(&mut printed)).await.unwrap();
    assert!(printed.contains("went to no other node: 1;"), "{printed}");
}

async fn a_node_stops_though_nobody_reads_what_it_prints(engine: Engine) {
    let server = Server::start(engine).await;
    let Program { mut child, lines, url } = Program::start(&server.address()).await;
    let ada = Member::in_room(&url, "Ada", "lobby").await;
    drop(lines);
    let pid = i32::try_from(child.id().unwrap()).unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::TERM).unwrap();
    ada.end().await;
    assert!(soon("the end", child.wait()).await.unwrap().success());
}
