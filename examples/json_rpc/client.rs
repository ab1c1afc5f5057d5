//! The client: calls, and what the server says unasked.

use std::{
    future::Future,
    sync::atomic::{AtomicU64, Ordering},
};

use futures::{StreamExt, channel::mpsc::Sender};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use wsweave::{Caller, CodecError, Connection, ConnectionExt, Json};

use crate::{
    AnyError,
    protocol::{Outcome, Request, Response, Version},
};

/// What a server sends.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Incoming {
    Response(Response),
    Notification(Request),
}

pub(crate) struct Client {
    caller: Caller<Json<Incoming, Request>, u64>,
    next_id: AtomicU64,
}

impl Client {
    /// Returns the client, and what has to run beside it: that polls the connection to its end, and
    /// tells the server's notifications.
    pub(crate) fn new(
        conn: Connection,
        mut told: Sender<Request>,
    ) -> (Self, impl Future<Output = Result<String, AnyError>>) {
        let (mut rest, caller) = conn.json::<Incoming, Request>().calls(
            |request| request.id.as_ref()?.as_u64(),
            |incoming| match incoming {
                Incoming::Response(response) => response.id.as_u64(),
                Incoming::Notification(_) => None,
            },
        );
        let polling = async move {
            while let Some(incoming) = rest.next().await {
                match incoming {
                    Ok(Incoming::Notification(notification)) => {
                        // To wait here for who listens would keep the answers from the calls: what is
                        // too much is dropped.
                        let _ = told.try_send(notification);
                    }
                    Ok(Incoming::Response(response)) => println!("client: not asked: {response:?}"),
                    Err(CodecError::Decode { error, .. }) => {
                        println!("client: no JSON-RPC: {error}");
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            Ok(rest.get_ref().finish().map(ToString::to_string).unwrap_or_default())
        };
        (Self { caller, next_id: AtomicU64::new(1) }, polling)
    }

    /// Calls a method; an error object is an `Err`.
    pub(crate) async fn call<T: DeserializeOwned>(
        &self,
        method: &str,
        params: impl Serialize,
    ) -> Result<T, AnyError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let request = Request {
            jsonrpc: Version::Two,
            method: method.into(),
            params: serde_json::to_value(params)?,
            id: Some(id.into()),
        };
        match self.caller.call(request).await? {
            Incoming::Response(Response { outcome: Outcome::Result(value), .. }) => {
                Ok(serde_json::from_value(value)?)
            }
            Incoming::Response(Response { outcome: Outcome::Error(fault), .. }) => {
                Err(fault.into())
            }
            Incoming::Notification(_) => unreachable!("a notification has no id"),
        }
    }
}
