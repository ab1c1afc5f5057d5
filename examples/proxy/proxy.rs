//! [`Proxy`]: connects to the target for each client, and relays.
//!
//! - The target is asked for the request's path and query, behind those of its URL, and offered the
//!   client's subprotocols; the client is answered with the one that it chooses.
//! - Headers are passed on by name, those of the request to the target and those of its answer to the client.
//!   `X-Forwarded-For` gets the client's address; what a client itself claims there goes along only if it
//!   is among those names.
//! - A web page of another host is refused, as the target would see the proxy's requests only. If `Origin` is
//!   among the names, that is for the target to decide.
//! - A target that cannot be reached is answered with 502, one that takes too long with 504. When it refuses
//!   the client with a status of 4xx or 5xx, that is the answer, its start of a body included.

use std::{convert::Infallible, iter, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use futures::{
    FutureExt, StreamExt,
    channel::{
        mpsc::{self, UnboundedReceiver, UnboundedSender},
        oneshot::Receiver,
    },
    future::{Either, Shared, select},
};
use http_body_util::Full;
use hyper::{
    Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{CONTENT_TYPE, ORIGIN, RETRY_AFTER, SEC_WEBSOCKET_PROTOCOL, WWW_AUTHENTICATE},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    time::sleep,
};
use wsweave::{
    Accept, Client, CloseCode, Compression, Config, Connection, ConnectionExt, Error, ErrorKind,
    Origins, Refusal, Socket,
    handshake::server::{self, Upgrade},
    http::HeaderName,
};

#[derive(Clone)]
pub(crate) struct Proxy {
    target: String,
    headers: Vec<HeaderName>,
    config: Config,
}

/// What all clients' tasks hold: when to stop, and that they have not yet.
#[derive(Clone)]
struct Lifetime {
    stop: Shared<Receiver<()>>,
    _busy: UnboundedSender<Infallible>,
}

/// The relays that are left when the proxy has stopped.
pub(crate) struct Relays(UnboundedReceiver<Infallible>);

impl Relays {
    /// Waits for the last of them.
    pub(crate) async fn ended(mut self) {
        while self.0.next().await.is_some() {}
    }
}

impl Proxy {
    /// A proxy for the server at a URL, that passes these headers on.
    pub(crate) fn new(target: &str, headers: Vec<HeaderName>) -> Result<Self, Error> {
        let target = target.trim_end_matches('/').to_owned();
        let mut client = Client::new(&target)?;
        for name in &headers {
            client = client.header(name, "checked for what the handshake sets itself")?;
        }
        Ok(Self { target, headers, config: Config::default() })
    }

    /// Compresses on either side, with peers that can.
    pub(crate) fn compress(mut self) -> Self {
        self.config = self.config.compression(Compression::default());
        self
    }

    /// Serves until `stop` comes; then all clients and targets are sent a Close.
    pub(crate) async fn serve(self, listener: TcpListener, stop: Receiver<()>) -> Relays {
        let (busy, relays) = mpsc::unbounded();
        let (proxy, lifetime) = (Arc::new(self), Lifetime { stop: stop.shared(), _busy: busy });
        let mut stopped = lifetime.stop.clone();
        loop {
            match select(pin!(accept(&listener)), &mut stopped).await {
                Either::Left(((stream, peer), _)) => {
                    tokio::spawn(Arc::clone(&proxy).serve_one(stream, peer, lifetime.clone()));
                }
                Either::Right(_) => return Relays(relays),
            }
        }
    }

    /// Speaks HTTP with a client until there is a connection, or a refusal.
    async fn serve_one(self: Arc<Self>, stream: TcpStream, peer: SocketAddr, lifetime: Lifetime) {
        let stop = lifetime.stop.clone();
        let answer = service_fn(|request| {
            let (proxy, lifetime) = (Arc::clone(&self), lifetime.clone());
            async move {
                let answer = proxy.answer(request, peer, lifetime).await;
                let answer = answer.unwrap_or_else(Refusal::into_response);
                Ok::<_, Infallible>(answer.map(Full::new))
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .serve_connection(TokioIo::new(stream), answer)
            .with_upgrades();
        if let Either::Left((Err(error), _)) = select(pin!(connection), stop).await {
            eprintln!("{peer}: {error}");
        }
    }

    async fn answer(
        &self,
        mut request: Request<Incoming>,
        peer: SocketAddr,
        lifetime: Lifetime,
    ) -> Result<Response<Bytes>, Refusal> {
        // What is no proper handshake is none of the target's business.
        server::respond(&request)?;
        if !self.headers.contains(&ORIGIN) {
            Origins::same_host().check(&request)?;
        }
        let client = self.client(&request, peer).map_err(|error| {
            Refusal::new(
                StatusCode::BAD_REQUEST,
                format!("the request cannot be passed on: {error}"),
            )
        })?;
        let target = client.connect().await.map_err(|error| refuse(peer, &error))?;

        let mut accept = Accept::new().config(self.config.clone());
        if let Some(name) = target.subprotocol() {
            accept = accept.subprotocol(name);
        }
        let answered = target.response().unwrap_or_default();
        for name in &self.headers {
            for value in answered.headers().get_all(name) {
                accept = accept.header(name, value)?;
            }
        }
        let (response, upgrade) = server::upgrade(&request, accept)?;
        let upgraded = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            match upgraded.await.map(|io| Socket::from_tokio(TokioIo::new(io))) {
                Ok(io) => relay(upgrade, io, target, lifetime).await,
                Err(error) => eprintln!("{peer}: {error}"),
            }
        });
        Ok(response.map(|()| Bytes::new()))
    }

    /// What connects to the target on behalf of a client.
    fn client(&self, request: &Request<Incoming>, peer: SocketAddr) -> Result<Client, Error> {
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        let mut client =
            Client::new(&format!("{}{path}", self.target))?.config(self.config.clone()).no_proxy();
        let offers = request.headers().get_all(SEC_WEBSOCKET_PROTOCOL).iter();
        for name in offers.flat_map(|offer| offer.to_str().unwrap_or_default().split(',')) {
            client = client.subprotocol(name.trim())?;
        }
        let mut headers: Vec<_> = self
            .headers
            .iter()
            .flat_map(|name| iter::repeat(name).zip(request.headers().get_all(name)))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let address = peer.ip().to_canonical().to_string().parse();
        headers.push((FORWARDED_FOR, address.expect("an address is a header's value")));
        headers.into_iter().try_fold(client, |client, (name, value)| client.header(name, value))
    }
}

/// The next client. That one has gone before, or that too many files are open, is not the end of it.
async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => {
                eprintln!("cannot accept a connection: {error}");
                sleep(BACK_OFF).await;
            }
        }
    }
}

