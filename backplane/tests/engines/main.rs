//! Nodes on real brokers: each test with NATS and with Redis.

#![allow(clippy::unwrap_used, reason = "the lint spares only what is marked as a test itself")]

mod away;
mod bad;
mod closing;
mod nats_only;
mod nodes;
mod presence;
mod refused;
mod replay;
#[path = "../support/mod.rs"]
mod support;
mod topics;

/// Makes a test of each function, with each engine.
macro_rules! on_each_engine {
    ($($test:ident),* $(,)?) => {
        mod nats {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    super::$test($crate::support::Engine::Nats).await;
                }
            )*
        }

        mod redis {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    super::$test($crate::support::Engine::Redis).await;
                }
            )*
        }
    };
}

use on_each_engine;
