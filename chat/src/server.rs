//! [`Chat`]: the server.

use std::{
    error,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    task::JoinHandle,
    time::{MissedTickBehavior, interval},
};
use wsweave::{
    Accept, Config, Error, Origins, Refusal, Server, ServerHandle, Shutdown, http::StatusCode,
};

use crate::{
    limits::Limits,
    nodes::{self, Network, Nodes},
    rooms::Rooms,
    session, site,
};

/// A server of the page and of its rooms, for as long as this is kept.
#[derive(Debug)]
pub struct Chat {
    rooms: Arc<Rooms>,
    handle: ServerHandle,
    is_closing: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Chat {
    /// Listens at an address, where port 0 picks a free one. It needs tokio.
    ///
    /// # Errors
    ///
    /// If that cannot be listened at.
    pub async fn start(addr: &str, origins: Origins, limits: Limits) -> Result<Self, Error> {
        Self::serve(addr, origins, limits, None).await
    }

    /// Like [`start`](Self::start), with the same rooms as the other servers of a network.
    ///
    /// # Errors
    ///
    /// If the network cannot be reached, or the address not be listened at.
    pub async fn start_among(
        addr: &str,
        origins: Origins,
        limits: Limits,
        network: &Network,
    ) -> Result<Self, Box<dyn error::Error + Send + Sync>> {
        let nodes = Nodes::attach(network, &limits).await?;
        Ok(Self::serve(addr, origins, limits, Some(nodes)).await?)
    }

    async fn serve(
        addr: &str,
        origins: Origins,
        limits: Limits,
        nodes: Option<Nodes>,
    ) -> Result<Self, Error> {
        let is_closing = Arc::new(AtomicBool::new(false));
        let closing = Arc::clone(&is_closing);
        let config = Config::default()
            .max_message_size(limits.message_size)
            .max_frame_size(limits.message_size)
            .max_fragments(64)
            // Until then whoever does not answer is shown as being there.
            .close_timeout(Duration::from_secs(3))
            // What was said in a room, and who is there, may be more than `lag`.
            .outbox_size(2 * limits.lag);
        let server = Server::new()
            .config(config)
            .origins(origins)
            .max_connections(limits.connections)
            .on_request(move |request| match request.uri().path() {
                "/ws" if closing.load(Ordering::Relaxed) => {
                    Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "the server is going away"))
                }
                "/ws" => Ok(Accept::new()),
                path => Err(site::answer(path)),
            })
            .bind(addr)
            .await?;
        let (handle, forget) = (server.handle(), limits.forget);
        let rooms = Arc::new(Rooms::new(limits, nodes));
        let its_rooms = Arc::clone(&rooms);
        let serving = tokio::spawn(async move {
            server.serve(move |conn| session::serve(conn, Arc::clone(&its_rooms))).await;
        });
        let tasks = vec![
            serving,
            tokio::spawn(forget_at_times(Arc::clone(&rooms), forget)),
            tokio::spawn(nodes::hear(Arc::clone(&rooms))),
            tokio::spawn(nodes::follow(Arc::clone(&rooms))),
            tokio::spawn(nodes::catch_up(Arc::clone(&rooms))),
        ];
        Ok(Self { rooms, handle, is_closing, tasks })
    }

    /// Where it listens.
    #[must_use]
    pub fn addrs(&self) -> Vec<SocketAddr> {
        self.handle.local_addrs()
    }

    /// How many connections there are.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.handle.connections()
    }

    /// How many rooms there are, those included that are empty and not forgotten yet.
    #[must_use]
    pub fn rooms(&self) -> usize {
        self.rooms.len()
    }

    /// Sends everybody away, spread over `window`, so that they do not come back all at once, and ends.
    /// Returns how many people that were, and what became of the connections that were left then. A broker
    /// has another five seconds for what other nodes have not heard yet.
    pub async fn stop(self, window: Duration) -> (usize, Shutdown) {
        self.is_closing.store(true, Ordering::Relaxed);
        let people = self.rooms.drain(window).await;
        let shutdown = self.handle.shutdown(PATIENCE).await;
        if let Some(nodes) = &self.rooms.nodes {
            nodes.close().await;
        }
        (people, shutdown)
    }
}

impl Drop for Chat {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

async fn forget_at_times(rooms: Arc<Rooms>, forget: Duration) {
    let mut ticks = interval((forget / 4).max(Duration::from_millis(100)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        rooms.forget();
    }
}

/// Over how long [`Chat::stop`] is best spread for a few hundred people.
pub const DRAIN: Duration = Duration::from_secs(1);
/// How long the closing handshakes may take.
const PATIENCE: Duration = Duration::from_secs(5);
