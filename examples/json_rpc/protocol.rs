//! What travels (<https://www.jsonrpc.org/specification>).

use std::{error::Error, fmt};

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The "2.0" in each message.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Version {
    #[serde(rename = "2.0")]
    Two,
}

/// A request; without an id a notification, which is not answered.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Request {
    pub(crate) jsonrpc: Version,
    pub(crate) method: String,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub(crate) params: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<Value>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Response {
    pub(crate) jsonrpc: Version,
    #[serde(flatten)]
    pub(crate) outcome: Outcome,
    /// Null where the server could not tell whose it is.
    pub(crate) id: Value,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Outcome {
    Result(Value),
    Error(Fault),
}

/// The error object: why the server does not do what it was asked for.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Fault {
    pub(crate) code: i64,
    pub(crate) message: String,
}

impl Fault {
    pub(crate) const PARSE_ERROR: i64 = -32700;
    pub(crate) const INVALID_REQUEST: i64 = -32600;
    pub(crate) const METHOD_NOT_FOUND: i64 = -32601;
    pub(crate) const INVALID_PARAMS: i64 = -32602;

    pub(crate) fn new(code: i64, message: impl fmt::Display) -> Self {
        Self { code, message: message.to_string() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} (code {})", self.message, self.code)
    }
}

impl Error for Fault {}
