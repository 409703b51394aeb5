"""FixIt in the browser: pages, live updates, the JSON API, exports. One process.

    app        puts the parts together
    guard      what every request passes: headers, size, rate, origin
    session    who asks: the cookie, and one transaction for each request
    forms      what a form may contain
    pages      templates and what they can use
    live       server-sent events
    routes/    one module for each area of pages
    api/       the JSON API and its OpenAPI document

A page is a function of ``(session, who, request)`` that returns a response. It runs
in a thread, inside one read or write session, and calls services: no page talks to
the database by itself, and none decides who may do what.
"""
