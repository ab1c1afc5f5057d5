"""Lets the examples of this crate talk to other implementations and through proxies.

run.py EXAMPLES FOLDER: the folder of the compiled examples, and the one that `.ci/interop` prepared.
Stops at the first case that fails.
"""

import pathlib
import sys
import time

from browser import Page
from processes import Failure, Server, run
from proxies import talk_through_all

EXAMPLES, FOLDER = (pathlib.Path(argument).resolve() for argument in sys.argv[1:])
HERE = pathlib.Path(__file__).resolve().parent
CA, *PEM = (FOLDER / name for name in ("ca.pem", "cert.pem", "key.pem"))
# The interpreter and the script of each library.
LIBRARIES = {
    "websockets": (FOLDER / "venv/bin/python", "python_{}.py"),
    "ws": ("node", "node_{}.mjs"),
}
SCHEMES = {"ws": [], "wss": PEM}
# What every server says of the connection that its client closed so.
CLOSED = 'with code 4001 ("tschüss 👋")'


def main():
    report = Report()
    try:
        libraries_to_echo_server(report)
        client_to_libraries(report)
        wscat_through_proxies(report)
        browser_to_echo_server(report)
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


def libraries_to_echo_server(report):
    for runtime in ("async-std", "smol", "tokio"):
        for scheme in SCHEMES:
            for library in LIBRARIES:
                with echo_server(scheme, "--runtime", runtime) as server:
                    client = [*script(library, "client"), server.url(), CA]
                    report.part(f"{library} to echo_server on {runtime}, {scheme}", cases, client)
                    server.line_with(CLOSED)


def client_to_libraries(report):
    for library in LIBRARIES:
        for scheme, pem in SCHEMES.items():
            with Server(*script(library, "server"), *pem) as server:
                client = [EXAMPLES / "interop_client", server.url(), CA]
                report.part(f"wsweave to {library}, {scheme}", cases, client)
                server.line_with(CLOSED)


def wscat_through_proxies(report):
    wscat = [EXAMPLES / "wscat", "--ca", CA]
    for scheme in SCHEMES:
        with echo_server(scheme) as server:
            report.part(f"wscat through proxies, {scheme}", talk_through_all, wscat, server.url(), FOLDER)


def browser_to_echo_server(report):
    for scheme in SCHEMES:
        with (
            Page() as page,
            echo_server(scheme, "--origin", page.origin) as server,
            echo_server(scheme) as refusing,
        ):
            report.part(f"Chromium to echo_server, {scheme}", page.visit, server.url(), refusing.url())
            server.line_with(CLOSED)


def echo_server(scheme, *options):
    tls = ["--tls", *PEM] if SCHEMES[scheme] else []
    fixed = ["127.0.0.1:0", "--commands", "--subprotocol", "chat", "--log"]
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
