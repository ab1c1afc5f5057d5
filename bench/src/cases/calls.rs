//! What matching answers to requests adds to sending and receiving them: wsweave beside itself.

use std::{convert::Infallible, pin::pin};

use ::wsweave::{Caller, Codec, Connection, ConnectionExt, Message, Pipe};
use futures::{
    SinkExt, StreamExt,
    future::{join_all, select},
};

use crate::{
    report::{Column, Kind, Row, Table, nanoseconds_each},
    transport::drive,
};

pub(crate) const ABOUT: &str = "What calls add to requests and their answers";

pub(crate) fn tables() -> Vec<Table> {
    let columns = [("one at a time", 1), ("64 at once", 64)]
        .map(|(name, window)| Column::new(name, rows(window)));
    vec![Table::new("Requests of 8 B and their answers, both ends", "ns a request", columns)]
}

fn rows(window: u64) -> Vec<Row> {
    let row = |name, kind, exchange: fn(u64, u64)| {
        Row::new(name, kind, move || {
            move |requests| {
                let windows = (requests as u64).div_ceil(window);
                let requests = usize::try_from(windows * window).expect("it came from one");
                nanoseconds_each(requests, || exchange(windows, window))
            }
        })
    };
    vec![
        row("values", Kind::Peer, values),
        row("calls, no timeout", Kind::Wsweave, |windows, window| {
            calls(windows, window, |caller| caller.timeout(None));
        }),
        row("calls", Kind::Wsweave, |windows, window| calls(windows, window, |caller| caller)),
    ]
}

/// As many requests as the window, then their answers, which come in order.
fn values(windows: u64, window: u64) {
    beside_echo(async |conn| {
        let mut conn = conn.codec(Number);
        for first in 0..windows {
            let numbers = first * window..(first + 1) * window;
            for number in numbers.clone() {
                conn.feed(number).await.expect("open");
            }
            conn.flush().await.expect("open");
            for number in numbers {
                assert_eq!(conn.next().await.expect("open").expect("a number"), number);
            }
        }
    });
}

fn calls(windows: u64, window: u64, set: fn(Caller<Number, u64>) -> Caller<Number, u64>) {
    beside_echo(async |conn| {
        let (conn, caller) = conn.codec(Number).calls(|id| Some(*id), |id| Some(*id));
        let caller = set(caller);
        let calling = async {
            for first in 0..windows {
                let numbers = first * window..(first + 1) * window;
                let answers = join_all(numbers.clone().map(|number| caller.call(number))).await;
                for (number, answer) in numbers.zip(answers) {
                    assert_eq!(answer.expect("an answer"), number);
                }
            }
        };
        let polling = conn.for_each(async |_| panic!("every value answers a call"));
        select(pin!(calling), pin!(polling)).await;
    });
}

/// With a server in the same task that sends back what comes.
fn beside_echo(client: impl AsyncFnOnce(Connection<Pipe>)) {
    drive(async {
        let (conn, server) = Connection::pair();
        let echo = server.on_each(|peer, message| peer.send(message.clone())).run();
        select(pin!(client(conn)), pin!(echo)).await;
    });
}

/// A codec that costs next to nothing.
#[derive(Clone)]
struct Number;

impl Codec for Number {
    type In = u64;
    type Out = u64;
    type Error = Infallible;

    fn encode(&mut self, number: u64) -> Result<Message, Infallible> {
        Ok(number.to_be_bytes().to_vec().into())
    }

    fn decode(&mut self, message: &Message) -> Result<u64, Infallible> {
        Ok(message.as_bytes().iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }
}
