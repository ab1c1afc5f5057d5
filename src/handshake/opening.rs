//! [`Opening`]: what a connection keeps of its opening handshake.

use std::{fmt, net::SocketAddr};

use async_tungstenite::tungstenite::handshake::machine::TryParse;
use http::{Request, Response};

/// What is known of the opening handshake: the head that the peer sent, in one allocation and parsed
/// when asked, and the subprotocol.
pub(crate) struct Opening {
    head: Head,
    subprotocol: Option<Box<str>>,
    /// Where it is known.
    pub(crate) peer_addr: Option<SocketAddr>,
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
        Self { head: Head::Request(head.into()), subprotocol, peer_addr: None }
    }

    /// A client's.
    pub(super) fn response(head: Vec<u8>, subprotocol: Option<Box<str>>) -> Self {
        Self { head: Head::Response(head.into()), subprotocol, peer_addr: None }
    }

    /// A server's, in a framework, which has the request.
    pub(super) fn headless(subprotocol: Option<Box<str>>) -> Self {
        Self { head: Head::Forgotten, subprotocol, peer_addr: None }
    }

    pub(crate) fn subprotocol(&self) -> Option<&str> {
        self.subprotocol.as_deref()
    }

    pub(crate) fn parse_request(&self) -> Option<Request<()>> {
        match &self.head {
            Head::Request(head) => Some(Request::try_parse(head).ok()??.1),
            Head::Response(_) | Head::Forgotten => None,
        }
    }

    pub(crate) fn parse_response(&self) -> Option<Response<()>> {
        match &self.head {
            Head::Response(head) => {
                Some(Response::<Option<Vec<u8>>>::try_parse(head).ok()??.1.map(drop))
            }
            Head::Request(_) | Head::Forgotten => None,
        }
    }

    pub(crate) fn forget_head(&mut self) {
        self.head = Head::Forgotten;
    }
}

/// Without the head: it may carry passwords and cookies.
impl fmt::Debug for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opening")
            .field("subprotocol", &self.subprotocol)
            .field("peer_addr", &self.peer_addr)
            .finish_non_exhaustive()
    }
}
