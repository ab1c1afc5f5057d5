//! What only NATS has.

use futures::StreamExt;
use wsweave::Group;
use wsweave_backplane::{Backplane, Status};

use crate::support::{Engine, Member, Server, soon};

#[tokio::test]
async fn somebody_who_listens_to_everything_is_in_nobodys_way() {
    let server = Server::start(Engine::Nats).await;
    let client = async_nats::connect(server.address()).await.unwrap();
    let mut everything = client.subscribe(">").await.unwrap();
    client.flush().await.unwrap();
    let (here, there) = (Group::new(), Group::new());
    let one = Backplane::attach(&here, server.broker()).await.unwrap();
    let two = Backplane::attach(&there, server.broker()).await.unwrap();
    let mut far = Member::ready(&there, &two, "t").await;
    one.publish("t", "hello").unwrap();
    assert_eq!(far.text().await, "hello");
    soon("the broker", one.flush()).await.unwrap();
    soon("the message", async {
        while everything.next().await.unwrap().subject.as_str() != "wsweave.topic.t" {}
    })
    .await;
    assert!(matches!(one.status(), Status::Connected));
    assert_eq!((one.stats().reconnects, two.stats().reconnects), (0, 0));
}
