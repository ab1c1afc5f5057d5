//! One WebSocket connection that is a stream of messages in, a sink of messages out, and a place to
//! hang callbacks on: all three on the same value, at the same time.
