//! Connecting and listening: what needs a runtime.

mod connect;
mod listener;

use crate::{
    error::{Error, ErrorKind},
    rt::{self, Runtime},
};

pub use self::{
    connect::connect,
    listener::{Listener, listen},
};

fn runtime() -> Result<Runtime, Error> {
    rt::ambient()
        .ok_or_else(|| Error::new(ErrorKind::Unsupported, "there is no runtime around the caller"))
}
