"""A server for tests of listeners: answers by the first label of the question, through dnspython."""

import dns.message
import dns.rrset

from svcdns.metrics import Registry
from svcdns.plugins.accounts import Accounts
from svcdns.plugins.answers import AnswerTable
from svcdns.plugins.base import Ask, Client, Outcome, Rendered
from svcdns.plugins.commands import Delay, Result, Transport


class EchoServer:
    """Answers every query with the client's address; ``slow.`` after a delay, ``many.`` at length.

    ``none.`` gets no answer, ``big.N.`` an answer with N octets of TXT, ``stream.N.`` N messages.
    """

    def __init__(self, *, delay: float = 0.2, text: str = "") -> None:
        self.delay = delay
        self.text = text
        self.clients: list[Client] = []
        self.accounts = Accounts("dns://:53", Registry())

    def table(self, transport: Transport, family: str) -> AnswerTable:
        """Give no stored answers."""
        return AnswerTable()

    def respond(self, wire: bytes, client: Client, now: float) -> Rendered | Ask:
        """Answer one message."""
        self.clients.append(client)
        if len(wire) < 12:
            return Rendered()
        query = dns.message.from_wire(wire)
        labels = [label.decode() for label in query.question[0].name.labels]
        match labels[0]:
            case "none":
                return Rendered()
            case "slow":

                def resume(_result: Result, _now: float) -> Outcome:
                    return Rendered((self._answer(query, client),))

                return Ask(Delay(self.delay), resume)
            case "stream":
                count = int(labels[1])
                return Rendered(self._answer(query, client, 60_000) for _ in range(count))
            case "big":
                return Rendered((self._answer(query, client, int(labels[1])),))
        return Rendered((self._answer(query, client),))

    def _answer(self, query: dns.message.Message, client: Client, size: int = 0) -> bytes:
        answer = dns.message.make_response(query)
        texts = [self.text or f"{client.transport} {client.address}"]
        texts += [f"{at:05d}" + "x" * 195 for at in range(size // 212)]
        answer.answer.append(
            dns.rrset.from_text(
                query.question[0].name, 5, "IN", "TXT", *[f'"{one}"' for one in texts]
            )
        )
        return answer.to_wire(max_size=65535)
