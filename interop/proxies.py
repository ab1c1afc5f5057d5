"""Packaged proxies, an HTTP one and a SOCKS5 one, and `wscat` through them."""

import contextlib

from processes import Failure, Server, expect, free_port, run, wait_for_port


@contextlib.contextmanager
def tinyproxy(folder, login):
    """Gives the process and the address at which it is a proxy, with a password if `login` is one."""
    port = free_port()
    config = folder / "tinyproxy.conf"
    password = f"BasicAuth {login.replace(':', ' ')}\n" if login else ""
    config.write_text(f"Listen 127.0.0.1\nPort {port}\n{password}")
    with Server("tinyproxy", "-d", "-c", config) as process:
        wait_for_port(port)
        yield process, f"127.0.0.1:{port}"


@contextlib.contextmanager
def microsocks(_folder, login):
    port = free_port()
    user, _, password = login.partition(":")
    options = ["-u", user, "-P", password] if login else []
    with Server("microsocks", "-i", "127.0.0.1", "-p", str(port), *options) as process:
        wait_for_port(port)
        yield process, f"127.0.0.1:{port}"


# The scheme of a proxy's URL, the proxy, and what this logs before the address that it connects to.
KINDS = [
    ("http", tinyproxy, "CONNECT "),
    ("socks5", microsocks, "connected to "),
    ("socks5h", microsocks, "connected to "),
]


def talk_through_all(wscat, url, folder):
    """Lets the command `wscat` talk to the server at `url` through each proxy."""
    passed = []
    for scheme, proxy, logged in KINDS:
        with proxy(folder, "") as (process, address):
            talk(wscat, url, f"{scheme}://{address}")
            process.line_with(logged + url.partition("://")[2])
        with proxy(folder, "user:secret") as (process, address):
            talk(wscat, url, f"{scheme}://user:secret@{address}")
            process.line_with(logged + url.partition("://")[2])
            be_refused(wscat, url, f"{scheme}://user:wrong@{address}")
            be_refused(wscat, url, f"{scheme}://{address}")
        passed += [f"{scheme}{case}" for case in ("", " with a password", " without the right one")]
    return passed


def talk(wscat, url, proxy):
    text = f"grüezi\n\n{'é' * (1 << 20)}\n"
    ended = run(*wscat, url, "--proxy", proxy, text=text)
    expected = (0, text, "wscat: closed by us with code 1000\n")
    expect(f"through {proxy}", expected, (ended.returncode, ended.stdout, ended.stderr))


def be_refused(wscat, url, proxy):
    ended = run(*wscat, url, "--proxy", proxy)
    expect(f"the exit code through {proxy}", 2, ended.returncode)
    if "proxy" not in ended.stderr or ended.stderr.count("\n") != 1:
        raise Failure(f"through {proxy}: {ended.stderr!r} is not one line that tells of the proxy")
