"""A server on `websockets` that obeys the commands of `examples/echo_server/commands.rs`.

python_server.py [CERT KEY]
"""

import asyncio
import ssl
import sys

from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed


async def serve_one(ws):
    try:
        async for message in ws:
            await answer(ws, message)
    except ConnectionClosed:
        pass
    print(f'closed with code {ws.close_code} ("{ws.close_reason}")', flush=True)


async def answer(ws, message):
    match message.split(" ", 2) if isinstance(message, str) else []:
        case ["!close", code, reason]:
            await ws.close(int(code), reason)
        case ["!drop"]:
            ws.transport.abort()
        case ["!push", count, size]:
            for i in range(int(count)):
                await ws.send(bytes([i & 255]) * int(size))
            await ws.send(f"!pushed {count}")
        case ["!ping", payload]:
            await (await ws.ping(payload))
            await ws.send(f"pong {payload}")
        case ["!proto"]:
            await ws.send(ws.subprotocol or "")
        case _:
            await ws.send(message)


def select(ws, offered):
    return "chat" if "chat" in offered else None


async def main(pem=None):
    tls = None
    if pem:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(*pem)
    options = {"ssl": tls, "select_subprotocol": select, "max_size": None}
    async with serve(serve_one, "127.0.0.1", 0, **options) as server:
        port = server.sockets[0].getsockname()[1]
        print(f"listening on {'wss' if tls else 'ws'}://127.0.0.1:{port}", flush=True)
        await server.serve_forever()


asyncio.run(main(sys.argv[1:]))
