"""Headless Chromium, on a page that this process serves."""

import http.server
import json
import pathlib
import queue
import tempfile
import threading
import urllib.parse

from processes import Failure, Server

BODY = pathlib.Path(__file__).with_name("browser.html").read_bytes()
# How long the browser may take for the whole page, in seconds.
LIMIT = 180


class Page(http.server.ThreadingHTTPServer):
    """Serves the page on a port of its own until the end of a `with`."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.origin = f"http://127.0.0.1:{self.server_port}"
        self.outcomes = queue.Queue()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def __exit__(self, *exception):
        self.shutdown()
        super().__exit__(*exception)

    def visit(self, url, refusing):
        """Has the browser talk to the servers `url` and `refusing`; gives the cases that passed."""
        page = f"{self.origin}/?{urllib.parse.urlencode({'url': url, 'refusing': refusing})}"
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
            with Server("chromium", *OPTIONS, f"--user-data-dir={profile}", page) as browser:
                try:
                    outcomes = self.outcomes.get(timeout=LIMIT)
                except queue.Empty:
                    raise Failure(f"the page told nothing: {list(browser.lines.queue)}") from None
        for outcome in outcomes:
            if outcome["error"]:
                raise Failure(f"{outcome['name']}: {outcome['error']}")
        return [outcome["name"] for outcome in outcomes]


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(BODY)

    def do_POST(self):
        length = int(self.headers["Content-Length"])
        self.server.outcomes.put(json.loads(self.rfile.read(length)))
        self.answer(b"")

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


OPTIONS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--no-proxy-server",
    # It talks to nobody but the page and the servers.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    # It does not know who signed the servers' certificate.
    "--ignore-certificate-errors",
]
