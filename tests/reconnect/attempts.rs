//! When attempts are made, and how many.

use std::time::Duration;

use futures::{StreamExt, channel::mpsc::unbounded, future::pending};
use wsweave::{
    Client, Config, ConnectionExt, Error, ErrorKind, Outage, ReconnectPolicy, Status, Text,
};

use crate::{
    site::{Site, Told, policy},
    support::{header, rt::spawn, within},
};

fn refusal(status: &str, headers: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}Content-Length: 0\r\n\r\n")
}

/// How long the client waits before each of so many attempts to come.
async fn waits(policy: ReconnectPolicy, count: usize) -> Vec<Duration> {
    let mut site = Site::new().await;
    site.shut();
    let (conn, mut told) = site.reconnect(policy);
    let _running = spawn(conn.run());
    let mut waits = Vec::new();
    for number in 1.. {
        assert_eq!(told.connecting().await, number);
        let (status, _) = told.waiting().await;
        waits.push(site.wait_out(&status));
        if waits.len() == count {
            break;
        }
    }
    waits
}

#[test]
fn waits_are_random_up_to_a_backoff_that_doubles_up_to_a_cap() {
    within(async {
        let (mut longest, mut shortest) = ([Duration::ZERO; 6], [Duration::MAX; 6]);
        for seed in 0..20 {
            for (number, wait) in waits(policy().seed(seed), 6).await.into_iter().enumerate() {
                let backoff = Duration::from_secs([1, 2, 4, 8, 8, 8][number]);
                assert!(wait <= backoff, "attempt {number}: {wait:?}");
                longest[number] = longest[number].max(wait);
                shortest[number] = shortest[number].min(wait);
            }
        }
        for (number, backoff) in [1, 2, 4, 8, 8, 8].map(Duration::from_secs).into_iter().enumerate()
        {
            assert!(longest[number] > backoff / 4 * 3, "{longest:?}");
            assert!(shortest[number] < backoff / 4, "{shortest:?}");
        }
    });
}

#[test]
fn the_same_seed_gives_the_same_waits_and_no_seed_others() {
    within(async {
        assert_eq!(waits(policy(), 5).await, waits(policy(), 5).await);
        assert_ne!(waits(policy(), 5).await, waits(policy().seed(8), 5).await);
        let unseeded = || {
            let seconds = Duration::from_secs;
            ReconnectPolicy::default().backoff(seconds(1), seconds(8)).unwrap()
        };
        assert_ne!(waits(unseeded(), 5).await, waits(unseeded(), 5).await);
    });
}

#[test]
fn a_server_that_accepts_and_dies_at_once_is_not_hammered() {
    within(async {
        let site = Site::new().await;
        let policy = policy().min_uptime(Duration::from_secs(10)).max_attempts(5).unwrap();
        let (conn, mut told) = site.reconnect(policy);
        let running = spawn(conn.run());
        for number in 1..=5 {
            let far = site.accept().await;
            assert_eq!(told.connecting().await, number);
            assert!(matches!(told.next().await, Status::Open));
            drop(far);
            if number < 5 {
                let (status, _) = told.waiting().await;
                let wait = site.wait_out(&status);
                assert!(wait <= Duration::from_secs([1, 2, 4, 8][number as usize - 1]));
            }
        }
        let status = told.next().await;
        assert!(matches!(&status, Status::GaveUp(error) if error.kind() == ErrorKind::Io));
        assert_eq!(running.await.error.unwrap().kind(), ErrorKind::Io);
    });
}

#[test]
fn a_connection_that_lasts_begins_a_new_row() {
    within(async {
        let site = Site::new().await;
        let policy = policy().min_uptime(Duration::from_secs(10)).max_attempts(2).unwrap();
        // The time for a row, too, is counted anew.
        let policy = policy.give_up_after(Duration::from_secs(15));
        let (conn, mut told) = site.reconnect(policy);
        let _running = spawn(conn.run());
        for number in [1, 2, 1, 2] {
            let far = site.accept().await;
            assert_eq!(told.connecting().await, number);
            assert!(matches!(told.next().await, Status::Open));
            // The second one lasts.
            site.clock.advance(Duration::from_secs(if number == 2 { 10 } else { 9 }));
            site.lose(far, &mut told).await;
        }
    });
}

