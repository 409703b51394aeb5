"""Databases with one trap each, and healthy ones with none, made in code.

A trap is SQL on top of a healthy database; the tests compare the report before and
after it, so that a trap must fire exactly the findings it names and nothing else.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
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


@cache
def _healthy(*, wal: bool) -> bytes:
    """Return the file of the healthy database."""
    with tempfile.TemporaryDirectory() as folder:
        return _make_healthy(Path(folder, "healthy.db"), wal=wal).read_bytes()


def make(path: Path, sql: str = "", *, wal: bool = True) -> Path:
    """Make the healthy database at ``path``, with ``sql`` on top."""
    path.write_bytes(_healthy(wal=wal))
    connection = sqlite3.connect(path)
    connection.executescript(sql)
    connection.commit()
    connection.close()
    return path


def _make_healthy(path: Path, *, wal: bool) -> Path:
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

TRAPS: list[Trap] = [
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

MONEY = "CREATE TABLE parts (id INTEGER PRIMARY KEY, {column} {type});"
EVENTS = "CREATE TABLE events (id INTEGER PRIMARY KEY, {column} {type});"

VALUE_TRAPS = [
    Trap(
        "money in REAL",
        MONEY.format(column="unit_price", type="REAL")
        + "INSERT INTO parts (unit_price) VALUES (89.99), (1.5)",
        {("real-money", "warning", "parts.unit_price")},
    ),
    Trap(
        "a total with cents",
        """CREATE TABLE invoices (id INTEGER PRIMARY KEY, total DOUBLE);
           INSERT INTO invoices (total) VALUES (89.99), (0.1), (17.25)""",
        {("real-money", "warning", "invoices.total")},
    ),
    Trap(
        "money in a DECIMAL column",
        MONEY.format(column="cost", type="DECIMAL(10, 2)")
        + "INSERT INTO parts (cost) VALUES (89.99), (1.5)",
        {("real-money", "notice", "trap.db")},
    ),
    Trap(
        "an amount that is no money",
        """CREATE TABLE ingredients (id INTEGER PRIMARY KEY, amount REAL, size TEXT);
           INSERT INTO ingredients (amount, size) VALUES (0.5, '3-1'), (1.25, '10');
           ALTER TABLE order_lines ADD COLUMN discount REAL DEFAULT 0.25""",
        set(),
    ),
    Trap(
        "a cost with many decimals",
        MONEY.format(column="path_cost", type="REAL")
        + "INSERT INTO parts (path_cost) VALUES (0.3333333333), (0.14159265)",
        {("real-money", "notice", "parts.path_cost")},
    ),
    Trap(
        "money as text",
        MONEY.format(column="unit_cost", type="TEXT")
        + "INSERT INTO parts (unit_cost) VALUES ('89.99'), ('9.50'), (NULL), ('')",
        {("text-numbers", "warning", "parts.unit_cost")},
    ),
    Trap(
        "seconds and milliseconds in one column",
        EVENTS.format(column="created_at", type="INTEGER")
        + "INSERT INTO events (created_at) VALUES (1750000000), (1750000000123)",
        {
            ("mixed-epochs", "problem", "events.created_at"),
            ("four-byte-epochs", "notice", "trap.db"),
        },
    ),
    Trap(
        "ISO text and seconds in a DATETIME column",
        EVENTS.format(column="happened", type="DATETIME")
        + "INSERT INTO events (happened) VALUES ('2026-01-02 03:04:05'), (1750000000)",
        {
            ("mixed-epochs", "problem", "events.happened"),
            ("naive-timestamps", "notice", "trap.db"),
        },
    ),
    Trap(
        "Julian days and ISO text",
        EVENTS.format(column="last_seen", type="")
        + "INSERT INTO events (last_seen) VALUES (2460000.5), ('2026-01-02T03:04:05Z')",
        {("mixed-epochs", "problem", "events.last_seen")},
    ),
    Trap(
        "texts with and without an offset",
        EVENTS.format(column="created_at", type="TEXT")
        + "INSERT INTO events (created_at) VALUES ('2026-01-02T03:04:05+01:00'),"
        " ('2026-01-02T03:04:05')",
        {
            ("mixed-epochs", "warning", "events.created_at"),
            ("naive-timestamps", "notice", "trap.db"),
        },
    ),
    Trap(
        "seconds and milliseconds in one table",
        """CREATE TABLE events (id INTEGER PRIMARY KEY, created_at BIGINT,
           updated_at BIGINT);
           INSERT INTO events VALUES (1, 1750000000, 1750000000123)""",
        {("mixed-epochs", "warning", "events")},
    ),
    Trap(
        "moments as integers",
        EVENTS.format(column="created_at", type="INTEGER")
        + "INSERT INTO events (created_at) VALUES (1750000000)",
        {("four-byte-epochs", "notice", "trap.db")},
    ),
    Trap(
        "moments as text without an offset",
        EVENTS.format(column="created_at", type="TIMESTAMP DEFAULT CURRENT_TIMESTAMP")
        + "INSERT INTO events (id) VALUES (1)",
        {("naive-timestamps", "notice", "trap.db")},
    ),
    Trap(
        "text that is no UTF-8",
        "UPDATE orders SET note = CAST(x'4DFC6C6C6572' AS TEXT) WHERE id = 4",
        {("invalid-text", "problem", "orders.note")},
    ),
    Trap(
        "text with a NUL",
        "UPDATE orders SET note = 'a' || char(0) || 'b' WHERE id IN (4, 5)",
        {("invalid-text", "warning", "orders.note")},
    ),
    Trap(
        "text that is too long",
        f"UPDATE customers SET email = '{'x' * 81}' WHERE id = 3",
        {("too-long-text", "warning", "customers.email")},
    ),
    Trap(
        "a document that is no JSON",
        """CREATE TABLE settings (id INTEGER PRIMARY KEY, value JSON);
           INSERT INTO settings (value) VALUES ('{"a": 1}'), ('{a: 1')""",
        {("invalid-json", "warning", "settings.value")},
    ),
    Trap(
        "names called nan",
        "UPDATE customers SET name = 'nan' WHERE id < 4",
        {("missing-as-text", "warning", "customers.name")},
    ),
    Trap(
        "one text that may be a name",
        "UPDATE customers SET name = 'Null' WHERE id = 4;"
        "UPDATE customers SET name = 'NULL' WHERE id = 5",
        {("missing-as-text", "notice", "customers.name")},
    ),
    Trap(
        "an integer above 31 bits",
        "UPDATE orders SET total_cents = 3000000000 WHERE id = 4",
        {("integer-range", "notice", "trap.db")},
    ),
    Trap(
        "the last rowid",
        "INSERT INTO customers VALUES (9223372036854775807, 'n', 'e', 1, '')",
        {("integer-range", "problem", "customers.id")},
        also=frozenset({("integer-range", "notice", "trap.db")}),
    ),
]

SCHEMA_TRAPS = [
    Trap(
        "called unique, with duplicates",
        """CREATE INDEX customers_name_unq ON customers (name);
           UPDATE customers SET name = 'Ann' WHERE id IN (1, 2)""",
        {("unique-in-name-only", "problem", "customers: customers_name_unq")},
    ),
    Trap(
        "called unique, without duplicates",
        "CREATE INDEX uq_customers_name ON customers (name)",
        {("unique-in-name-only", "warning", "customers: uq_customers_name")},
    ),
    Trap(
        "called a unique index in one word",
        "CREATE INDEX customers_name_uniqueindex ON customers (name)",
        {("unique-in-name-only", "warning", "customers: customers_name_uniqueindex")},
    ),
    Trap(
        "a column with such a name, and an index that says it is not",
        """CREATE TABLE visits (id INTEGER PRIMARY KEY, unique_visitors INTEGER);
           CREATE INDEX ix_unique_visitors ON visits (unique_visitors);
           CREATE INDEX name_not_unique ON customers (name)""",
        set(),
    ),
    Trap(
        "said to be unique in a comment",
        "CREATE INDEX by_name ON customers (name /* unique per customer */)",
        {("unique-in-name-only", "warning", "customers: by_name")},
    ),
    Trap(
        "a column said to be unique in a comment",
        """CREATE TABLE users (
             id INTEGER PRIMARY KEY,
             login TEXT NOT NULL, -- must be unique
             nick TEXT NOT NULL UNIQUE -- unique as well
           )""",
        {("unique-in-name-only", "warning", "users.login")},
    ),
    Trap(
        "a table without a primary key",
        "CREATE TABLE log (line TEXT)",
        {("no-primary-key", "notice", "trap.db")},
    ),
    Trap(
        "NULL in a primary key",
        """CREATE TABLE codes (code TEXT PRIMARY KEY, meaning TEXT);
           INSERT INTO codes VALUES ('a', 'one'), (NULL, 'two'), (NULL, 'three')""",
        {("null-in-primary-key", "problem", "codes.code")},
    ),
    Trap(
        "an index that another begins with",
        "CREATE INDEX by_customer_and_note ON orders (customer_id, note)",
        {("redundant-indexes", "notice", "trap.db")},
    ),
    Trap(
        "names alike in the first 63 bytes",
        f"CREATE TABLE t{'x' * 63}a (id INTEGER PRIMARY KEY);"
        f"CREATE TABLE t{'x' * 63}b (id INTEGER PRIMARY KEY)",
        {("long-names", "warning", "trap.db")},
    ),
    Trap(
        "never analysed",
        """DROP TABLE sqlite_stat1;
           CREATE TABLE readings (id INTEGER PRIMARY KEY, sensor INTEGER, value REAL);
           CREATE INDEX by_sensor ON readings (sensor);
           CREATE INDEX by_value ON readings (value);
           WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 10000)
           INSERT INTO readings SELECT i, i % 7, i / 3.0 FROM n""",
        {("stale-statistics", "notice", "trap.db")},
    ),
]

ROWS = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 60) "


def journal(status: str) -> str:
    """Return what a move's journal says in a file that it fills."""
    return f"""CREATE TABLE lockstep_move_state (one INTEGER PRIMARY KEY, status TEXT,
        source TEXT, fingerprint TEXT, digest TEXT, plan TEXT, began TEXT);
        INSERT INTO lockstep_move_state (status, source)
        VALUES ('{status}', 'postgresql://db/shop');"""


