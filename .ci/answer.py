"""Answers each request on a port of loopback, which it prints, with a text, or not at all.

answer.py [TEXT]
"""

import socket
import sys

silent = []
with socket.create_server(("127.0.0.1", 0)) as listener:
    print(listener.getsockname()[1], flush=True)
    while True:
        client, _ = listener.accept()
        if len(sys.argv) == 1:
            silent.append(client)
            continue
        with client:
            client.recv(65536)
            client.sendall(sys.argv[1].encode())