#[test]
fn in_a_new_row_the_backoff_starts_over() {
    within(async {
        for seed in 0..5 {
            let mut site = Site::new().await;
            site.shut();
            let (conn, mut told) = site.reconnect(policy().seed(seed));
            let _running = spawn(conn.run());
            for attempt in 1..=4 {
                assert_eq!(told.connecting().await, attempt);
                let (status, _) = told.waiting().await;
                if attempt == 4 {
                    site.reopen().await;
                }
                site.wait_out(&status);
            }
            let far = site.accept().await;
            told.open().await;
            site.clock.advance_secs(10);
            drop(far);
            let (status, _) = told.waiting().await;
            assert!(site.wait_out(&status) <= Duration::from_secs(1));
        }
    });
}

#[test]
fn retry_after_is_heeded_and_capped() {
    within(async {
        let date = "Date: Fri, 31 Dec 1999 23:58:59 GMT\r\n\
                    Retry-After: Fri, 31 Dec 1999 23:59:59 GMT\r\n";
        let answers = [
            (refusal("503 Service Unavailable", "Retry-After: 40\r\n"), 40),
            (refusal("429 Too Many Requests", "Retry-After: 50\r\n"), 50),
            (refusal("503 Service Unavailable", date), 60),
            (refusal("503 Service Unavailable", "Retry-After: 100000000000\r\n"), 100),
            (refusal("500 Internal Server Error", "Retry-After: 40\r\n"), 0),
        ];
        let site = Site::new().await;
        let policy = policy().max_retry_after(Duration::from_secs(100));
        let (conn, mut told) = site.reconnect(policy);
        let _running = spawn(conn.run());
        for ((answer, least), backoff) in answers.iter().zip([1, 2, 4, 8, 8]) {
            site.answer(answer).await;
            told.connecting().await;
            let (status, outage) = told.waiting().await;
            assert!(matches!(&outage, Outage::Failed(error) if error.response().is_some()));
            let wait = site.wait_out(&status);
            let least = Duration::from_secs(*least);
            let most = least + Duration::from_secs(backoff);
            assert!((least..=most).contains(&wait), "{wait:?} after {answer}");
        }
        site.accept().await;
        told.open().await;
    });
}

#[test]
fn what_no_second_attempt_would_change_ends_it() {
    within(async {
        let garbage = "\x16\x03\x01 this is no HTTP at all\r\n\r\n".to_owned();
        for (answer, kind) in [
            (refusal("401 Unauthorized", ""), ErrorKind::Refused),
            (refusal("404 Not Found", ""), ErrorKind::Refused),
            (garbage, ErrorKind::Handshake),
        ] {
            let site = Site::new().await;
            let (conn, mut told) = site.reconnect(policy());
            let running = spawn(conn.run());
            site.answer(&answer).await;
            told.connecting().await;
            let status = told.next().await;
            assert!(matches!(&status, Status::GaveUp(error) if error.kind() == kind), "{status:?}");
            let finish = running.await;
            assert_eq!(finish.error.unwrap().kind(), kind);
            assert!(!finish.clean);
        }
    });
}

#[test]
fn the_policy_may_decide_otherwise() {
    within(async {
        let site = Site::new().await;
        let policy = policy().retry_if(|outage| match outage {
            Outage::Failed(error) => error.kind() == ErrorKind::Refused,
            Outage::Ended(finish) => finish.code == 1000,
            _ => false,
        });
        let (conn, mut told) = site.reconnect(policy);
        let running = spawn(conn.run());
        site.answer(&refusal("401 Unauthorized", "")).await;
        told.connecting().await;
        site.wait_out(&told.waiting().await.0);
        let far = site.accept().await;
        told.open().await;
        far.close(1000).await;
        site.wait_out(&told.waiting().await.0);
        let far = site.accept().await;
        told.open().await;
        far.close(1012).await;
        assert!(matches!(told.next().await, Status::Closed));
        assert_eq!(running.await.code, 1012);
    });
}

#[test]
fn there_are_no_more_attempts_than_allowed() {
    within(async {
        let mut site = Site::new().await;
        site.shut();
        let (conn, mut told) = site.reconnect(policy().max_attempts(3).unwrap());
        let running = spawn(conn.run());
        for number in 1..=2 {
            assert_eq!(told.connecting().await, number);
            site.wait_out(&told.waiting().await.0);
        }
        assert_eq!(told.connecting().await, 3);
        assert!(matches!(told.next().await, Status::GaveUp(_)));
        assert_eq!(running.await.error.unwrap().kind(), ErrorKind::Io);
        told.end().await;
    });
}

