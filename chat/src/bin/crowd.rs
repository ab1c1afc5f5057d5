//! A crowd for the chat: `cargo run --release -p chat --bin crowd -- ws://127.0.0.1:8080/ws --members 1000`.
//!
//! All members come first; then they take turns in saying something, evenly spread over time, and what
//! arrives is counted and timed at every member, from when it was to be said: what a slow server holds up
//! counts, too. The exit code is 1 if something was lost.

use std::{
    borrow::Cow,
    error::Error,
    io::Write,
    process::ExitCode,
    str::FromStr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use chat::{VERSION, raise_descriptors};
use futures::{StreamExt, TryStreamExt, future::join_all, stream};
use hdrhistogram::Histogram;
use lexopt::{Arg, Parser, ValueExt};
use serde::Deserialize;
use serde_json::json;
use tokio::{
    sync::watch,
    time::{interval, sleep, sleep_until, timeout},
};
use wsweave::{Client, Connection, ConnectionExt, Handle, Message};

const USAGE: &str = "\
usage: crowd URL [--members N] [--rate R] [--seconds S] [--room-size N] [--bytes N]

  URL            the chat's WebSocket, such as ws://127.0.0.1:8080/ws
  --members N    how many connections; 100
  --rate R       how many messages all of them say each second, together; 100
  --seconds S    for how long; 10
  --room-size N  how many members a room has; 20
  --bytes N      how long a text is at least; 32";

struct Options {
    url: String,
    members: usize,
    rate: u32,
    seconds: u64,
    room_size: usize,
    bytes: usize,
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = match Options::from_env() {
        Ok(Some(options)) => options,
        Ok(None) => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("crowd: {error}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match run(options).await {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("crowd: {error}");
            ExitCode::from(2)
        }
    }
}

/// Returns how much was lost.
async fn run(options: Options) -> Result<u64, Box<dyn Error>> {
    let wanted = (options.members + SPARE) as u64;
    let descriptors = raise_descriptors(wanted)?;
    if descriptors < wanted {
        let what = format!(
            "{} members take {wanted} open files, and the hard limit is {descriptors}: raise it \
             (`ulimit -Hn`), or take fewer",
            options.members
        );
        return Err(what.into());
    }
    let crowd = Arc::new(Crowd::new(options));
    let joining = join_in(&crowd);
    let progress = progress(&crowd);
    let members = tokio::select! {
        members = joining => members?,
        never = progress => match never {},
    };
    let (go, went) = watch::channel(None);
    let tasks: Vec<_> = members
        .into_iter()
        .enumerate()
        .map(|(n, member)| tokio::spawn(member.take_part(Arc::clone(&crowd), n, went.clone())))
        .collect();
    let began = Instant::now() + Duration::from_millis(100);
    go.send(Some(began))?;
    let talking = async {
        sleep_until((began + Duration::from_secs(crowd.options.seconds)).into()).await;
        crowd.settled().await;
    };
    tokio::select! {
        () = talking => {}
        never = self::progress(&crowd) => match never {},
    }
    crowd.is_over.store(true, Relaxed);
    go.send(None)?;
    if timeout(PATIENCE, join_all(tasks)).await.is_err() {
        eprintln!("crowd: not all connections ended in time");
    }
    Ok(crowd.report())
}

/// What all members have in common.
struct Crowd {
    options: Options,
    /// Rooms of another crowd have other names.
    epoch: u32,
    born: Instant,
    joined: AtomicU64,
    said: AtomicU64,
    /// What is to arrive of what was said.
    expected: AtomicU64,
    delivered: AtomicU64,
    errors: AtomicU64,
    ended: AtomicU64,
    is_over: AtomicBool,
    /// In microseconds. Many, so that members seldom wait for each other.
    latencies: Vec<Mutex<Histogram<u64>>>,
}

struct Member {
    conn: Connection,
    room: String,
    /// How many members the room has.
    heard_by: u64,
}

/// What is of interest in what the server says.
#[derive(Deserialize)]
struct Event<'a> {
    r#type: &'a str,
    #[serde(borrow)]
    text: Option<Cow<'a, str>>,
    #[serde(borrow)]
    message: Option<Cow<'a, str>>,
}

enum Never {}

