//! [`Server`]: a broker that can be killed and started again.

use std::{
    net::TcpListener,
    path::PathBuf,
    process::Stdio,
    sync::atomic::{AtomicU32, Ordering},
};

use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::{Child, Command},
};
use wsweave_backplane::Broker;

use super::soon;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    Nats,
    Redis,
}

/// It is killed when this is dropped.
pub(crate) struct Server {
    engine: Engine,
    port: u16,
    directory: PathBuf,
    options: Vec<String>,
    process: Option<Child>,
}

impl Engine {
    pub(crate) fn broker(self, address: impl Into<String>) -> Broker {
        match self {
            Self::Nats => Broker::nats(address),
            Self::Redis => Broker::redis(address),
        }
    }

    pub(crate) fn address(self, port: u16) -> String {
        match self {
            Self::Nats => format!("nats://127.0.0.1:{port}"),
            Self::Redis => format!("redis://127.0.0.1:{port}/"),
        }
    }
}

impl Server {
    /// On a free port. What it was told to keep it still has after a restart.
    pub(crate) async fn start(engine: Engine) -> Self {
        Self::start_with(engine, &[]).await
    }

    pub(crate) async fn start_with(engine: Engine, options: &[&str]) -> Self {
        Self::start_with_file(engine, options, "").await
    }

    /// For someone who may do everything but what is denied: there may be `*` in it.
    pub(crate) async fn start_denying(engine: Engine, denied: &[&str]) -> Self {
        match engine {
            Engine::Nats => {
                let denied = format!("{{ deny: {denied:?} }}");
                let permissions = format!("{{ publish: {denied}, subscribe: {denied} }}");
                let users = format!("[{{ user: us, password: ri, permissions: {permissions} }}]");
                let file = format!("authorization: {{ users: {users} }}");
                Self::start_with_file(engine, &["-c", "server.conf"], &file).await
            }
            Engine::Redis => {
                let channels = ["wsweave.topic.t", "wsweave.presence"];
                let mut user = vec!["us", "on", ">ri", "~*", "resetchannels", "+@all"];
                let allowed: Vec<_> = channels
                    .iter()
                    .filter(|channel| !denied.contains(channel))
                    .map(|channel| format!("&{channel}"))
                    .collect();
                user.extend(allowed.iter().map(String::as_str));
                let mut options = vec!["--user"];
                options.extend(user);
                Self::start_with_file(engine, &options, "").await
            }
        }
    }

    async fn start_with_file(engine: Engine, options: &[&str], file: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        for _ in 0..10 {
            let number = COUNT.fetch_add(1, Ordering::Relaxed);
            let name = format!("wsweave-backplane-{}-{number}", std::process::id());
            let directory = std::env::temp_dir().join(name);
            std::fs::create_dir_all(&directory).unwrap();
            std::fs::write(directory.join("server.conf"), file).unwrap();
            let options = options.iter().map(ToString::to_string).collect();
            let port = free_port();
            let mut server = Self { engine, port, directory, options, process: None };
            // Somebody else may have taken the port meanwhile.
            if server.try_restart().await {
                return server;
            }
        }
        panic!("{engine:?} does not start: are nats-server and redis-server installed?");
    }

    pub(crate) fn broker(&self) -> Broker {
        self.engine.broker(self.address())
    }

    pub(crate) fn address(&self) -> String {
        self.engine.address(self.port)
    }

    /// Of a server that [denies](Self::start_denying) something.
    pub(crate) fn broker_for_us(&self) -> Broker {
        self.engine.broker(self.address_for_us())
    }

    pub(crate) fn address_for_us(&self) -> String {
        self.address().replace("://", "://us:ri@")
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn signal(&self, signal: &str) {
        let id = self.process.as_ref().and_then(Child::id).unwrap().to_string();
        let kill = std::process::Command::new("kill").args([&format!("-{signal}"), &id]).status();
        assert!(kill.unwrap().success());
    }

    /// By signal 9.
    pub(crate) async fn kill(&mut self) {
        let mut process = self.process.take().unwrap();
        process.kill().await.unwrap();
    }

    pub(crate) async fn restart(&mut self) {
        assert!(self.try_restart().await, "the server does not start again");
    }

    async fn try_restart(&mut self) -> bool {
        let port = self.port.to_string();
        let mut command = match self.engine {
            Engine::Nats => Command::new("nats-server"),
            Engine::Redis => Command::new("redis-server"),
        };
        match self.engine {
            Engine::Nats => command.args(["-a", "127.0.0.1", "-p", &port, "-js", "-sd"]).arg("."),
            Engine::Redis => {
                let options = ["--bind", "127.0.0.1", "--port", &port, "--save", ""];
                command.args(options).args(["--appendonly", "yes", "--appendfsync", "always"])
            }
        };
        command
            .args(&self.options)
            .current_dir(&self.directory)
            .kill_on_drop(true)
            .stdin(Stdio::null());
        let mut process = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("nats-server and redis-server have to be installed");
        let is_ready = match self.engine {
            Engine::Nats => reads(process.stderr.take().unwrap(), "Server is ready").await,
            Engine::Redis => reads(process.stdout.take().unwrap(), "Ready to accept").await,
        };
        self.process = Some(process);
        is_ready
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The process goes with its handle; what it has written may be there still, which harms nobody.
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// Waits for a line, and reads on behind it so that the writer is not held up.
async fn reads(output: impl AsyncRead + Unpin + Send + 'static, what: &str) -> bool {
    let mut lines = BufReader::new(output).lines();
    loop {
        match soon("the server's log", lines.next_line()).await {
            Ok(Some(line)) if line.contains(what) => break,
            Ok(Some(_)) => {}
            _ => return false,
        }
    }
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    true
}

pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}
