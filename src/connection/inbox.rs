//! [`Inbox`]: what was read while nobody asked for it.

use std::{collections::VecDeque, mem};

use crate::{error::Error, ext::Event};

/// Events that wait for `poll_event`, in order.
#[derive(Debug)]
pub(super) struct Inbox {
    events: VecDeque<Event>,
    /// The size of what waits, each event counted with a little for itself.
    size: usize,
    messages: usize,
    /// How much may wait.
    mark: usize,
    /// A message was dropped.
    overflown: bool,
    /// What went wrong has been told.
    told: bool,
}

impl Inbox {
    pub(super) fn new() -> Self {
        Self {
            events: VecDeque::new(),
            size: 0,
            messages: 0,
            mark: HIGH_WATER_MARK,
            overflown: false,
            told: false,
        }
    }

    /// Lets so much wait, if that is more than usual.
    pub(super) fn widen(&mut self, mark: usize) {
        self.mark = self.mark.max(mark);
    }

    /// Takes over what another inbox holds.
    pub(super) fn inherit(&mut self, other: Self) {
        other.events.into_iter().for_each(|event| self.keep(event));
    }

    /// Takes out the error, if one waits.
    pub(super) fn take_error(&mut self) -> Option<Error> {
        let at = self.events.iter().position(|event| matches!(event, Event::Error(_)))?;
        let Some(Event::Error(error)) = self.events.remove(at) else { return None };
        self.size -= size(&Event::Error(error.clone()));
        Some(error)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    pub(super) fn holds_message(&self) -> bool {
        self.messages > 0
    }

    /// Whether no more messages should be read while nobody takes those that wait.
    pub(super) fn is_full(&self) -> bool {
        self.holds_message() && self.size >= self.mark
    }

    /// Whether a message was dropped: what follows it is to be dropped, too, so that there is no gap.
    pub(super) fn is_overflown(&self) -> bool {
        self.overflown
    }

    /// Keeps an event for later, if there is room: up to the high-water mark, or one message of any
    /// size. The first error always has room; there is no second.
    pub(super) fn push(&mut self, event: Event) {
        match &event {
            Event::Message(_) => {
                self.overflown |= self.is_full();
                if self.overflown {
                    return;
                }
            }
            Event::Ping(_) | Event::Pong(_) if self.size >= self.mark => return,
            Event::Error(_) if mem::replace(&mut self.told, true) => return,
            _ => {}
        }
        self.keep(event);
    }

    fn keep(&mut self, event: Event) {
        self.size += size(&event);
        self.messages += usize::from(matches!(event, Event::Message(_)));
        self.events.push_back(event);
    }

    pub(super) fn pop(&mut self) -> Option<Event> {
        let event = self.events.pop_front()?;
        self.size -= size(&event);
        self.messages -= usize::from(matches!(event, Event::Message(_)));
        if self.events.is_empty() {
            // An idle connection holds nothing.
            self.events = VecDeque::new();
        }
        Some(event)
    }
}

fn size(event: &Event) -> usize {
    let payload = match event {
        Event::Message(message) => message.len(),
        Event::Ping(payload) | Event::Pong(payload) => payload.len(),
        Event::Error(_) => 0,
    };
    payload + size_of::<Event>()
}

const HIGH_WATER_MARK: usize = 64 << 10;