/// What a client is told of a target that gave no connection.
fn refuse(peer: SocketAddr, error: &Error) -> Refusal {
    eprintln!("{peer}: {error}");
    let refused = error
        .response()
        .filter(|answer| answer.status().is_client_error() || answer.status().is_server_error());
    if let Some(refused) = refused {
        let mut answer = Response::new(refused.body().clone());
        *answer.status_mut() = refused.status();
        for name in [CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE] {
            let values = refused.headers().get_all(&name).iter().cloned();
            answer.headers_mut().extend(values.map(|value| (name.clone(), value)));
        }
        return answer.into();
    }
    match error.kind() {
        ErrorKind::Timeout => {
            Refusal::new(StatusCode::GATEWAY_TIMEOUT, "the server behind the proxy takes too long")
        }
        _ => {
            Refusal::new(StatusCode::BAD_GATEWAY, "the server behind the proxy gave no connection")
        }
    }
}

/// Relays until both have ended. When the proxy stops, it closes the client's side, and that closes the other.
async fn relay(upgrade: Upgrade, io: Socket, target: Connection, lifetime: Lifetime) {
    let mut client = upgrade.over(io).linger_on_drop();
    let handle = client.handle();
    let relay = client.relay(target);
    let finishes = match select(relay, lifetime.stop.clone()).await {
        Either::Left((finishes, _)) => finishes,
        Either::Right((_, relay)) => {
            // It fails if that side is closing already.
            let _ = handle.close_with(CloseCode::GOING_AWAY, "the proxy stops");
            relay.await
        }
    };
    println!("client {}; server {}", finishes.0, finishes.1);
}

const BACK_OFF: Duration = Duration::from_millis(200);

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
