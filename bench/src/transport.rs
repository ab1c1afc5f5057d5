//! Transports in memory, and the messages that go over them.
