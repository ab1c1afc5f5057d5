//! The servers that are visited.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::future::RemoteHandle;
use wsweave::{
    Accept, Client, Compression, Config, Refusal, Server, ServerHandle, Shutdown, http::StatusCode,
};

#[cfg(feature = "tls")]
use crate::certificates::{Authority, LOOPBACK};
use crate::{
    holdings::{counted, spawn},
    server,
};

/// A server behind each door.
pub(crate) struct Site {
    /// The first one is without TLS.
    pub(crate) doors: Vec<Door>,
    serving: Mutex<Vec<(ServerHandle, RemoteHandle<Shutdown>)>>,
    closing: AtomicBool,
}

/// The way to a server.
pub(crate) struct Door {
    pub(crate) addr: SocketAddr,
    pub(crate) scheme: &'static str,
    /// Gives a client the key.
    pub(crate) key: Key,
}

type Key = Box<dyn Fn(Client) -> Client + Send + Sync>;

impl Site {
    pub(crate) async fn open(plans: &Plans) -> Arc<Self> {
        let (mut doors, mut serving) = (Vec::new(), Vec::new());
        for (server, scheme, key) in plans.servers() {
            let server = server.config(config()).on_request(|request| match request.uri().path() {
                "/none" => Err(Refusal::new(StatusCode::NOT_FOUND, "there is nothing here")),
                _ => Ok(Accept::new()),
            });
            let server = server.bind("127.0.0.1:0").await.unwrap();
            doors.push(Door { addr: server.local_addr(), scheme, key });
            let handle = server.handle();
            let serve = server.serve(|conn| counted(server::serve_one(conn)));
            serving.push((handle, spawn(serve)));
        }
        Arc::new(Self { doors, serving: Mutex::new(serving), closing: AtomicBool::new(false) })
    }

    /// Whether the servers are being shut down, or are so already.
    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::SeqCst)
    }

    /// Shuts the servers down; each connection comes to its end by itself.
    pub(crate) async fn shut_down(&self) {
        self.closing.store(true, Ordering::SeqCst);
        let serving: Vec<_> = self.serving.lock().unwrap().drain(..).collect();
        for (server, serving) in serving {
            let shutdown = server.shutdown(PATIENCE).await;
            assert_eq!((shutdown.aborted, server.connections()), (0, 0), "{shutdown}");
            assert_eq!(serving.await, shutdown);
        }
    }
}

/// What sites are made by.
pub(crate) struct Plans {
    #[cfg(feature = "tls")]
    authority: Authority,
    #[cfg(feature = "tls")]
    identity: crate::certificates::Identity,
}

#[cfg(feature = "tls")]
impl Plans {
    pub(crate) fn new() -> Self {
        let authority = Authority::new();
        let identity = authority.issue(&LOOPBACK);
        Self { authority, identity }
    }

    fn servers(&self) -> Vec<(Server, &'static str, Key)> {
        let trust = wsweave::ClientTls::new().ca_file(self.authority.root()).unwrap();
        let key: Key = Box::new(move |client| client.tls(trust.clone()));
        let secure = (Server::new().tls(self.identity.server()), "wss", key);
        vec![(Server::new(), "ws", Box::new(|client| client)), secure]
    }
}

#[cfg(not(feature = "tls"))]
impl Plans {
    pub(crate) fn new() -> Self {
        Self {}
    }

    #[allow(clippy::unused_self, reason = "with TLS there is more to it")]
    fn servers(&self) -> Vec<(Server, &'static str, Key)> {
        vec![(Server::new(), "ws", Box::new(|client| client))]
    }
}

/// What is dead or stuck is found out within seconds: enough of them for a visitor on a busy machine.
fn config() -> Config {
    Config::default()
        .max_message_size(MAX_MESSAGE)
        .handshake_timeout(Duration::from_secs(6))
        .idle_timeout(Some(Duration::from_secs(6)))
        .keepalive_interval(Some(Duration::from_secs(1)))
        .keepalive_timeout(Duration::from_secs(4))
        .write_timeout(Duration::from_secs(4))
        .close_timeout(Duration::from_secs(4))
        .compression(Compression::default().level(1))
}

/// The largest message that the servers take.
pub(crate) const MAX_MESSAGE: usize = 1 << 20;
/// More than all the timeouts of a connection together.
const PATIENCE: Duration = Duration::from_secs(30);
