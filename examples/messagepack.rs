//! A codec of one's own, used both ways: `cargo run --example messagepack`.

use std::{error::Error, f64::consts::PI, marker::PhantomData};

use futures::{SinkExt, StreamExt, TryStreamExt, future::try_join};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use wsweave::{Codec, ConnectionExt, Message, Server};

type AnyError = Box<dyn Error + Send + Sync>;

/// Values as `MessagePack`, one in each binary message.
struct MessagePack<In, Out>(PhantomData<fn(Out) -> In>);

impl<In: DeserializeOwned, Out: Serialize> Codec for MessagePack<In, Out> {
    type In = In;
    type Out = Out;
    type Error = AnyError;

    fn encode(&mut self, value: Out) -> Result<Message, AnyError> {
        Ok(rmp_serde::to_vec_named(&value)?.into())
    }

    fn decode(&mut self, message: &Message) -> Result<In, AnyError> {
        match message {
            Message::Binary(bytes) => Ok(rmp_serde::from_slice(bytes)?),
            Message::Text(_) => Err("MessagePack comes in binary messages".into()),
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Circle {
    radius: f64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Area(f64);

#[async_std::main]
async fn main() -> Result<(), AnyError> {
    let server = wsweave::listen("127.0.0.1:0").await?;
    let url = format!("ws://{}", server.local_addr());
    try_join(serve(server), measure(&url)).await?;
    Ok(())
}

/// Accepts one connection, and answers circles with their areas.
async fn serve(mut server: Server) -> Result<(), AnyError> {
    let Some(conn) = server.next().await else { return Ok(()) };
    let mut conn = conn.codec(MessagePack::<Circle, Area>(PhantomData));
    while let Some(circle) = conn.next().await {
        match circle {
            Ok(Circle { radius }) => conn.send(Area(PI * radius.powi(2))).await?,
            Err(error) => println!("server: {error}"),
        }
    }
    Ok(())
}

/// Asks for areas, and says something that is no circle in between.
async fn measure(url: &str) -> Result<(), AnyError> {
    let conn = wsweave::connect(url).await?;
    let mut conn = conn.codec(MessagePack::<Area, Circle>(PhantomData));
    for radius in [1.0, 2.0] {
        conn.get_mut().send("a circle, please".into()).await?;
        conn.send(Circle { radius }).await?;
        println!("client: {:?}", conn.try_next().await?);
    }
    conn.close().await?;
    Ok(())
}
