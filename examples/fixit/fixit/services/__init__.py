"""What people do with FixIt: plain functions, no HTTP, no HTML.

    auth            sign in, sign out, PINs
    reporting       an operator reports a machine
    orders          lists and one order with all that belongs to it
    work            take, resolve, close: an order's way through its statuses
    progress        steps, minutes, notes
    parts           parts from stock to an order and back
    stock           what lies where; receive, count, ledger
    people          users and roles
    equipment       machines and locations
    schedules       maintenance that comes back
    dashboard       numbers for the first page
    events          what changed, for live pages; counters
    notifications   messages for one user
    attachments     files on disk and their rows
    audit           who changed what
    export          CSV that streams

A service takes a SQLAlchemy ``Session`` first, then who asks (``Identity``), checks
the permission, and leaves committing to whoever opened the session:

    with db.write_session(actor=who.employee_id) as session:
        work.take(session, who, order_id)

Asynchronous callers use ``await session.run_sync(work.take, who, order_id)``.
Only ``auth.login``, ``auth.change_pin`` and ``export.stream_csv`` take the
``Database`` itself: a wrong PIN must be counted although it is refused, and a stream
outlives the request's session. What a service refuses is a ``FixitError``; what
the database refuses is a ``LockstepError`` (``StaleVersion``, ``NotEnough``, …).
"""
