//! [`Opening`]: what a connection keeps of its opening handshake.

use std::fmt;

use async_tungstenite::tungstenite::handshake::machine::TryParse;
use http::{Request, Response};

use crate::connection::Connection;

/// What is known of the opening handshake: the head that the peer sent, in one allocation and parsed
/// when asked, and the subprotocol.
pub(crate) struct Opening {
    head: Head,
    subprotocol: Option<Box<str>>,
}

/// Checked when it was read, so that it parses again.
enum Head {
    Request(Box<[u8]>),
    Response(Box<[u8]>),
    Forgotten,
}

impl Opening {
    /// A server's.
    pub(super) fn request(head: Vec<u8>, subprotocol: Option<Box<str>>) -> Self {
        Self { head: Head::Request(head.into()), subprotocol }
    }

    /// A client's.
    pub(super) fn response(head: Vec<u8>, subprotocol: Option<Box<str>>) -> Self {
        Self { head: Head::Response(head.into()), subprotocol }
    }

    pub(crate) fn subprotocol(&self) -> Option<&str> {
        self.subprotocol.as_deref()
    }
}

/// Without the head: it may carry passwords and cookies.
impl fmt::Debug for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opening").field("subprotocol", &self.subprotocol).finish_non_exhaustive()
    }
}

/// What the opening handshake said.
impl<S> Connection<S> {
    /// The subprotocol that both sides agreed on (RFC 6455, section 1.9).
    ///
    /// `None` without one, and for a connection whose handshake was done elsewhere.
    ///
    /// # Examples
    ///
    /// ```
    /// use futures::StreamExt;
    /// use wsweave::{Accept, Client};
    ///
    /// # async_std::task::block_on(async {
    /// let mut listener = wsweave::listen("127.0.0.1:0")
    ///     .await?
    ///     .on_request(|request| Ok(Accept::new().choose_subprotocol(request, ["chat.v2", "chat"])));
    /// let client = Client::new(&format!("ws://{}", listener.local_addr()))?.subprotocol("chat")?;
    ///
    /// let (client, server) = futures::join!(client.connect(), listener.next());
    /// assert_eq!(client?.subprotocol(), Some("chat"));
    /// assert_eq!(server.unwrap().subprotocol(), Some("chat"));
    /// # Ok::<_, wsweave::Error>(()) }).unwrap();
    /// ```
    #[must_use]
    pub fn subprotocol(&self) -> Option<&str> {
        self.opening()?.subprotocol()
    }

    /// The client's request, at a server: its path, query and headers. It is parsed anew at each call.
    ///
    /// `None` at a client, after [`forget_head`](Self::forget_head), and for a connection whose
    /// handshake was done elsewhere.
    ///
    /// # Examples
    ///
    /// ```
    /// use futures::StreamExt;
    ///
    /// # async_std::task::block_on(async {
    /// let mut listener = wsweave::listen("127.0.0.1:0").await?;
    /// let url = format!("ws://{}/room?id=7", listener.local_addr());
    ///
    /// let (client, server) = futures::join!(wsweave::connect(&url), listener.next());
    /// let request = server.unwrap().request().unwrap();
    /// assert_eq!(request.uri().path(), "/room");
    /// assert_eq!(request.uri().query(), Some("id=7"));
    /// assert!(client?.request().is_none());
    /// # Ok::<_, wsweave::Error>(()) }).unwrap();
    /// ```
    #[must_use]
    pub fn request(&self) -> Option<Request<()>> {
        match &self.opening()?.head {
            Head::Request(head) => Some(Request::try_parse(head).ok()??.1),
            Head::Response(_) | Head::Forgotten => None,
        }
    }

    /// The server's answer, at a client: its headers. It is parsed anew at each call.
    ///
    /// `None` at a server, after [`forget_head`](Self::forget_head), and for a connection whose
    /// handshake was done elsewhere.
    ///
    /// # Examples
    ///
    /// ```
    /// use futures::StreamExt;
    /// use wsweave::Accept;
    ///
    /// # async_std::task::block_on(async {
    /// let mut listener = wsweave::listen("127.0.0.1:0")
    ///     .await?
    ///     .on_request(|_| Ok(Accept::new().header("Server", "loom")?));
    /// let url = format!("ws://{}", listener.local_addr());
    ///
    /// let (client, _server) = futures::join!(wsweave::connect(&url), listener.next());
    /// assert_eq!(client?.response().unwrap().headers()["server"], "loom");
    /// # Ok::<_, wsweave::Error>(()) }).unwrap();
    /// ```
    #[must_use]
    pub fn response(&self) -> Option<Response<()>> {
        match &self.opening()?.head {
            Head::Response(head) => {
                Some(Response::<Option<Vec<u8>>>::try_parse(head).ok()??.1.map(drop))
            }
            Head::Request(_) | Head::Forgotten => None,
        }
    }

    /// Frees the memory of [`request`](Self::request) and [`response`](Self::response), for servers
    /// that hold many idle connections. The subprotocol stays.
    ///
    /// # Examples
    ///
    /// ```
    /// use futures::StreamExt;
    ///
    /// # async_std::task::block_on(async {
    /// let mut listener = wsweave::listen("127.0.0.1:0").await?;
    /// let url = format!("ws://{}", listener.local_addr());
    ///
    /// let (_client, server) = futures::join!(wsweave::connect(&url), listener.next());
    /// assert!(server.unwrap().forget_head().request().is_none());
    /// # Ok::<_, wsweave::Error>(()) }).unwrap();
    /// ```
    pub fn forget_head(self) -> Self {
        match self.opening() {
            Some(opening) => {
                let subprotocol = opening.subprotocol.clone();
                self.with_opening(Opening { head: Head::Forgotten, subprotocol })
            }
            None => self,
        }
    }
}
