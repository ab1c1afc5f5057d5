"""Processes that the tests start, end, and wait for within a limit."""

import queue
import socket
import subprocess
import threading
import time

# How long a client may take for all its cases, and how long anything else, in seconds.
CLIENT_LIMIT = 120
LIMIT = 20


class Failure(Exception):
    pass


class Server:
    """A process that runs until the end of a `with`."""

    def __init__(self, *command):
        self.name = command[0]
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line.rstrip("\n"))

    def line_with(self, part):
        """Waits for the next line that contains `part`; those before it are gone."""
        deadline, seen = time.monotonic() + LIMIT, []
        while not seen or part not in seen[-1]:
            try:
                seen.append(self.lines.get(timeout=max(0, deadline - time.monotonic())))
            except queue.Empty:
                raise Failure(f"{self.name} printed {seen}, but not {part!r}") from None
        return seen[-1]

    def url(self):
        return self.line_with("listening on ").removeprefix("listening on ")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise Failure(f"{self.name} did not end when it was told to") from None


def free_port():
    """For programs that cannot choose one themselves."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def wait_for_port(port):
    deadline = time.monotonic() + LIMIT
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=LIMIT).close()
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise Failure(f"nothing listens on port {port}") from None
            time.sleep(0.02)


def run(*command, text=""):
    """Runs a command to its end, with `text` as its input."""
    try:
        return subprocess.run(command, input=text, capture_output=True, text=True, timeout=CLIENT_LIMIT)
    except subprocess.TimeoutExpired as late:
        raise Failure(f"no end within {CLIENT_LIMIT} s, after {late.stdout!r:.2000}") from None


def expect(what, expected, actual):
    if expected != actual:
        raise Failure(f"{what}: expected {expected!r:.500}, got {actual!r:.500}")
