"""Lets the client of `websockets` talk to a server that obeys the commands of
`examples/echo_server/commands.rs`.

python_client.py URL [CA]
"""

import asyncio
import ssl
import sys

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

URL = sys.argv[1]
TLS = ssl.create_default_context(cafile=sys.argv[2]) if URL.startswith("wss:") else None
LARGE = 3 * 1024 * 1024 + 1
# How long a case may take, in seconds.
LIMIT = 20


def session(**options):
    return connect(URL, ssl=TLS, max_size=None, proxy=None, open_timeout=LIMIT, **options)


def same(expected, actual):
    if expected != actual:
        raise AssertionError(f"expected {expected!r:.200}, got {actual!r:.200}")


def echoed(message):
    async def case():
        async with session() as ws:
            await ws.send(message)
            same(message, await ws.recv())

    return case


async def fragments_become_one_message():
    async with session() as ws:
        await ws.send(["frag", "", "ments"])
        same("fragments", await ws.recv())


async def messages_keep_their_order():
    async with session() as ws:
        await ws.send("!push 300 70000")
        for i in range(300):
            same(bytes([i & 255]) * 70000, await ws.recv())
        same("!pushed 300", await ws.recv())


async def our_ping_is_answered():
    async with session() as ws:
        await (await ws.ping(b"\x00payload"))


async def their_ping_is_answered():
    async with session() as ws:
        await ws.send("!ping grüezi")
        same("pong grüezi", await ws.recv())


async def a_subprotocol_is_agreed_on():
    async with session(subprotocols=["nothing", "chat"]) as ws:
        same("chat", ws.subprotocol)
        await ws.send("!proto")
        same("chat", await ws.recv())


async def we_close():
    async with session() as ws:
        await ws.close(4001, "tschüss 👋")
        same(4001, ws.close_code)


async def they_close():
    async with session() as ws:
        await ws.send("!close 4000 good bye 👋")
        try:
            await ws.recv()
        except ConnectionClosed:
            pass
        same((4000, "good bye 👋"), (ws.close_code, ws.close_reason))


async def they_vanish():
    async with session() as ws:
        await ws.send("!drop")
        try:
            await ws.recv()
        except ConnectionClosed:
            pass
        same(1006, ws.close_code)


async def a_foreign_origin_is_refused():
    try:
        async with session(origin="https://elsewhere.example"):
            raise AssertionError("it was accepted")
    except InvalidStatus as refusal:
        same(403, refusal.response.status_code)


CASES = {
    "text": echoed("grüezi"),
    "empty text": echoed(""),
    "emoji": echoed("👩‍👩‍👧‍👦 🦀"),
    "large text": echoed("é" * LARGE),
    "binary": echoed(bytes(range(256))),
    "empty binary": echoed(b""),
    "large binary": echoed(bytes(range(256)) * (LARGE // 256) + b"x"),
    "fragments": fragments_become_one_message,
    "order": messages_keep_their_order,
    "our ping": our_ping_is_answered,
    "their ping": their_ping_is_answered,
    "subprotocol": a_subprotocol_is_agreed_on,
    "our close": we_close,
    "their close": they_close,
    "their end without a close": they_vanish,
    "foreign origin": a_foreign_origin_is_refused,
}


async def main():
    for name, case in CASES.items():
        try:
            await asyncio.wait_for(case(), LIMIT)
        except Exception as error:
            sys.exit(f"{name}: {type(error).__name__}: {error}")
        print("ok", name, flush=True)


asyncio.run(main())