impl Crowd {
    fn new(options: Options) -> Self {
        let empty = Histogram::new_with_bounds(1, 600_000_000, 3).expect("the bounds are fixed");
        Self {
            options,
            epoch: rand::random(),
            born: Instant::now(),
            joined: AtomicU64::new(0),
            said: AtomicU64::new(0),
            expected: AtomicU64::new(0),
            delivered: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            ended: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
            latencies: (0..SHARDS).map(|_| Mutex::new(empty.clone())).collect(),
        }
    }

    /// Something has come for member `n`: if it was said by this crowd, it says when.
    fn hear(&self, n: usize, message: &Message) {
        let text = message.as_text().unwrap_or_default();
        let Ok(event) = serde_json::from_str::<Event<'_>>(text) else {
            self.errors.fetch_add(1, Relaxed);
            return;
        };
        match event.r#type {
            "message" => {}
            "error" => {
                if self.errors.fetch_add(1, Relaxed) == 0 {
                    eprintln!("crowd: the server says: {}", event.message.unwrap_or_default());
                }
                return;
            }
            _ => return,
        }
        let due = event.text.and_then(|text| text.split(' ').next()?.parse().ok());
        let Some(due) = due else { return };
        let now = self.born.elapsed();
        let late = now.saturating_sub(Duration::from_micros(due)).as_micros();
        let late = u64::try_from(late).unwrap_or(u64::MAX);
        let shard = &self.latencies[n % SHARDS];
        shard.lock().unwrap_or_else(PoisonError::into_inner).saturating_record(late.max(1));
        self.delivered.fetch_add(1, Relaxed);
    }

    /// Waits until all has arrived, or nothing has for a while.
    async fn settled(&self) {
        let mut silent_since = (Instant::now(), self.delivered.load(Relaxed));
        loop {
            sleep(Duration::from_millis(50)).await;
            let delivered = self.delivered.load(Relaxed);
            if delivered != silent_since.1 {
                silent_since = (Instant::now(), delivered);
            }
            let is_all = delivered >= self.expected.load(Relaxed);
            if is_all || silent_since.0.elapsed() > SILENCE {
                return;
            }
        }
    }

    fn report(&self) -> u64 {
        let mut all = Histogram::<u64>::new_with_bounds(1, 600_000_000, 3).expect("as above");
        for shard in &self.latencies {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            all.add(&*shard).expect("all have the same bounds");
        }
        let (expected, delivered) = (self.expected.load(Relaxed), self.delivered.load(Relaxed));
        let lost = expected.saturating_sub(delivered);
        let [p50, p99, max] = [all.value_at_quantile(0.5), all.value_at_quantile(0.99), all.max()]
            .map(Duration::from_micros);
        println!(
            "said {}, delivered {delivered}, lost {lost}, errors {}, connections lost {}",
            self.said.load(Relaxed),
            self.errors.load(Relaxed),
            self.ended.load(Relaxed)
        );
        println!("delivered a second: {}", delivered / self.options.seconds.max(1));
        println!("latency: p50 {p50:.1?}, p99 {p99:.1?}, max {max:.1?}");
        lost
    }
}

/// All members connect, a few at a time, and enter their rooms.
async fn join_in(crowd: &Arc<Crowd>) -> Result<Vec<Member>, Box<dyn Error>> {
    let Options { url, members, room_size, .. } = &crowd.options;
    // One that speaks to a server on this machine needs no proxy.
    let client = Client::new(url)?.no_proxy();
    let connecting = (0..*members).map(|n| {
        let client = &client;
        async move {
            let room = format!("crowd-{:08x}-{}", crowd.epoch, n / room_size);
            let heard_by = (*members - n / room_size * room_size).min(*room_size) as u64;
            let mut conn = client.connect().await?;
            conn.forget_head();
            let hello = json!({"type": "hello", "version": VERSION, "name": format!("member {n}")});
            let join = json!({"type": "join", "room": room});
            let handle = conn.handle();
            handle.send(hello.to_string()).await?;
            handle.send(join.to_string()).await?;
            loop {
                let Some(message) = conn.next().await else {
                    return Err(conn.finish().map(ToString::to_string).unwrap_or_default().into());
                };
                let text = message.as_text().unwrap_or_default();
                match serde_json::from_str::<Event<'_>>(text).map(|event| event.r#type) {
                    Ok("joined") => break,
                    Ok("error") => return Err(text.into()),
                    _ => {}
                }
            }
            crowd.joined.fetch_add(1, Relaxed);
            Ok(Member { conn, room, heard_by })
        }
    });
    stream::iter(connecting).buffered(AT_ONCE).try_collect().await
}