#[test]
fn no_attempt_begins_behind_the_deadline() {
    within(async {
        let mut site = Site::new().await;
        site.shut();
        let policy = policy().give_up_after(Duration::from_secs(30));
        let (conn, mut told) = site.reconnect(policy);
        let _running = spawn(conn.run());
        let mut passed = Duration::ZERO;
        loop {
            told.connecting().await;
            match told.next().await {
                Status::GaveUp(_) => break,
                waiting => passed += site.wait_out(&waiting),
            }
            assert!(passed < Duration::from_secs(30));
        }
        assert!(passed >= Duration::from_secs(22), "{passed:?}: the last wait was at most 8 s");
    });
}

#[test]
fn an_attempt_under_way_fails_at_the_deadline() {
    within(async {
        let site = Site::new().await;
        let policy = policy().give_up_after(Duration::from_secs(3));
        let (conn, mut told) = site.reconnect(policy);
        let _running = spawn(conn.run());
        let _hanging = site.asked().await;
        told.connecting().await;
        site.clock.advance_secs(3);
        let status = told.next().await;
        assert!(matches!(&status, Status::GaveUp(error) if error.kind() == ErrorKind::Timeout));
    });
}

#[test]
fn each_attempt_may_have_a_client_of_its_own() {
    within(async {
        let site = Site::new().await;
        let (conn, mut told) = site.reconnect(policy());
        let conn = conn.each_client(|client, attempt| async move {
            match attempt {
                2 => Err(Text::try_from(vec![0xff]).unwrap_err()),
                _ => client.bearer_auth(&format!("token-{attempt}")),
            }
        });
        let _running = spawn(conn.run());
        let (far, request) = site.asked().await;
        assert_eq!(header(&request, "authorization"), Some("Bearer token-1"));
        drop(far);
        assert_eq!(told.connecting().await, 1);
        site.wait_out(&told.waiting().await.0);

        // Its failure is that of an attempt.
        assert_eq!(told.connecting().await, 2);
        let (status, outage) = told.waiting().await;
        assert!(matches!(&outage, Outage::NoClient(_)), "{outage:?}");
        assert!(outage.to_string().contains("UTF-8"), "{outage}");
        site.wait_out(&status);

        let (_, request) = site.asked().await;
        assert_eq!(header(&request, "authorization"), Some("Bearer token-3"));
    });
}

#[test]
fn another_client_may_be_for_another_host() {
    within(async {
        let (mut first, second) = (Site::new().await, Site::new().await);
        first.shut();
        let other = second.client();
        let (conn, mut told) = Told::by(first.client().reconnect(policy()));
        let conn = conn.each_client(move |client, attempt| {
            let client = if attempt == 1 { client } else { other.clone() };
            async { Ok::<Client, Error>(client) }
        });
        let _running = spawn(conn.run());
        told.connecting().await;
        first.wait_out(&told.waiting().await.0);
        second.accept().await;
        told.open().await;
    });
}

#[test]
fn a_client_that_takes_too_long_to_make_is_an_attempt_that_failed() {
    within(async {
        let site = Site::new().await;
        let config = Config::default().connect_timeout(Duration::from_secs(5));
        let (conn, mut told) = Told::by(site.client_with(config).reconnect(policy()));
        let (asked, mut was_asked) = unbounded();
        let conn = conn.each_client(move |client, attempt| {
            let asked = asked.clone();
            async move {
                asked.unbounded_send(()).unwrap();
                if attempt == 1 {
                    pending::<()>().await;
                }
                Ok::<_, Error>(client)
            }
        });
        let _running = spawn(conn.run());
        told.connecting().await;
        was_asked.next().await.unwrap();
        site.clock.advance_secs(5);
        let (status, outage) = told.waiting().await;
        assert!(matches!(&outage, Outage::NoClient(error) if error.kind() == ErrorKind::Timeout));
        site.wait_out(&status);
        site.accept().await;
        told.open().await;
    });
}

#[test]
fn without_a_clock_it_says_so() {
    within(async {
        let client = Client::new("ws://127.0.0.1:1/").unwrap().config(Config::default().no_timer());
        let mut conn = client.reconnect(policy());
        assert_eq!(conn.next().await, None);
        let error = conn.finish().unwrap().error.clone().unwrap();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("clock"), "{error}");
        assert!(matches!(conn.status(), Status::GaveUp(_)));
    });
}