def one_wrong_row(
    values: dict[str, tuple[str, str]], *, table: str = "order", types: str = ""
) -> str:
    """Return SQL for 60 rows, of which the 31st holds each column's second value."""
    columns = ", ".join(f'"{name}" {types}' for name in values)
    usual = ", ".join(value for value, _ in values.values())
    wrong = ", ".join(f'"{name}" = {value}' for name, (_, value) in values.items())
    return (
        f'CREATE TABLE "{table}" ("key" TEXT PRIMARY KEY, {columns}) WITHOUT ROWID;'
        f"{ROWS} INSERT INTO \"{table}\" SELECT printf('%03d', i), {usual} FROM n;"
        f'UPDATE "{table}" SET {wrong} WHERE "key" = \'031\''
    )


SECONDS, TEXT_TIME = "1700000000 + i", "datetime(1700000000 + i, 'unixepoch')"
CALLED = [
    *("erstellt_am", "fecha", "ts", "when", "geändert", "horodatage", "дата", "x7"),
    *("zuletzt_gesehen", "creado", "aangemaakt_op", "gueltig_bis", "lastLogin"),
]
SPELLINGS = {
    "naissance": "'1700000000.25'",
    "c2": "'02.1.2026'",
    "datum": "'2026/01/02 03:04'",
    "c4": "'20260102T030405Z'",
    "c5": "'Mon, 02 Jan 2026 03:04:05 GMT'",
}
PRICED = [
    *("prijs", "montant_ttc", "Stückpreis", "saldo", "цена", "rechnungsbetrag"),
    *("umsatz", "precio_unitario", "totalAmount", "netto", "tva"),
]