impl Member {
    /// Says something whenever it is its turn, and hears all, until it is told to end.
    async fn take_part(
        self,
        crowd: Arc<Crowd>,
        n: usize,
        mut went: watch::Receiver<Option<Instant>>,
    ) {
        let Self { mut conn, room, heard_by } = self;
        let handle = conn.handle();
        let hearing = Arc::clone(&crowd);
        let hearing = conn.on_each(move |_, message| hearing.hear(n, message)).run();
        let saying = async {
            let began = *went.wait_for(Option::is_some).await.ok()?;
            talk(&crowd, n, &handle, &room, heard_by, began?).await;
            went.wait_for(Option::is_none).await.ok()?;
            let _ = handle.close_with(1000, "");
            Some(())
        };
        tokio::join!(saying, async {
            let finish = hearing.await;
            if !crowd.is_over.load(Relaxed) && crowd.ended.fetch_add(1, Relaxed) == 0 {
                eprintln!("crowd: a connection ended: {finish}");
            }
        });
    }
}

async fn talk(crowd: &Crowd, n: usize, handle: &Handle, room: &str, heard_by: u64, began: Instant) {
    let Options { members, rate, seconds, bytes, .. } = crowd.options;
    let turns = (0..seconds * u64::from(rate)).skip(n).step_by(members);
    for turn in turns {
        let due = began + Duration::from_secs(turn) / rate;
        sleep_until(due.into()).await;
        let at = due.saturating_duration_since(crowd.born).as_micros();
        let text = format!("{:.<bytes$}", format!("{at} from member {n} "));
        let say = json!({"type": "say", "room": room, "text": text}).to_string();
        crowd.said.fetch_add(1, Relaxed);
        crowd.expected.fetch_add(heard_by, Relaxed);
        if handle.send(say).await.is_err() {
            return;
        }
    }
}

/// A line each second.
async fn progress(crowd: &Crowd) -> Never {
    let mut ticks = interval(Duration::from_secs(1));
    let mut before = crowd.delivered.load(Relaxed);
    ticks.tick().await;
    loop {
        ticks.tick().await;
        let delivered = crowd.delivered.load(Relaxed);
        println!(
            "{:3} s: {} of {} members, {} said, {delivered} delivered ({} in this second), {} errors",
            crowd.born.elapsed().as_secs(),
            crowd.joined.load(Relaxed) - crowd.ended.load(Relaxed),
            crowd.options.members,
            crowd.said.load(Relaxed),
            delivered - before,
            crowd.errors.load(Relaxed)
        );
        let _ = std::io::stdout().flush();
        before = delivered;
    }
}

impl Options {
    /// Nothing if help is all that is wanted.
    fn from_env() -> Result<Option<Self>, lexopt::Error> {
        let mut url = None;
        let (mut members, mut rate, mut seconds) = (100, 100, 10);
        let (mut room_size, mut bytes) = (20, 32);
        let mut parser = Parser::from_env();
        while let Some(argument) = parser.next()? {
            match argument {
                Arg::Long("members") => members = parser.value()?.parse_with(positive)?,
                Arg::Long("rate") => rate = parser.value()?.parse_with(positive)?,
                Arg::Long("seconds") => seconds = parser.value()?.parse()?,
                Arg::Long("room-size") => room_size = parser.value()?.parse_with(positive)?,
                Arg::Long("bytes") => bytes = parser.value()?.parse()?,
                Arg::Long("help") | Arg::Short('h') => return Ok(None),
                Arg::Value(value) if url.is_none() => url = Some(value.string()?),
                other => return Err(other.unexpected()),
            }
        }
        let url = url.ok_or("there is no URL")?;
        Ok(Some(Self { url, members, rate, seconds, room_size, bytes }))
    }
}

fn positive<T: FromStr + Default + PartialEq>(text: &str) -> Result<T, &'static str> {
    text.parse().ok().filter(|number| *number != T::default()).ok_or("not a number above 0")
}

/// How many descriptors are not for members.
const SPARE: usize = 64;
/// How many connect at a time.
const AT_ONCE: usize = 100;
const SHARDS: usize = 64;
/// How long nothing may arrive before the rest counts as lost.
const SILENCE: Duration = Duration::from_secs(5);
/// How long the closing handshakes may take.
const PATIENCE: Duration = Duration::from_secs(20);
