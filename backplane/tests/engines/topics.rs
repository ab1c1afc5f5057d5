//! Names of topics, and many of them.

use wsweave::{Connection, ConnectionExt, Group, GroupConfig};
use wsweave_backplane::Backplane;

use crate::{
    on_each_engine,
    support::{Engine, Member, Server, soon},
};

on_each_engine! {
    each_name_is_a_topic_of_its_own,
    text_and_bytes_arrive_as_they_are,
    a_topic_without_members_is_not_subscribed,
    backplanes_with_different_prefixes_do_not_hear_each_other,
    who_joins_as_the_last_one_leaves_misses_nothing,
    there_can_be_ten_thousand_topics,
}

async fn each_name_is_a_topic_of_its_own(engine: Engine) {
    let server = Server::start(engine).await;
    let (here, there) = (Group::new(), Group::new());
    let one = Backplane::attach(&here, server.broker()).await.unwrap();
    let two = Backplane::attach(&there, server.broker()).await.unwrap();
    let longest = "ü".repeat(127);
    let names = ["*", ">", ".", "a.b", "a.*", "a b", "\r\nPUB x 1\r\n", "%2A", "", "🦀", &longest];
    let names = names.into_iter().filter(|name| !name.is_empty());
    let mut members = Vec::new();
    for name in names.clone() {
        members.push((name, Member::ready(&there, &two, name).await));
    }
    for name in names.clone().chain(names) {
        one.publish(name, name).unwrap();
    }
    for (name, member) in &mut members {
        assert_eq!(member.text().await, *name);
        assert_eq!(member.text().await, *name);
    }
    assert_eq!(two.stats().invalid, 0);
}

async fn text_and_bytes_arrive_as_they_are(engine: Engine) {
    let server = Server::start(engine).await;
    let (here, there) = (Group::new(), Group::new());
    let one = Backplane::attach(&here, server.broker()).await.unwrap();
    let two = Backplane::attach(&there, server.broker()).await.unwrap();
    let mut member = Member::ready(&there, &two, "t").await;
    let messages = ["".into(), "grüezi".into(), vec![0, 255, 10].into(), vec![1; 1_000_000].into()];
    for message in messages.clone() {
        one.publish("t", message).unwrap();
    }
    for message in messages {
        assert_eq!(member.next().await, message);
    }
}

async fn a_topic_without_members_is_not_subscribed(engine: Engine) {
    let server = Server::start(engine).await;
    let (here, there) = (Group::new(), Group::new());
    let one = Backplane::attach(&here, server.broker()).await.unwrap();
    let two = Backplane::attach(&there, server.broker()).await.unwrap();
    let mut other = Member::ready(&there, &two, "other").await;
    let member = Member::ready(&there, &two, "t").await;
    one.publish("t", "first").unwrap();
    one.publish("other", "behind it").unwrap();
    assert_eq!(other.text().await, "behind it");
    drop(member);
    soon("the end of the subscription", async {
        while is_subscribed(engine, &server, "wsweave.topic.t").await {}
    })
    .await;
    assert!(is_subscribed(engine, &server, "wsweave.topic.other").await);
    one.publish("t", "nobody hears this").unwrap();
    one.publish("other", "behind it").unwrap();
    assert_eq!(other.text().await, "behind it");
    let before = two.stats();
    let mut member = Member::ready(&there, &two, "t").await;
    one.publish("t", "again").unwrap();
    assert_eq!(member.text().await, "again");
    assert_eq!(two.stats().gaps, 0, "what nobody wanted is not missed");
    assert_eq!(two.stats().received, before.received + 1);
}

/// As the broker sees it.
async fn is_subscribed(engine: Engine, server: &Server, subject: &str) -> bool {
    match engine {
        Engine::Nats => {
            let patience = Some(std::time::Duration::from_millis(300));
            let options = async_nats::ConnectOptions::new().request_timeout(patience);
            let client = options.connect(server.address()).await.unwrap();
            let error = client.request(subject.to_owned(), "".into()).await.unwrap_err();
            error.kind() != async_nats::RequestErrorKind::NoResponders
        }
        Engine::Redis => {
            let client = ::redis::Client::open(server.address()).unwrap();
            let mut connection = client.get_multiplexed_async_connection().await.unwrap();
            let mut count = ::redis::cmd("PUBSUB");
            count.arg("NUMSUB").arg(subject);
            let (_, count): (String, u64) = count.query_async(&mut connection).await.unwrap();
            count > 0
        }
    }
}

async fn backplanes_with_different_prefixes_do_not_hear_each_other(engine: Engine) {
    let server = Server::start(engine).await;
    let (here, there) = (Group::new(), Group::new());
    let one = Backplane::attach(&here, server.broker()).await.unwrap();
    let two = Backplane::attach(&there, server.broker().prefix("other")).await.unwrap();
    let three = Backplane::attach(&Group::new(), server.broker().prefix("other")).await.unwrap();
    let mut member = Member::ready(&there, &two, "t").await;
    one.publish("t", "not for you").unwrap();
    soon("the broker", one.flush()).await.unwrap();
    three.publish("t", "for you").unwrap();
    assert_eq!(member.text().await, "for you");
    assert_eq!(one.nodes(), []);
}

async fn who_joins_as_the_last_one_leaves_misses_nothing(engine: Engine) {
    let server = Server::start(engine).await;
    let (here, there) = (Group::new(), Group::new());
    let one = Backplane::attach(&here, server.broker()).await.unwrap();
    let two = Backplane::attach(&there, server.broker()).await.unwrap();
    let mut member = Member::ready(&there, &two, "t").await;
    for number in 0..300 {
        drop(member);
        member = Member::ready(&there, &two, "t").await;
        one.publish("t", number.to_string()).unwrap();
        assert_eq!(member.text().await, number.to_string());
    }
    assert_eq!((two.stats().gaps, two.stats().duplicates), (0, 0));
}

async fn there_can_be_ten_thousand_topics(engine: Engine) {
    let server = Server::start(engine).await;
    let (here, there) =
        (Group::new(), Group::with_config(GroupConfig::default().max_memberships(10_000)));
    let one = Backplane::attach(&here, server.broker()).await.unwrap();
    let two = Backplane::attach(&there, server.broker()).await.unwrap();
    let (mut connection, mut peer) = Connection::pair();
    let handle = connection.handle();
    let name = |number: usize| format!("topic {number}");
    let join = |number| there.join(&name(number), &handle).unwrap();
    let members: Vec<_> = (0..10_000).map(join).collect();
    tokio::spawn(async move {
        connection.run().await;
    });
    for number in (0..10_000).rev() {
        soon("the subscription", two.ready(&name(number))).await.unwrap();
    }
    for number in (0..10_000).step_by(100) {
        one.publish(&name(number), name(number)).unwrap();
        let message = soon("a message", futures::StreamExt::next(&mut peer)).await.unwrap();
        assert_eq!(message.as_text(), Some(&*name(number)));
    }
    drop(members);
}
