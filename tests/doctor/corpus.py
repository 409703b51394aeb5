"""Databases with one trap each, and healthy ones with none, made in code.

A trap is SQL on top of a healthy database; the tests compare the report before and
after it, so that a trap must fire exactly the findings it names and nothing else.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

HEALTHY = """
CREATE TABLE customers (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    email VARCHAR(80) NOT NULL,
    is_active BOOLEAN NOT NULL DEFAULT 1,
    created_at TEXT NOT NULL
);
CREATE UNIQUE INDEX uq_customers_email ON customers (email);
CREATE TABLE orders (
    id INTEGER PRIMARY KEY,
    customer_id INTEGER NOT NULL REFERENCES customers (id) ON DELETE CASCADE,
    total_cents INTEGER NOT NULL CHECK (total_cents >= 0),
    weight_kg REAL,
    note TEXT,
    label BLOB
);
CREATE INDEX ix_orders_customer_id ON orders (customer_id);
CREATE TABLE order_lines (
    order_id INTEGER NOT NULL REFERENCES orders (id),
    position INTEGER NOT NULL,
    quantity INTEGER NOT NULL,
    PRIMARY KEY (order_id, position)
) WITHOUT ROWID;
"""
CUSTOMERS, ORDERS = 40, 2_000


def make(path: Path, sql: str = "", *, wal: bool = True) -> Path:
    """Make the healthy database at ``path``, with ``sql`` on top."""
    connection = sqlite3.connect(path)
    if wal:
        connection.execute("PRAGMA journal_mode = WAL")
    connection.executescript(HEALTHY)
    connection.executemany(
        "INSERT INTO customers VALUES (?, ?, ?, ?, ?)",
        [
            (i, f"Customer {i}", f"c{i}@example.org", i % 2, "2026-01-02T03:04:05Z")
            for i in range(1, CUSTOMERS + 1)
        ],
    )
    connection.executemany(
        "INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?)",
        [
            (i, i % CUSTOMERS + 1, i * 10, i / 8, f"note {i}", bytes([i % 256]))
            for i in range(1, ORDERS + 1)
        ],
    )
    connection.executemany(
        "INSERT INTO order_lines VALUES (?, ?, ?)",
        [(i, 1, i % 5 + 1) for i in range(1, ORDERS + 1)],
    )
    connection.execute("ANALYZE")
    connection.commit()
    connection.executescript(sql)
    connection.commit()
    connection.close()
    return path


@dataclass(frozen=True)
class Trap:
    """One thing that is wrong, and what must be said about it.

    Attributes:
        name: For the test's id.
        sql: What spoils the healthy database.
        expected: ``(check, severity, subject)`` of every finding it adds.
        also: Findings that come along, being as true.
        wal: Whether the file is in WAL mode.
    """

    name: str
    sql: str
    expected: set[tuple[str, str, str]]
    also: frozenset[tuple[str, str, str]] = frozenset()
    wal: bool = True
    after: Callable[[Path], None] | None = None


OFF = "PRAGMA foreign_keys = OFF;"

TRAPS = [
    Trap(
        "rollback journal",
        "",
        {("journal-mode", "warning", "trap.db")},
        wal=False,
    ),
    Trap(
        "text in an integer column",
        "UPDATE orders SET total_cents = 'twelve' WHERE id IN (7, 8)",
        {("dirty-types", "warning", "orders.total_cents")},
    ),
    Trap(
        "empty text in an integer column",
        "UPDATE orders SET total_cents = '' WHERE id = 7",
        {("dirty-types", "warning", "orders.total_cents")},
    ),
    Trap(
        "a fraction in an integer column",
        "UPDATE order_lines SET quantity = 1.5 WHERE order_id = 9",
        {("dirty-types", "warning", "order_lines.quantity")},
    ),
    Trap(
        "a blob in a text column",
        "UPDATE orders SET note = x'0102' WHERE id = 3",
        {("dirty-types", "warning", "orders.note")},
    ),
    Trap(
        "a boolean that is 2",
        "UPDATE customers SET is_active = 2 WHERE id = 5",
        {("dirty-types", "warning", "customers.is_active")},
    ),
    Trap(
        "an orphan",
        OFF + "UPDATE orders SET customer_id = 4711 WHERE id IN (1, 2, 3)",
        {("orphans", "problem", "orders.customer_id")},
    ),
    Trap(
        "an orphan of a table without rowid",
        OFF + "DELETE FROM orders WHERE id = 11",
        {("orphans", "problem", "order_lines.order_id")},
    ),
    Trap(
        "an orphan of a composite key",
        OFF
        + """CREATE TABLE parcels (id INTEGER PRIMARY KEY, order_id INTEGER,
             position INTEGER, FOREIGN KEY (order_id, position)
             REFERENCES order_lines (order_id, position));
             CREATE INDEX ix_parcels ON parcels (position, order_id);
             INSERT INTO parcels VALUES (1, 1, 1), (2, 1, 2), (3, NULL, 9)""",
        {("orphans", "problem", "parcels (order_id, position)")},
    ),
    Trap(
        "a foreign key to no table",
        OFF + "CREATE TABLE notes (id INTEGER PRIMARY KEY, user_id REFERENCES users)",
        {("broken-foreign-keys", "problem", "notes.user_id")},
        also=frozenset({("unindexed-foreign-keys", "notice", "notes.user_id")}),
    ),
    Trap(
        "a foreign key to a column that is not unique",
        OFF
        + """CREATE TABLE notes (id INTEGER PRIMARY KEY,
             name TEXT REFERENCES customers (name));
             CREATE INDEX ix_notes_name ON notes (name)""",
        {("broken-foreign-keys", "problem", "notes.name")},
    ),
    Trap(
        "a foreign key without an index",
        "DROP INDEX ix_orders_customer_id",
        {("unindexed-foreign-keys", "warning", "orders.customer_id")},
    ),
    Trap(
        "a partial index does not serve a foreign key",
        """DROP INDEX ix_orders_customer_id;
           CREATE INDEX ix_orders_customer_id ON orders (customer_id)
           WHERE note IS NOT NULL""",
        {("unindexed-foreign-keys", "warning", "orders.customer_id")},
    ),
]
