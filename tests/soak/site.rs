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
    /// The same, where a handshake has to be quick.
    pub(crate) impatient_doors: Vec<Door>,
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
        let mut serving = Vec::new();
        let doors = open_all(plans, &patient(), &mut serving).await;
        let impatient_doors = open_all(plans, &impatient(), &mut serving).await;
        let (serving, closing) = (Mutex::new(serving), AtomicBool::new(false));
        Arc::new(Self { doors, impatient_doors, serving, closing })
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
            let shutdown = server.shutdown(2 * PATIENCE).await;
            assert_eq!((shutdown.aborted, server.connections()), (0, 0), "{shutdown}");
            assert_eq!(serving.await, shutdown);
        }
    }
}

async fn open_all(
    plans: &Plans,
    config: &Config,
    serving: &mut Vec<(ServerHandle, RemoteHandle<Shutdown>)>,
) -> Vec<Door> {
    let mut doors = Vec::new();
    for (server, scheme, key) in plans.servers() {
        let server =
            server.config(config.clone()).on_request(|request| match request.uri().path() {
                "/none" => Err(Refusal::new(StatusCode::NOT_FOUND, "there is nothing here")),
                _ if request.uri().query() == Some("impatient") => {
                    Ok(Accept::new().config(impatient()))
                }
                _ => Ok(Accept::new()),
            });
        let server = server.bind("127.0.0.1:0").await.unwrap();
        doors.push(Door { addr: server.local_addr(), scheme, key });
        let handle = server.handle();
        serving.push((handle, spawn(server.serve(|conn| counted(server::serve_one(conn))))));
    }
    doors
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

/// For those whom a busy machine may hold up.
pub(crate) fn patient() -> Config {
    Config::default()
        .max_message_size(MAX_MESSAGE)
        .compression(Compression::default().level(1))
        .handshake_timeout(PATIENCE)
        .close_timeout(PATIENCE)
}

/// For those who are dead or stuck on purpose: that is found out within seconds.
fn impatient() -> Config {
    patient()
        .handshake_timeout(Duration::from_secs(2))
        .idle_timeout(Some(Duration::from_secs(3)))
        .keepalive_interval(Some(Duration::from_secs(1)))
        .keepalive_timeout(Duration::from_secs(2))
        .write_timeout(Duration::from_secs(2))
        .close_timeout(Duration::from_secs(2))
}

/// The largest message that the servers take.
pub(crate) const MAX_MESSAGE: usize = 1 << 20;
/// What nobody who behaves well takes.
const PATIENCE: Duration = Duration::from_secs(60);
