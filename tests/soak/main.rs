//! Connections come and go for some minutes, with faults thrown in; then memory, descriptors, threads
//! and tasks are back where they began. It runs when it is asked to, for as long as that says:
//!
//! ```sh
//! SOAK_SECONDS=300 cargo test --test soak -- --ignored --nocapture
//! ```
//!
//! It prints its seed, which `SOAK_SEED` sets: what the visitors do follows from that, when they do it
//! does not.

#![cfg(all(target_os = "linux", feature = "runtime"))]
#![allow(clippy::unwrap_used, reason = "the lint spares only what is marked as a test itself")]

#[path = "../support/allocator.rs"]
mod allocator;
#[cfg(feature = "tls")]
#[path = "../tls/certificates.rs"]
#[allow(dead_code, reason = "the tests of TLS share it, and this uses a part of it")]
mod certificates;
mod faults;
mod holdings;
mod raw;
mod server;
mod site;
#[path = "../support/mod.rs"]
mod support;
mod tally;
mod visit;
mod visitors;

use std::{
    env,
    str::FromStr,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{StreamExt, future::join_all, stream::FuturesUnordered};
use rand::{RngExt, SeedableRng, rngs::StdRng};

use self::{
    holdings::{Holdings, spawn},
    site::{Plans, Site},
    tally::Tally,
    visit::Visit,
};
use crate::support::rt::within_time;

#[global_allocator]
static ALLOCATOR: allocator::Counting = allocator::Counting;

#[test]
#[ignore = "it takes minutes"]
fn all_is_back_where_it_began() {
    let length = Duration::from_secs(setting("SOAK_SECONDS").unwrap_or(180));
    let seed = setting("SOAK_SEED").unwrap_or_else(rand::random);
    println!("SOAK_SEED={seed}, for {} seconds", length.as_secs());
    let mut rng = StdRng::seed_from_u64(seed);
    let plans = Plans::new();
    let tally = Arc::new(Tally::default());

    // What the runtime opens for itself, and what is made once for all, is there after that. What its tables
    // take goes up and down by tens of KiB from round to round.
    let warm_up = |_| {
        within_time(ROUND_LIMIT, round(&mut rng, &plans, &tally));
        Holdings::settled()
    };
    let before = (0..WARM_UP_ROUNDS).map(warm_up).reduce(Holdings::or_its_memory).unwrap();
    println!("to begin with: {before}");

    let started = Instant::now();
    let mut held = Vec::new();
    while started.elapsed() < length || held.len() < LEAST_ROUNDS {
        let (round_started, before_round) = (Instant::now(), tally.snapshot());
        allocator::take_peak_of_all();
        within_time(ROUND_LIMIT, round(&mut rng, &plans, &tally));
        let (took, peak) = (round_started.elapsed(), allocator::take_peak_of_all());
        let left = before.assert_left();
        held.push(left.memory);
        println!(
            "round {}: {}, {:.1} s; peak {} KiB; left: {left}",
            held.len(),
            tally.snapshot() - before_round,
            took.as_secs_f32(),
            peak >> 10,
        );
    }
    println!("in all: {}\n{tally}", tally.snapshot());
    assert_no_growth(&held);
}

/// Visitors of every kind, some at a time; now and then the servers are shut down under them, and new
/// ones take their place.
async fn round(rng: &mut StdRng, plans: &Plans, tally: &Arc<Tally>) {
    let restart_at = rng.random_range(0..2 * VISITS);
    let (mut site, mut former) = (Site::open(plans).await, Vec::new());
    let mut under_way = FuturesUnordered::new();
    for number in 0..VISITS {
        if number == restart_at {
            let old = std::mem::replace(&mut site, Site::open(plans).await);
            former.push(spawn(async move { old.shut_down().await }));
        }
        if under_way.len() == AT_ONCE {
            under_way.next().await;
        }
        let visit = Visit::new(Arc::clone(&site), Arc::clone(tally), rng.random());
        under_way.push(spawn(visit.make()));
    }
    under_way.collect::<Vec<()>>().await;
    site.shut_down().await;
    join_all(former).await;
}

/// A leak too small for one round shows in many: in their second half even the least that was left is
/// more than the most of the first half.
fn assert_no_growth(held: &[usize]) {
    let (early, late) = held.split_at(held.len() / 2);
    let (most, least) = (early.iter().max().unwrap(), late.iter().min().unwrap());
    assert!(held.len() < MANY_ROUNDS || least <= most, "memory grows, round by round: {held:?}");
}

fn setting<T: FromStr>(name: &str) -> Option<T> {
    let text = env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

const VISITS: u32 = 200;
const AT_ONCE: usize = 50;
/// They take seconds, but not where everything else takes minutes, too.
const ROUND_LIMIT: Duration = Duration::from_secs(300);
const WARM_UP_ROUNDS: usize = 3;
const LEAST_ROUNDS: usize = 2;
/// So many that they do not grow by chance.
const MANY_ROUNDS: usize = 16;
