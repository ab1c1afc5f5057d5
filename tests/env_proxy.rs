//! Proxies from the environment. Which one is taken is tested beside the code; here processes with an
//! environment of their own find theirs.

#![cfg(feature = "runtime")]
#![cfg(feature = "env-proxy")]
#![allow(clippy::unwrap_used, reason = "the lint spares only what is marked as a test itself")]

mod support;

use std::{env, io::Write, net::TcpListener, process::Command};

use wsweave::{Client, connect};

use crate::support::{answering, read_head, serve_one, switching, within};

/// Runs the test of that name in a process of its own.
fn run_in_environment(test: &str, environment: &[(&str, &str)]) {
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", test, "--ignored"])
        .env_clear()
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(printed.contains(" 1 passed"), "{printed}");
}

#[test]
fn the_environments_proxy_is_used() {
    let (addr, proxy) = serve_one(|mut stream| {
        let asked = read_head(&mut stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        let answer = switching(&read_head(&mut stream));
        stream.write_all(answer.as_bytes()).unwrap();
        asked
    });
    let url = format!("http://{addr}");
    run_in_environment("child_is_led_to_nobody", &[("ws_proxy", &url), ("no_proxy", "a.example")]);
    assert!(proxy.join().unwrap().starts_with("CONNECT nobody.invalid:80 "));
}

#[test]
fn the_environments_proxy_is_not_for_this_machine() {
    let dead = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    run_in_environment("child_finds_this_machine", &[("all_proxy", &format!("http://{dead}"))]);
}

#[test]
fn the_environments_proxy_can_be_switched_off() {
    let dead = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    run_in_environment("child_goes_straight", &[("all_proxy", &format!("http://{dead}"))]);
}

#[test]
#[ignore = "runs in an environment of its own"]
fn child_is_led_to_nobody() {
    let _conn = within(connect("ws://nobody.invalid/")).unwrap();
}

#[test]
#[ignore = "runs in an environment of its own"]
fn child_finds_this_machine() {
    let (addr, _) = answering(switching);
    let url = format!("ws://localhost:{}/", addr.port());
    let _conn = within(connect(&url)).unwrap();
    let client = Client::new("ws://a.example/").unwrap();
    let _conn = within(client.connect_to("127.0.0.1", addr.port())).unwrap();
}

#[test]
#[ignore = "runs in an environment of its own"]
fn child_goes_straight() {
    // A label has 63 bytes at most (RFC 1035), so that no resolver is asked.
    let nobody = format!("{}.example", "a".repeat(64));
    let client = Client::new(&format!("ws://{nobody}/")).unwrap();
    let error = within(client.connect()).unwrap_err();
    assert!(error.to_string().starts_with("the proxy cannot be reached"), "{error}");
    let error = within(client.no_proxy().connect()).unwrap_err();
    assert!(error.to_string().starts_with(&format!("cannot connect to {nobody}")), "{error}");
}
