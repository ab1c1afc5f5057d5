//! A crowd for the chat: `cargo run --release -p chat --bin crowd -- ws://127.0.0.1:8080/ws --members 1000`.
//!
//! All members come first; then they take turns in saying something, evenly spread over time, and what
//! arrives is counted and timed at every member, from when it was to be said: what a slow server holds up
//! counts, too. The exit code is 1 if something was lost, came twice or was refused, or a connection did.

use std::{
    borrow::Cow,
    collections::HashMap,
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
use futures::{
    StreamExt,
    future::{join_all, ready},
    stream,
};
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
usage: crowd URL... [--members N] [--rate R] [--seconds S] [--room-size N] [--bytes N]

  URL            the chat's WebSocket, such as ws://127.0.0.1:8080/ws; of several, which belong together,
                 members take turns, so that each room is on all of them
  --members N    how many connections; 100
  --rate R       how many messages all of them say each second, together; 100
  --seconds S    for how long; 10
  --room-size N  how many members a room has; 20
  --bytes N      how long a text is at least; 32";

struct Options {
    urls: Vec<String>,
    members: usize,
    rate: u32,
    seconds: u32,
    room_size: usize,
    bytes: u16,
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
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("crowd: {error}");
            ExitCode::from(2)
        }
    }
}

/// Returns whether all has gone well.
async fn run(options: Options) -> Result<bool, Box<dyn Error>> {
    let wanted = options.members.saturating_add(SPARE) as u64;
    let descriptors = raise_descriptors(wanted)?;
    if descriptors < wanted {
        let what = format!(
            "{} members take {wanted} open files, and the hard limit is {descriptors}: raise it \
             (`ulimit -Hn`), or take fewer",
            options.members
        );
        return Err(what.into());
    }
    // Those that speak to a server on this machine need no proxy.
    let clients = options.urls.iter().map(|url| Ok(Client::new(url)?.no_proxy()));
    let clients = clients.collect::<Result<Vec<_>, wsweave::Error>>()?;
    let crowd = Arc::new(Crowd::new(options));
    let members = tokio::select! {
        members = join_in(&crowd, &clients) => members,
        never = progress(&crowd) => match never {},
    };
    if members.is_empty() {
        return Err("nobody could join".into());
    }
    let mut heard_by = HashMap::<_, u64>::new();
    for member in &members {
        *heard_by.entry(crowd.room_of(member.n)).or_default() += 1;
    }
    let (go, went) = watch::channel(None);
    let start = |member: Member| {
        let heard_by = heard_by[&crowd.room_of(member.n)];
        tokio::spawn(member.take_part(Arc::clone(&crowd), heard_by, went.clone()))
    };
    let tasks: Vec<_> = members.into_iter().map(start).collect();
    let began = Instant::now() + Duration::from_millis(100);
    go.send(Some(began))?;
    let talking = async {
        sleep_until((began + Duration::from_secs(crowd.options.seconds.into())).into()).await;
        crowd.settled().await;
    };
    tokio::select! {
        () = talking => {}
        () = crowd.deserted() => {}
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
    /// Connections that were not made.
    failed: AtomicU64,
    said: AtomicU64,
    /// What is to arrive of what was said.
    expected: AtomicU64,
    /// What has arrived, each at each member once.
    delivered: AtomicU64,
    duplicates: AtomicU64,
    errors: AtomicU64,
    /// Connections that ended before their time.
    ended: AtomicU64,
    is_over: AtomicBool,
    /// In microseconds. Many, so that members seldom wait for each other.
    latencies: Vec<Mutex<Histogram<u64>>>,
}

struct Member {
    conn: Connection,
    n: usize,
}

/// Which turns a member has heard: a bit for each turn of its room.
struct Heard {
    room: usize,
    turns: Vec<u64>,
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
            failed: AtomicU64::new(0),
            said: AtomicU64::new(0),
            expected: AtomicU64::new(0),
            delivered: AtomicU64::new(0),
            duplicates: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            ended: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
            latencies: (0..SHARDS).map(|_| Mutex::new(empty.clone())).collect(),
        }
    }

    fn room_of(&self, n: usize) -> usize {
        n / self.options.room_size
    }

    fn room_name(&self, n: usize) -> String {
        format!("crowd-{:08x}-{}", self.epoch, self.room_of(n))
    }

    /// How often somebody says something.
    fn turns(&self) -> u64 {
        u64::from(self.options.seconds) * u64::from(self.options.rate)
    }

    /// Something has come for a member: if this crowd has said it, it says when, and in which turn.
    fn hear(&self, n: usize, heard: &mut Heard, message: &Message) {
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
        let said = event.text.and_then(|text| {
            let mut numbers = text.split(' ').map(str::parse::<u64>);
            Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
        });
        let Some((due, turn)) = said else { return };
        match heard.insert(self, turn) {
            Some(true) => self.delivered.fetch_add(1, Relaxed),
            Some(false) => {
                self.duplicates.fetch_add(1, Relaxed);
                return;
            }
            None => return,
        };
        let now = self.born.elapsed();
        let late = now.saturating_sub(Duration::from_micros(due)).as_micros();
        let late = u64::try_from(late).unwrap_or(u64::MAX);
        let shard = &self.latencies[n % SHARDS];
        shard.lock().unwrap_or_else(PoisonError::into_inner).saturating_record(late.max(1));
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
            // What comes twice may do so late.
            if silent_since.0.elapsed() > if is_all { GRACE } else { SILENCE } {
                return;
            }
        }
    }

    /// Waits until no connection is left.
    async fn deserted(&self) {
        while self.ended.load(Relaxed) < self.joined.load(Relaxed) {
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Prints what there was; returns whether all has gone well.
    fn report(&self) -> bool {
        let mut all = Histogram::<u64>::new_with_bounds(1, 600_000_000, 3).expect("as above");
        for shard in &self.latencies {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            all.add(&*shard).expect("all have the same bounds");
        }
        let (expected, delivered) = (self.expected.load(Relaxed), self.delivered.load(Relaxed));
        let [lost, duplicates, errors, ended, failed] = [
            expected.saturating_sub(delivered),
            self.duplicates.load(Relaxed),
            self.errors.load(Relaxed),
            self.ended.load(Relaxed),
            self.failed.load(Relaxed),
        ];
        let [p50, p99, max] = [all.value_at_quantile(0.5), all.value_at_quantile(0.99), all.max()]
            .map(Duration::from_micros);
        println!(
            "said {}, delivered {delivered}, lost {lost}, duplicates {duplicates}, errors {errors}, \
             connections lost {ended}, never made {failed}",
            self.said.load(Relaxed)
        );
        println!("delivered a second: {}", delivered / u64::from(self.options.seconds.max(1)));
        println!("latency: p50 {p50:.1?}, p99 {p99:.1?}, max {max:.1?}");
        [lost, duplicates, errors, ended, failed].iter().all(|count| *count == 0)
    }
}

/// All members connect, a few at a time, and enter their rooms. Returns those who could.
async fn join_in(crowd: &Crowd, clients: &[Client]) -> Vec<Member> {
    let joining = (0..crowd.options.members).map(|n| async move {
        // Where so many could not, the rest would only take time.
        if crowd.failed.load(Relaxed) >= AT_ONCE as u64 {
            crowd.failed.fetch_add(1, Relaxed);
            return None;
        }
        let joined = timeout(JOINING, join(crowd, n, &clients[n % clients.len()])).await;
        match joined.unwrap_or_else(|_| Err("it takes too long".into())) {
            Ok(member) => {
                crowd.joined.fetch_add(1, Relaxed);
                Some(member)
            }
            Err(error) => {
                if crowd.failed.fetch_add(1, Relaxed) == 0 {
                    eprintln!("crowd: member {n} could not join: {error}");
                }
                None
            }
        }
    });
    stream::iter(joining).buffer_unordered(AT_ONCE).filter_map(ready).collect().await
}

async fn join(crowd: &Crowd, n: usize, client: &Client) -> Result<Member, Box<dyn Error>> {
    let mut conn = client.connect().await?;
    conn.forget_head();
    let hello = json!({"type": "hello", "version": VERSION, "name": format!("member {n}")});
    let join = json!({"type": "join", "room": crowd.room_name(n)});
    let handle = conn.handle();
    handle.send(hello.to_string()).await?;
    handle.send(join.to_string()).await?;
    loop {
        let Some(message) = conn.next().await else {
            return Err(conn.finish().map(ToString::to_string).unwrap_or_default().into());
        };
        let text = message.as_text().unwrap_or_default();
        match serde_json::from_str::<Event<'_>>(text).map(|event| event.r#type) {
            Ok("joined") => return Ok(Member { conn, n }),
            Ok("error") => return Err(text.into()),
            _ => {}
        }
    }
}

