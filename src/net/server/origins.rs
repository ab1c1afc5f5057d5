//! [`Origins`]: from which web pages connections are accepted.

use std::{fmt, sync::Arc};

use http::{
    HeaderMap, Request, StatusCode,
    header::{HOST, ORIGIN},
    uri::Authority,
};

use crate::{
    error::Error,
    handshake::{Refusal, authority, only, sole},
};

/// From which web pages a server accepts connections.
///
/// A browser lets any page connect to any server, with the user's cookies, and says in the `Origin`
/// header which page that is (RFC 6455, section 10.2). A server that trusts cookies has to look at it;
/// this looks at it by default. One that trusts the network that it is in needs a [`list`](Self::list).
///
/// A request without an `Origin` is no browser's, and is accepted whatever the policy: the header
/// protects the users of browsers, it keeps nobody out who can write one. For that ask for a password,
/// in [`on_request`](crate::Server::on_request).
///
/// Origins are compared as RFC 6454, section 5, has it: scheme, host and port, each exactly, where a
/// missing port is the scheme's own and letter case does not count. `null`, the origin of a page that
/// will not say, is refused, and so are two origins, and what is none.
///
/// # Examples
///
/// ```
/// use wsweave::{Origins, Server};
///
/// let origins = Origins::list(["https://app.example", "http://localhost:5173"])?;
/// let server = Server::new().origins(origins);
/// # Ok::<_, wsweave::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Origins(Policy);

#[derive(Clone, Debug)]
enum Policy {
    /// The page comes from where the request goes to, by this scheme.
    SameHost(Scheme),
    List(Arc<[Origin]>),
    Any,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    Http,
    Https,
}

impl Origins {
    /// Pages of the host, and the port, that the client's request names as its own: the default.
    ///
    /// Their scheme has to be `http`, or `https` where `Server::tls` is set. Behind a proxy that does
    /// TLS say [`same_host_over_tls`](Self::same_host_over_tls); behind one that changes the `Host`
    /// header, use a [`list`](Self::list).
    ///
    /// What the client names need not be a name of this server: whoever owns a domain can have it lead
    /// here while a page of it is open (DNS rebinding). That page has no cookies of other hosts, so
    /// cookies are safe; a server that trusts the network that it is in needs a [`list`](Self::list).
    ///
    /// ```
    /// use wsweave::{Origins, http::Request};
    ///
    /// let request = |origin| Request::get("/").header("Host", "a.example").header("Origin", origin);
    /// let origins = Origins::same_host();
    /// assert!(origins.check(&request("http://a.example").body(())?).is_ok());
    /// assert!(origins.check(&request("http://a.example.evil").body(())?).is_err());
    /// # Ok::<_, wsweave::http::Error>(())
    /// ```
    pub fn same_host() -> Self {
        Self(Policy::SameHost(Scheme::Http))
    }

    /// Like [`same_host`](Self::same_host), for pages that come by `https`: a proxy before the server
    /// does TLS.
    ///
    /// ```
    /// use wsweave::{Origins, http::Request};
    ///
    /// let request = Request::get("/").header("Host", "a.example").header("Origin", "https://a.example");
    /// assert!(Origins::same_host_over_tls().check(&request.body(())?).is_ok());
    /// # Ok::<_, wsweave::http::Error>(())
    /// ```
    pub fn same_host_over_tls() -> Self {
        Self(Policy::SameHost(Scheme::Https))
    }

    /// Pages of these origins, and of no others: `https://app.example`, `http://localhost:8080`,
    /// `tauri://localhost`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) for what no browser sends as an
    /// origin: without a scheme, with a path or a pattern (`*`), in letters beyond ASCII (a browser sends
    /// `xn--…`), or of `ws` and `wss`, which is not the page's scheme.
    ///
    /// ```
    /// use wsweave::Origins;
    ///
    /// assert!(Origins::list(["https://app.example", "https://app.example:8443"]).is_ok());
    /// for wrong in ["app.example", "https://app.example/", "https://*.example", "null"] {
    ///     assert!(Origins::list([wrong]).is_err());
    /// }
    /// ```
    pub fn list<I>(origins: I) -> Result<Self, Error>
    where
        I: IntoIterator<Item: AsRef<str>>,
    {
        let checked = origins.into_iter().map(|origin| Origin::configured(origin.as_ref()));
        Ok(Self(Policy::List(checked.collect::<Result<_, _>>()?)))
    }

    /// Any page of the web, with the cookies of whoever looks at it.
    ///
    /// It is for servers that give everyone the same, or ask for a secret that a foreign page does not
    /// have.
    ///
    /// ```
    /// use wsweave::{Origins, http::Request};
    ///
    /// let request = Request::get("/").header("Host", "a.example").header("Origin", "https://evil.example");
    /// assert!(Origins::any().check(&request.body(())?).is_ok());
    /// # Ok::<_, wsweave::http::Error>(())
    /// ```
    pub fn any() -> Self {
        Self(Policy::Any)
    }

