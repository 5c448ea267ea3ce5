"""Program of one network namespace of the test world: answers as a pod, connects as a client.

usage: agent.py NAME PORT...

Every port answers ``NAME SOURCE`` on TCP, UDP and, where the kernel has it, SCTP.  Each line on
standard input is a JSON list of ``[protocol, address, port, tries, seconds]``; the answer is one
line with a list of outcomes for each: ``[name, source]``, ``refused`` or ``silence``.
"""

import asyncio
import json
import socket
import sys
from typing import Any

ANY = {socket.AF_INET: "0.0.0.0", socket.AF_INET6: "::"}
TYPES = {
    "TCP": (socket.SOCK_STREAM, socket.IPPROTO_TCP),
    "UDP": (socket.SOCK_DGRAM, socket.IPPROTO_UDP),
    "SCTP": (socket.SOCK_STREAM, 132),
}
AT_ONCE = 400


class Datagrams(asyncio.DatagramProtocol):
    def __init__(self, name: str) -> None:
        self.name = name

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.transport.sendto(f"{self.name} {addr[0]}".encode(), addr)


async def serve(name: str, port: int) -> None:
    loop = asyncio.get_running_loop()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = writer.get_extra_info("peername")
        writer.write(f"{name} {peer[0]}".encode())
        writer.close()

    for family, address in ANY.items():
        for protocol in ("TCP", "SCTP"):
            try:
                sock = listening(family, protocol, address, port)
            except OSError:
                continue  # no SCTP here
            await asyncio.start_server(answer, sock=sock)
        await loop.create_datagram_endpoint(
            lambda: Datagrams(name), sock=listening(family, "UDP", address, port)
        )


def listening(family: int, protocol: str, address: str, port: int) -> socket.socket:
    sock = socket.socket(family, *TYPES[protocol])
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    sock.bind((address, port))
    if protocol != "UDP":
        sock.listen(1024)
    sock.setblocking(False)
    return sock


async def connect(protocol: str, address: str, port: int, seconds: float) -> Any:
    loop = asyncio.get_running_loop()
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, *TYPES[protocol]) as sock:
        sock.setblocking(False)
        try:
            async with asyncio.timeout(seconds):
                await loop.sock_connect(sock, (address, port))
                if protocol == "UDP":
                    try:
                        await loop.sock_sendall(sock, b"?")
                    except PermissionError:
                        pass  # a table on this host took the packet; did it say so as well?
                answer = await loop.sock_recv(sock, 200)
        except TimeoutError:
            return "silence"
        except ConnectionRefusedError:
            return "refused"
        except OSError as error:
            return f"{type(error).__name__} {error.errno}"
        return answer.decode().split()


async def attempt(flow: Any, slots: asyncio.Semaphore) -> list[Any]:
    protocol, address, port, tries, seconds = flow
    outcomes = []
    for _ in range(tries):
        async with slots:
            outcomes.append(await connect(protocol, address, port, seconds))
        if outcomes[-1] == "silence":
            break
    return outcomes


async def main() -> None:
    name, ports = sys.argv[1], sys.argv[2:]
    for port in ports:
        await serve(name, int(port))
    slots = asyncio.Semaphore(AT_ONCE)
    loop = asyncio.get_running_loop()
    print("ready", flush=True)
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        found = await asyncio.gather(*(attempt(flow, slots) for flow in json.loads(line)))
        print(json.dumps(found), flush=True)


asyncio.run(main())
