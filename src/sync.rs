//! What threads share state by: the real thing, or that of a model checker, which then decides who runs
//! when. See `model/`.

#[cfg(not(shuttle))]
pub(crate) use std::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicU64},
};

#[cfg(not(shuttle))]
pub(crate) use atomic_waker::AtomicWaker;
#[cfg(not(shuttle))]
pub(crate) use event_listener::Event;
#[cfg(shuttle)]
pub(crate) use model_sync::{AtomicBool, AtomicU64, AtomicWaker, Event, Mutex, MutexGuard};