    /// Checks where a request comes from. [`Server`](crate::Server) and
    /// [`Acceptor`](crate::Acceptor) do that by themselves; this is for frameworks that read requests
    /// on their own.
    ///
    /// # Errors
    ///
    /// The answer that refuses it: 403, with a line of text that names what would have to be configured.
    ///
    /// ```
    /// use wsweave::{Origins, http::Request};
    ///
    /// let request = Request::get("/").header("Host", "a.example").header("Origin", "null").body(())?;
    /// let refusal = Origins::same_host().check(&request).unwrap_err();
    /// assert_eq!(refusal.response().status(), 403);
    /// # Ok::<_, wsweave::http::Error>(())
    /// ```
    pub fn check<B>(&self, request: &Request<B>) -> Result<(), Refusal> {
        if matches!(self.0, Policy::Any) || !request.headers().contains_key(ORIGIN) {
            return Ok(());
        }
        let is_allowed = Origin::of_page(request.headers()).is_some_and(|origin| match &self.0 {
            Policy::SameHost(scheme) => Some(origin) == Origin::of_target(request, *scheme),
            Policy::List(list) => list.contains(&origin),
            Policy::Any => true,
        });
        if is_allowed { Ok(()) } else { Err(self.refusal(request.headers())) }
    }

    /// The policy of a server with TLS: the same host is meant by the scheme that it is reached by.
    pub(super) fn over_tls(self) -> Self {
        match self.0 {
            Policy::SameHost(_) => Self::same_host_over_tls(),
            Policy::List(_) | Policy::Any => self,
        }
    }

    fn refusal(&self, headers: &HeaderMap) -> Refusal {
        let origin = only(headers, ORIGIN).and_then(|origin| origin.to_str().ok());
        let origin = origin.unwrap_or("more than one origin, or an unreadable one,");
        let allowed = match self.0 {
            Policy::SameHost(Scheme::Http) => {
                "http pages of the same host (behind a proxy that does TLS say \
                 `Origins::same_host_over_tls`)"
            }
            Policy::SameHost(Scheme::Https) => "https pages of the same host",
            Policy::List(_) | Policy::Any => "pages of the listed origins",
        };
        let text = format!(
            "pages of {origin} may not connect: this server allows {allowed}; for others it needs \
             `Origins::list` or `any_origin`"
        );
        Refusal::new(StatusCode::FORBIDDEN, text)
    }
}

impl Default for Origins {
    fn default() -> Self {
        Self::same_host()
    }
}

/// A scheme, a host and a port, in lower case (RFC 6454, section 4).
#[derive(Clone, PartialEq, Eq)]
struct Origin {
    scheme: String,
    host: String,
    /// `None` where the scheme has a port of its own that is not known here.
    port: Option<u16>,
}

impl Origin {
    /// What a browser says of the page.
    fn of_page(headers: &HeaderMap) -> Option<Self> {
        Self::parse(sole(headers.get_all(ORIGIN).iter())?.to_str().ok()?)
    }

    /// Where the request goes to. A target with a host counts more than the `Host` header (RFC 9112,
    /// section 3.2.2).
    fn of_target<B>(request: &Request<B>, scheme: Scheme) -> Option<Self> {
        let host = || authority(only(request.headers(), HOST)?.as_bytes());
        let target = request.uri().authority().cloned().or_else(host)?;
        let scheme = match scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        Some(Self::new(scheme, &target))
    }

    /// One that the server's owner has written down.
    fn configured(text: &str) -> Result<Self, Error> {
        let is_plausible = |origin: &Self| {
            !["ws", "wss"].contains(&origin.scheme.as_str()) && !origin.host.contains('*')
        };
        Self::parse(text).filter(is_plausible).ok_or_else(|| {
            Error::invalid_input(format!(
                "`{text}` is no origin that a browser sends: that is a page's scheme, host and \
                 perhaps port, such as `https://app.example` or `http://localhost:8080`"
            ))
        })
    }

    /// RFC 6454, section 7.1; `null` and lists are none.
    fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
        let authority = authority(rest.as_bytes()).filter(|_| is_scheme && !rest.ends_with(':'))?;
        Some(Self::new(scheme, &authority))
    }

    fn new(scheme: &str, authority: &Authority) -> Self {
        let scheme = scheme.to_ascii_lowercase();
        let own_port = match scheme.as_str() {
            "http" => Some(80),
            "https" => Some(443),
            _ => None,
        };
        let port = authority.port_u16().or(own_port);
        Self { scheme, host: authority.host().to_ascii_lowercase(), port }
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.host)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}
