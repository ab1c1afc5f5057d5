//! [`OnNextText`]: a hook on the next text message, once.

use std::pin::Pin;

use pin_project_lite::pin_project;

use crate::{
    ext::{Duplex, HookResult},
    message::Message,
};

pin_project! {
    /// A connection with a hook on its next text message: see
    /// [`ConnectionExt::on_next_text`](crate::ConnectionExt::on_next_text).
    ///
    /// # Examples
    ///
    /// A named function makes a type that can be written down:
    ///
    /// ```
    /// use wsweave::{Connection, ConnectionExt, OnNextText, Pipe};
    ///
    /// type Logged = OnNextText<Connection<Pipe>, fn(&str)>;
    ///
    /// fn log(text: &str) {
    ///     println!("{text}");
    /// }
    ///
    /// let (conn, _peer) = Connection::pair();
    /// let _conn: Logged = conn.on_next_text(log);
    /// ```
    #[must_use = "a connection does nothing unless polled"]
    pub struct OnNextText<C, F> {
        #[pin]
        inner: C,
        // `None` once it has run.
        hook: Option<F>,
    }
}

impl<C, F> OnNextText<C, F> {
    pub(super) fn new(inner: C, hook: F) -> Self {
        Self { inner, hook: Some(hook) }
    }
}

impl<C, F, R> OnNextText<C, F>
where
    C: Duplex,
    F: FnOnce(&str) -> R,
    R: HookResult,
{
    #[inline]
    fn hook(self: Pin<&mut Self>, message: &Message) {
        let this = self.project();
        if let Message::Text(text) = message {
            if let Some(hook) = this.hook.take() {
                this.inner.peer().run(|_| hook(text));
            }
        }
    }
}

delegate_message_layer! {
    impl[C, F, R] OnNextText<C, F>
    where
        F: FnOnce(&str) -> R,
        R: HookResult,
}
