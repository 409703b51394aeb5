"""A Hrana stream as a client keeps it: the baton, the encoding, the version.

Owns how requests become calls and answers become results, and nothing of what they
mean. It does no I/O: calls are yielded (``effects``).

Invariants: the baton of an answer is used once, for the next call; a call that fails
has lost the stream; nothing is executed twice while a version is being found.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from lockstep.engine.hrana import json_codec, protobuf_codec
from lockstep.engine.hrana import messages as m
from lockstep.engine.hrana.batches import SURELY_BOUND_BYTES
from lockstep.engine.hrana.effects import Call, Incoming, Open, Reply, Talk
from lockstep.engine.hrana.errors import (
    DataError,
    Error,
    InterfaceError,
    TransactionLost,
    from_status,
)

NEWEST, OLDEST = "v3", "v2"

Requests: TypeAlias = Callable[[], list[m.Request]]

_CLOSE = m.Close()


@dataclass(slots=True)
class ServerFacts:
    """What was learnt of a server; shared by its connections.

    Attributes:
        version: Which Hrana is spoken, as it stands in the path.
        is_confirmed: The server answered in it.
        has_protobuf: Whether it has the second encoding; None until it was asked.
        has_cursor: Whether it sends answers row by row; None until it was asked.
        taken_bytes: A value of this size is taken.
        refused_bytes: The smallest value that is not; None until one was found.
    """

    version: str = NEWEST
    is_confirmed: bool = False
    has_protobuf: bool | None = None
    has_cursor: bool | None = None
    taken_bytes: int = SURELY_BOUND_BYTES
    refused_bytes: int | None = None


class Wire:
    """One stream at a time. Not thread safe.

    Args:
        facts: Shared by the connections to one server.
        on_lost: Told the error with which a stream was lost, before it is raised.
    """

    def __init__(self, facts: ServerFacts, on_lost: Callable[[Error], Any]) -> None:
        self.facts = facts
        self.baton: str | None = None
        self._base_url: str | None = None
        self._on_lost = on_lost

    @property
    def is_old(self) -> bool:
        """Whether the server speaks Hrana 2 only."""
        return self.facts.version == OLDEST

    def forget(self) -> None:
        """Have no stream."""
        self.baton = self._base_url = None

    def farewell(self) -> Call | None:
        """Return the call that closes the stream, if one is open."""
        return None if self.baton is None else self._pipeline(json_codec, [_CLOSE])

    def exchange(
        self, requests: Requests, *, may_repeat: bool, exactly: bool = False
    ) -> Talk[tuple[m.Result, ...]]:
        """Send a pipeline, keep the baton; a call that fails loses the stream."""
        while True:
            asked = requests()
            call = yield from self._call(asked, may_repeat, exactly)
            reply = yield from self._ask(call)
            if reply.status != 404 or not self._spoke_too_new():
                break
        codec = codec_of(call)
        if reply.status != 200:
            raise self._refused(call, reply)
        self.facts.is_confirmed = True
        try:
            answer = codec.decode_pipeline(reply.body)
        except InterfaceError as error:
            raise self._lose(error) from error.__cause__
        self.baton = answer.baton
        self._base_url = answer.base_url or self._base_url
        if len(answer.results) != len(asked):
            raise self._lose(InterfaceError("the server left out answers"))
        return answer.results

    def open_cursor(
        self, steps: tuple[m.Step, ...], *, exactly: bool
    ) -> Talk[tuple[Any, Incoming] | None]:
        """Send a batch whose answer comes row by row.

        Returns:
            The codec to read it with and the answer, or None where the server has
            no cursors: nothing was executed then.
        """
        codec = json_codec
        if exactly and (yield from self.has_protobuf()):
            codec = protobuf_codec
        call = Call(
            path=f"{NEWEST}{codec.FOLDER_SUFFIX}/cursor",
            body=codec.encode_cursor(self.baton, m.Batch(steps)),
            content_type=codec.CONTENT_TYPE,
            base_url=self._base_url if self.baton is not None else None,
            may_repeat=False,
            baton=self.baton,
        )
        try:
            opened = yield Open(call)
        except BaseException as error:
            self._lose_by(error)
            raise
        if not isinstance(opened, Reply):
            return codec, opened
        if opened.status in (404, 405) and not self.facts.has_cursor:
            self.facts.has_cursor = False
            return None
        raise self._refused(call, opened)

    def has_protobuf(self) -> Talk[bool]:
        """Ask the server once, in the way the specification has for it."""
        facts = self.facts
        if facts.has_protobuf is None:
            path = NEWEST + protobuf_codec.FOLDER_SUFFIX
            question = Call(path, None, "", self._base_url, may_repeat=True)
            facts.has_protobuf = (yield from self._ask(question)).status // 100 == 2
        return facts.has_protobuf and not self.is_old

    def greeted(self, baton: str | None, base_url: str | None) -> None:
        """Keep the baton with which a cursor's answer begins."""
        self.facts.has_cursor = self.facts.is_confirmed = True
        self.baton = baton
        self._base_url = base_url or self._base_url

    def _ask(self, call: Call) -> Talk[Reply]:
        """Make a call; without an answer the stream is lost."""
        try:
            return (yield call)
        except BaseException as error:
            self._lose_by(error)
            raise

    def _call(
        self, requests: list[m.Request], may_repeat: bool, exactly: bool
    ) -> Talk[Call]:
        """Spell ``requests``: in JSON, unless it cannot carry a value exactly."""
        if not exactly:
            try:
                return self._pipeline(json_codec, requests, may_repeat)
            except DataError:
                if not (yield from self.has_protobuf()):
                    raise
        codec = protobuf_codec if (yield from self.has_protobuf()) else json_codec
        return self._pipeline(codec, requests, may_repeat)

    def _pipeline(
        self, codec: Any, requests: list[m.Request], may_repeat: bool = False
    ) -> Call:
        return Call(
            path=f"{self.facts.version}{codec.FOLDER_SUFFIX}/pipeline",
            body=codec.encode_pipeline(self.baton, requests),
            content_type=codec.CONTENT_TYPE,
            base_url=self._base_url if self.baton is not None else None,
            may_repeat=may_repeat,
            baton=self.baton,
        )

    def _refused(self, call: Call, reply: Reply) -> Error:
        failure = json_codec.decode_failure(reply.body)
        text = failure.message if failure else reply.body.decode(errors="replace")
        code = failure.code if failure else None
        had_stream = call.baton is not None
        error = from_status(reply.status, text, code, had_stream=had_stream)
        error.retry_after_s = reply.retry_after_s
        return self._lose(error)

    def _lose_by(self, error: BaseException) -> None:
        lost = TransactionLost("a call was interrupted")
        self._lose(error if isinstance(error, Error) else lost)

    def _lose(self, error: Error) -> Error:
        self.baton = None
        self._on_lost(error)
        return error

    def _spoke_too_new(self) -> bool:
        """Say whether something older may be understood; nothing was executed."""
        facts = self.facts
        if facts.is_confirmed:
            return False
        newest = facts.version == NEWEST
        facts.version = OLDEST if newest else NEWEST  # then it was not the version
        return newest


def farewell_to(call: Call, reply: Reply | None) -> Call | None:
    """Return the call that closes the stream which ``call`` left open, if any.

    ``reply`` is None when the call was never made.
    """
    codec = codec_of(call)
    baton = call.baton
    if reply is not None:
        try:
            baton = codec.decode_pipeline(reply.body).baton
        except InterfaceError:
            return None
    if baton is None:
        return None
    return Call(
        path=call.path,
        body=codec.encode_pipeline(baton, [_CLOSE]),
        content_type=call.content_type,
        base_url=call.base_url,
        may_repeat=False,
    )


def codec_of(call: Call) -> Any:
    """Return the encoding in which a call is spelled."""
    is_json = call.content_type == json_codec.CONTENT_TYPE
    return json_codec if is_json else protobuf_codec
