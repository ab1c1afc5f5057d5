//! [`OnEachText`]: a hook on every text message.

use std::pin::Pin;

use pin_project_lite::pin_project;

use crate::{
    ext::{Duplex, HookResult},
    message::Message,
};

pin_project! {
    /// A connection with a hook on every text message: see
    /// [`ConnectionExt::on_each_text`](crate::ConnectionExt::on_each_text).
    ///
    /// # Examples
    ///
    /// A named function makes a type that can be written down:
    ///
    /// ```
    /// use wsweave::{Connection, ConnectionExt, OnEachText, Pipe};
    ///
    /// type Logged = OnEachText<Connection<Pipe>, fn(&str)>;
    ///
    /// fn log(text: &str) {
    ///     println!("{text}");
    /// }
    ///
    /// let (conn, _peer) = Connection::pair();
    /// let _conn: Logged = conn.on_each_text(log);
    /// ```
    #[must_use = "a connection does nothing unless polled"]
    pub struct OnEachText<C, F> {
        #[pin]
        inner: C,
        hook: F,
    }
}

impl<C, F> OnEachText<C, F> {
    pub(super) fn new(inner: C, hook: F) -> Self {
        Self { inner, hook }
    }
}

impl<C, F, R> OnEachText<C, F>
where
    C: Duplex,
    F: FnMut(&str) -> R,
    R: HookResult,
{
    #[inline]
    fn hook(self: Pin<&mut Self>, message: &Message) {
        let this = self.project();
        if let Message::Text(text) = message {
            this.inner.peer().run(|_| (this.hook)(text));
        }
    }
}

delegate_message_layer! {
    impl[C, F, R] OnEachText<C, F>
    where
        F: FnMut(&str) -> R,
        R: HookResult,
}
