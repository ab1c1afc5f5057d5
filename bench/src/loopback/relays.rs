//! The relays: between the load generator and the backend, as a server to the one and a client of the
//! other.

use futures::{Sink, Stream, StreamExt, future::join};
use tokio::{io::copy_bidirectional_with_sizes, net::TcpStream, task::coop::unconstrained};
use wsweave::{ConnectionExt, Role};

use super::{
    backend,
    counted::Counted,
    echoes::{BUFFER, Io, over_tokio, tungstenite_tuned},
    server::{Echo, Serve},
};

macro_rules! relays {
    ($($peer:literal, $form:literal => $relay:expr;)*) => {
        [$(Echo {
            peer: $peer,
            form: $form,
            serve: Serve::Tokio(|near| {
                tokio::spawn(async move { $relay(near, behind().await).await; });
            }),
            raw: false,
        }),*]
    };
}

/// The limit: what the sockets cost alone.
pub(crate) fn references() -> Vec<Echo> {
    Vec::from(relays!["TCP", "bytes as they come" => tcp;])
}

pub(crate) fn wsweave() -> Vec<Echo> {
    Vec::from(relays!["wsweave", "relay" => wsweave_relay;])
}

pub(crate) fn peers() -> Vec<Echo> {
    Vec::from(relays! {
        "tokio-tungstenite", "split, forward" => |near, far| tungstenite(near, far, false);
        "tokio-tungstenite", "tuned" => |near, far| unconstrained(tungstenite(near, far, true));
        "tokio-websockets", "split, forward" => |near, far| unconstrained(tokio_websockets(near, far));
    })
}

async fn behind() -> Counted<TcpStream> {
    let stream = TcpStream::connect(backend::addr()).await.expect("it listens");
    stream.set_nodelay(true).expect("an open socket");
    Counted(stream)
}

async fn tcp(mut near: impl Io, mut far: impl Io) {
    let _ = copy_bidirectional_with_sizes(&mut near, &mut far, BUFFER, BUFFER).await;
}

async fn wsweave_relay(near: impl Io, far: impl Io) {
    over_tokio(near, Role::Server).relay(over_tokio(far, Role::Client)).await;
}

async fn tungstenite(near: impl Io, far: impl Io, tuned: bool) {
    use tokio_tungstenite::{WebSocketStream, tungstenite::protocol::Role};
    let config = tuned.then(tungstenite_tuned);
    let near = WebSocketStream::from_raw_socket(near, Role::Server, config).await;
    forward(near, WebSocketStream::from_raw_socket(far, Role::Client, config).await).await;
}

async fn tokio_websockets(near: impl Io, far: impl Io) {
    let near = tokio_websockets::ServerBuilder::new().serve(near);
    forward(near, tokio_websockets::ClientBuilder::new().take_over(far)).await;
}

/// Both ways.
async fn forward<A, B, M, E>(near: A, far: B)
where
    A: Stream<Item = Result<M, E>> + Sink<M, Error = E>,
    B: Stream<Item = Result<M, E>> + Sink<M, Error = E>,
{
    let (to_near, from_near) = near.split();
    let (to_far, from_far) = far.split();
    let _ = join(from_near.forward(to_far), from_far.forward(to_near)).await;
}
