//! [`ConnectionExt::callbacks`](crate::ConnectionExt::callbacks): hooks that come and go while the
//! connection runs, from anywhere.

mod lists;
mod registration;
mod registry;
mod with_callbacks;

pub use self::{registration::Registration, registry::Callbacks, with_callbacks::WithCallbacks};
