"""Lets the examples of this crate talk to other implementations and through proxies.

run.py EXAMPLES FOLDER RUNTIME...: the folder of the compiled examples, the one that `.ci/interop` prepared,
and the runtimes of the echo server. Stops at the first case that fails.
"""

import pathlib
import signal
import sys
import time

from browser import Page
from processes import Failure, Server, run
from proxies import talk_through_all

EXAMPLES, FOLDER = (pathlib.Path(argument).resolve() for argument in sys.argv[1:3])
RUNTIMES = sys.argv[3:]
HERE = pathlib.Path(__file__).resolve().parent
CA, *PEM = (FOLDER / name for name in ("ca.pem", "cert.pem", "key.pem"))
# The interpreter and the script of each library.
LIBRARIES = {
    "Python websockets": (FOLDER / "venv/bin/python", "python_{}.py"),
    "Node ws": ("node", "node_{}.mjs"),
}
SCHEMES = {"ws": [], "wss": PEM}
# What every server says of the connection that its client closed so.
CLOSED = 'with code 4001 ("tschüss 👋")'


def main():
    # Ends what was started, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("interop: told to end"))
    report = Report()
    try:
        client_to_libraries(report)
        for runtime in RUNTIMES:
            libraries_to_echo_server(report, runtime)
            wscat_through_proxies(report, runtime)
            browser_to_echo_server(report, runtime)
    except Failure as failure:
        sys.exit(f"interop: {failure}")
    print(f"{report.passed} passed, 0 failed")


class Report:
    passed = 0

    def part(self, name, cases, *arguments):
        """Tells which cases passed: those that `cases` gives the names of."""
        start = time.monotonic()
        try:
            passed = cases(*arguments)
        except Failure as failure:
            raise Failure(f"{name}: {failure}") from None
        self.passed += len(passed)
        print(f"{name}, {time.monotonic() - start:.1f} s: {', '.join(passed)}", flush=True)


def client_to_libraries(report):
    for library in LIBRARIES:
        for scheme, pem in SCHEMES.items():
            with Server(*script(library, "server"), *pem) as server:
                client = [EXAMPLES / "interop_client", server.url(), CA]
                report.part(f"wsweave to {library}, {scheme}", cases, client)
                server.line_with(CLOSED)


def libraries_to_echo_server(report, runtime):
    for library in LIBRARIES:
        for scheme in SCHEMES:
            with echo_server(runtime, scheme) as server:
                client = [*script(library, "client"), server.url(), CA]
                report.part(f"{library} to echo_server on {runtime}, {scheme}", cases, client)
                server.line_with(CLOSED)


def wscat_through_proxies(report, runtime):
    wscat = [EXAMPLES / "wscat", "--ca", CA]
    for scheme in SCHEMES:
        with echo_server(runtime, scheme) as server:
            name = f"wscat through proxies to echo_server on {runtime}, {scheme}"
            report.part(name, talk_through_all, wscat, server.url(), FOLDER)


def browser_to_echo_server(report, runtime):
    for scheme in SCHEMES:
        with (
            Page() as page,
            echo_server(runtime, scheme, "--origin", page.origin) as server,
            echo_server(runtime, scheme) as refusing,
        ):
            name = f"Chromium to echo_server on {runtime}, {scheme}"
            report.part(name, page.visit, server.url(), refusing.url())
            server.line_with(CLOSED)


def echo_server(runtime, scheme, *options):
    tls = ["--tls", *PEM] if SCHEMES[scheme] else []
    fixed = ["127.0.0.1:0", "--runtime", runtime, "--commands", "--log", "--subprotocol", "chat"]
    return Server(EXAMPLES / "echo_server", *fixed, *tls, *options)


def script(library, role):
    interpreter, name = LIBRARIES[library]
    return interpreter, HERE / name.format(role)


def cases(client):
    """Runs a client that prints `ok` and a name for each case that passed."""
    ended = run(*client)
    passed = [line.removeprefix("ok ") for line in ended.stdout.splitlines() if line.startswith("ok ")]
    if ended.returncode or not passed:
        raise Failure(f"exit code {ended.returncode} after {passed}: {ended.stderr}")
    return passed


main()
