//! The server: `add`, and a subscription to a ticking clock.

use std::time::Duration;

use async_std::task::sleep;
use futures::{SinkExt, StreamExt, select, stream};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use wsweave::{CodecError, Connection, ConnectionExt, JsonError};

use crate::protocol::{Fault, Outcome, Request, Response, Version};

/// Answers one client, and ticks while it is subscribed, until it leaves.
pub(crate) async fn serve(conn: Connection) -> Result<(), CodecError<JsonError>> {
    // Any JSON: what is no request has an answer, too.
    let mut conn = conn.json::<Value, Value>();
    let mut session = Session::default();
    let mut clock = Box::pin(stream::repeat(()).then(|()| sleep(TICK)).fuse());
    loop {
        let answer = select! {
            item = conn.next() => match item {
                Some(Ok(value)) => session.answer(value),
                Some(Err(CodecError::Decode { error, .. })) => {
                    Some(refusal(Value::Null, Fault::new(Fault::PARSE_ERROR, error)))
                }
                Some(Err(error)) => return Err(error),
                None => return Ok(()),
            },
            _ = clock.next() => session.tick(),
        };
        if let Some(answer) = answer {
            conn.send(answer).await?;
        }
    }
}

/// What the server knows of a client.
#[derive(Default)]
struct Session {
    subscription: Option<Subscription>,
    subscriptions: u64,
}

struct Subscription {
    id: u64,
    ticks: u64,
}

impl Session {
    /// The answer to one request or a batch of them; notifications have none.
    fn answer(&mut self, value: Value) -> Option<Value> {
        match value {
            Value::Array(batch) if !batch.is_empty() => {
                let answers: Vec<_> =
                    batch.iter().filter_map(|value| self.answer_one(value)).collect();
                (!answers.is_empty()).then_some(Value::Array(answers))
            }
            value => self.answer_one(&value),
        }
    }

    fn answer_one(&mut self, value: &Value) -> Option<Value> {
        let request = match Request::deserialize(value) {
            Ok(request) => request,
            Err(error) => {
                let id = value.get("id").filter(|id| id.is_number() || id.is_string());
                let fault = Fault::new(Fault::INVALID_REQUEST, error);
                return Some(refusal(id.cloned().unwrap_or_default(), fault));
            }
        };
        let outcome = self.run(&request.method, request.params);
        let id = request.id?;
        Some(match outcome {
            Ok(value) => response(id, Outcome::Result(value)),
            Err(fault) => refusal(id, fault),
        })
    }

    fn run(&mut self, method: &str, params: Value) -> Result<Value, Fault> {
        match method {
            "add" => {
                let (a, b): (i64, i64) = of(params)?;
                let sum = a.checked_add(b);
                sum.map(Value::from).ok_or_else(|| Fault::new(Fault::INVALID_PARAMS, "too large"))
            }
            "subscribe" => {
                self.subscriptions += 1;
                self.subscription = Some(Subscription { id: self.subscriptions, ticks: 0 });
                Ok(self.subscriptions.into())
            }
            "unsubscribe" => {
                let (id,): (u64,) = of(params)?;
                Ok(self.subscription.take_if(|subscription| subscription.id == id).is_some().into())
            }
            _ => Err(Fault::new(Fault::METHOD_NOT_FOUND, "no such method")),
        }
    }

    /// What is said unasked, to a client that is subscribed.
    fn tick(&mut self) -> Option<Value> {
        let Subscription { id, ticks } = self.subscription.as_mut()?;
        *ticks += 1;
        Some(json!({
            "jsonrpc": Version::Two,
            "method": "tick",
            "params": { "subscription": id, "tick": ticks },
        }))
    }
}

fn of<T: DeserializeOwned>(params: Value) -> Result<T, Fault> {
    serde_json::from_value(params).map_err(|error| Fault::new(Fault::INVALID_PARAMS, error))
}

fn refusal(id: Value, fault: Fault) -> Value {
    response(id, Outcome::Error(fault))
}

fn response(id: Value, outcome: Outcome) -> Value {
    json!(Response { jsonrpc: Version::Two, outcome, id })
}

const TICK: Duration = Duration::from_millis(20);