impl Member {
    /// Says something whenever it is its turn, and hears all, until it is told to end.
    async fn take_part(
        self,
        crowd: Arc<Crowd>,
        heard_by: u64,
        mut went: watch::Receiver<Option<Instant>>,
    ) {
        let Self { mut conn, n } = self;
        let handle = conn.handle();
        let hearing = Arc::clone(&crowd);
        let mut heard = Heard { room: crowd.room_of(n), turns: Vec::new() };
        let hearing = conn.on_each(move |_, message| hearing.hear(n, &mut heard, message)).run();
        let saying = async {
            let began = *went.wait_for(Option::is_some).await.ok()?;
            talk(&crowd, n, &handle, heard_by, began?).await;
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

impl Heard {
    /// Whether a turn is new; nothing if it is no turn of the room.
    fn insert(&mut self, crowd: &Crowd, turn: u64) -> Option<bool> {
        let Options { members, room_size, .. } = crowd.options;
        let n = usize::try_from(turn % members as u64).ok()?;
        if turn >= crowd.turns() || crowd.room_of(n) != self.room {
            return None;
        }
        let round = usize::try_from(turn / members as u64).ok()?;
        let bit = round * members.min(room_size) + n % room_size;
        let (word, mask) = (bit / 64, 1 << (bit % 64));
        if self.turns.len() <= word {
            self.turns.resize(word + 1, 0);
        }
        let is_new = self.turns[word] & mask == 0;
        self.turns[word] |= mask;
        Some(is_new)
    }
}

async fn talk(crowd: &Crowd, n: usize, handle: &Handle, heard_by: u64, began: Instant) {
    let Options { members, rate, bytes, .. } = crowd.options;
    let (room, bytes) = (crowd.room_name(n), usize::from(bytes));
    for turn in (0..crowd.turns()).skip(n).step_by(members) {
        let due = began + Duration::from_secs(turn) / rate;
        sleep_until(due.into()).await;
        let at = due.saturating_duration_since(crowd.born).as_micros();
        let text = format!("{:.<bytes$}", format!("{at} {turn} by member {n} "));
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
            crowd.joined.load(Relaxed).saturating_sub(crowd.ended.load(Relaxed)),
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
        let mut urls = Vec::new();
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
                Arg::Value(value) => urls.push(value.string()?),
                other => return Err(other.unexpected()),
            }
        }
        if urls.is_empty() {
            return Err("there is no URL".into());
        }
        Ok(Some(Self { urls, members, rate, seconds, room_size, bytes }))
    }
}

fn positive<T: FromStr + Default + PartialEq>(text: &str) -> Result<T, &'static str> {
    text.parse().ok().filter(|number| *number != T::default()).ok_or("not a number above 0")
}

/// How many descriptors are not for members.
const SPARE: usize = 64;
/// How many connect at a time, and how many of them may fail before the others do not try.
const AT_ONCE: usize = 100;
const SHARDS: usize = 64;
/// How long nothing may arrive before the rest counts as lost.
const SILENCE: Duration = Duration::from_secs(5);
/// How long something may still come when all has.
const GRACE: Duration = Duration::from_millis(500);
/// How long joining may take.
const JOINING: Duration = Duration::from_secs(10);
/// How long the closing handshakes may take.
const PATIENCE: Duration = Duration::from_secs(20);
