"""A small driver for libSQL servers: Hrana over HTTP, versions 2 and 3.

Owns the way from an SQL text and Python values to a server's answer, and nothing
of what Lockstep makes of it (``engine/libsql.py``). From the bottom up:

    messages ──► json_codec, protobuf_codec   what is said, and how it is spelled
    statements                                what an SQL text is (read, write, BEGIN)
    binding, type_objects                     which Python values go there and come back
    wire, streamed                            one stream, one answer; no I/O, no clock
    transaction, conversation                 where a transaction is; the verbs
    transport                                 HTTP, sync and async
    dbapi, aio                                PEP 249, and its asyncio twin
    dialect                                   SQLAlchemy on top of both

Invariants: a statement of a transaction is never executed outside of it, whatever
the server did meanwhile; a request is sent a second time only where the first
cannot have changed anything; a stream lives no longer than its transaction.

See https://github.com/tursodatabase/libsql/blob/main/docs/HRANA_3_SPEC.md
"""