SUBTLE_TRAPS = [
    Trap(
        "a move that has not ended",
        journal("copied"),
        {("unfinished-move", "problem", "trap.db")},
    ),
    Trap(
        "a move that found differences",
        journal("differs"),
        {("unfinished-move", "warning", "trap.db")},
    ),
    Trap("a move that was proved complete", journal("verified"), set()),
    Trap(
        "a table that is only called as a move's",
        "CREATE TABLE lockstep_move_state (id INTEGER PRIMARY KEY, status TEXT); "
        "INSERT INTO lockstep_move_state (status) VALUES ('copying')",
        set(),
    ),
    Trap(
        "milliseconds in one row, whatever the column is called",
        one_wrong_row({name: (SECONDS, "1700000000123") for name in CALLED}),
        {("mixed-epochs", "problem", f"order.{name}") for name in CALLED},
        also=frozenset({("four-byte-epochs", "notice", "trap.db")}),
    ),
    Trap(
        "another spelling in one row",
        one_wrong_row({n: (TEXT_TIME, wrong) for n, wrong in SPELLINGS.items()}),
        {("mixed-epochs", "problem", f"order.{name}") for name in SPELLINGS}
        | {("naive-timestamps", "notice", "trap.db")},
    ),
    Trap(
        "numbers that are no moments",
        one_wrong_row(
            {
                "time": ("i * i * i * 9973", "1700000000123"),  # durations
                "phone": ("4912345670 + i", "1700000000123"),
                "size_bytes": ("1000000000 + i * 7", "1700000000123"),
                "n": ("i", "1700000000"),
            },
            types="BIGINT",
        ),
        set(),
    ),
    Trap(
        "money by other names",
        one_wrong_row(
            {name: ("i + 0.99", "7.5") for name in PRICED},
            table="rechnungen",
            types="DOUBLE",
        ),
        {("real-money", "warning", f"rechnungen.{name}") for name in PRICED},
    ),
    Trap(
        "what may be money, and what is a rate",
        one_wrong_row(
            {"amount": ("i + 0.99", "7.5"), "discount": ("i % 5 / 20.0", "0.15")},
            table="things",
            types="REAL",
        ),
        {("real-money", "notice", "things.amount")},
    ),
    Trap(
        "two kinds of value in a column of no clear type",
        one_wrong_row({"menge": ("i", "'zehn'"), "value": ("i", "'any'")})
        + """;CREATE TABLE codes (id UUID NOT NULL PRIMARY KEY, c INTEGER_OR_TEXT);
           INSERT INTO codes VALUES ('0a', 1), (x'0b', 'b')""",
        {
            ("dirty-types", "warning", "order.menge"),
            ("dirty-types", "warning", "codes.id"),
        },
    ),
    Trap(
        "JSON by name only",
        one_wrong_row(
            {"meta_json": ("'{}'", "'{a: 1'"), "json": ("'a ' || i", "'{}'")},
            types="TEXT",
        ),
        {("invalid-json", "warning", "order.meta_json")},
    ),
    Trap(
        "amounts as text with a comma",
        one_wrong_row({"preis": ("i || ',99'", "'7'")}, types="TEXT"),
        {("text-numbers", "warning", "order.preis")},
    ),
    Trap(
        "a unique address twice, but for case or spaces",
        """CREATE TABLE accounts (id INTEGER PRIMARY KEY, email TEXT UNIQUE, path TEXT
           UNIQUE, tag TEXT COLLATE NOCASE UNIQUE);
           CREATE TABLE logins (id INTEGER PRIMARY KEY, login TEXT);
           CREATE UNIQUE INDEX logins_of_people ON logins (lower(login));
           INSERT INTO accounts VALUES (1, 'a@x.org', '/a', 'a'),
             (2, 'A@x.org', '/A', 'b'), (3, NULL, NULL, NULL), (4, NULL, NULL, NULL);
           INSERT INTO logins VALUES (1, 'ann'), (2, 'ann ')""",
        {
            ("unique-in-name-only", "warning", "accounts.email"),
            ("unique-in-name-only", "warning", "logins.login"),
        },
    ),
    Trap(
        "a unique pair twice, one of it NULL",
        """CREATE TABLE prices (id INTEGER PRIMARY KEY, part INT NOT NULL, "to" TEXT,
           UNIQUE (part, "to"));
           INSERT INTO prices VALUES (1, 7, NULL), (2, 7, NULL), (3, 8, NULL)""",
        {("unique-in-name-only", "warning", "prices (part, to)")},
    ),
    Trap(
        "a unique index that the primary key is part of",
        """CREATE UNIQUE INDEX uq_customers_name ON customers (name, id);
           CREATE UNIQUE INDEX uq_orders_note ON orders (note || id);
           UPDATE customers SET name = 'Ann' WHERE id IN (4, 5);
           UPDATE orders SET note = 'n' WHERE id IN (4, 5)""",
        {
            ("unique-in-name-only", "warning", "customers.name"),
            ("unique-in-name-only", "warning", "orders.note"),
        },
    ),
    Trap(
        "an index that leaves out NULLs serves a foreign key",
        """DROP INDEX ix_orders_customer_id;
           CREATE INDEX ix_orders_customer_id ON orders (customer_id)
           WHERE customer_id IS NOT NULL""",
        set(),
    ),
    Trap(
        "an index sorted otherwise does not serve a foreign key",
        """CREATE TABLE codes (code TEXT PRIMARY KEY NOT NULL) STRICT;
           CREATE TABLE uses (id INTEGER PRIMARY KEY, code TEXT REFERENCES codes);
           CREATE INDEX ix_uses ON uses (code COLLATE NOCASE)""",
        {("unindexed-foreign-keys", "notice", "uses.code")},
    ),
]
"""One row among many, in other words and languages, and what only looks alike."""

TRAPS += VALUE_TRAPS + SCHEMA_TRAPS + SUBTLE_TRAPS
