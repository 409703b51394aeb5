"""The quirks of real SQLite files, each as a small file made in code."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

Make = Callable[[sqlite3.Connection], None]
QUIRKS: dict[str, Make] = {}


def quirk(function: Make) -> Make:
    QUIRKS[function.__name__] = function
    return function


def script(name: str, sql: str) -> None:
    QUIRKS[name] = lambda connection: connection.executescript(sql) and None


def make(name: str, path: Path) -> Path:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.create_collation("odd", lambda a, b: (a > b) - (a < b))
    try:
        QUIRKS[name](connection)
    finally:
        connection.close()
    return path


script(
    "booleans",
    """
CREATE TABLE t (id INTEGER PRIMARY KEY, a BOOLEAN NOT NULL DEFAULT 0, b BOOL DEFAULT 1);
INSERT INTO t (a, b) VALUES (0, 1), (1, 0), (1, NULL);""",
)
script(
    "boolean_that_is_not",
    """
CREATE TABLE t (a BOOLEAN); INSERT INTO t VALUES (0), (1), (2);""",
)
script(
    "numeric_default_false",
    """
CREATE TABLE t (id INTEGER PRIMARY KEY, a NUMERIC DEFAULT false, b NUMERIC DEFAULT true);
INSERT INTO t DEFAULT VALUES;""",
)
script(
    "current_timestamp",
    """
CREATE TABLE t (id INTEGER PRIMARY KEY, at DATETIME DEFAULT CURRENT_TIMESTAMP,
  day DATE DEFAULT CURRENT_DATE, clock TIME DEFAULT CURRENT_TIME);
INSERT INTO t DEFAULT VALUES;""",
)
script(
    "epoch_ms",
    """
CREATE TABLE t (id INTEGER PRIMARY KEY, at DATETIME);
INSERT INTO t (at) VALUES (1700000000123), (4102444800000), (NULL);""",
)
script(
    "epoch_s",
    """
CREATE TABLE t (id INTEGER PRIMARY KEY, created_at INTEGER DEFAULT (unixepoch()),
  ms INTEGER DEFAULT (strftime('%s','now')*1000),
  s INTEGER DEFAULT (cast(strftime('%s','now') as integer)));
INSERT INTO t VALUES (1, 1700000000, 1, 2), (2, 2147483648, 3, 4);""",
)
script(
    "julian",
    """
CREATE TABLE t (at DATETIME, j REAL); INSERT INTO t VALUES
(julianday('2024-02-29 12:34:56.789'), 2460000.5), (2440587.5, 1.5);""",
)
script(
    "mixed_dates",
    """
CREATE TABLE t (at DATETIME); INSERT INTO t VALUES ('2024-01-01 00:00:00'), (1700000000),
('2024-01-01T00:00:00Z'), (2460000.5), (''), ('0000-00-00'), (NULL);""",
)
script(
    "zero_dates",
    """
CREATE TABLE t (d DATE, at DATETIME); INSERT INTO t VALUES ('0000-00-00', ''),
('2024-02-30', '2024-13-01 25:00:00'), ('2024-01-01', '2024-01-01 00:00:00');""",
)
script(
    "exact_dates",
    """
CREATE TABLE t (d DATE, at DATETIME, ts TIMESTAMP); INSERT INTO t VALUES
('2024-02-29', '2024-02-29 01:02:03', '2024-02-29 01:02:03.5'), (NULL, NULL, NULL),
('0001-01-01', '9999-12-31 23:59:59', '1970-01-01 00:00:00.000001');""",
)
script(
    "trailing_zero_fraction",
    """
CREATE TABLE t (at DATETIME); INSERT INTO t VALUES ('2024-02-29 01:02:03.500');""",
)
script(
    "strftime_defaults",
    """
CREATE TABLE t (id INTEGER PRIMARY KEY,
  a TEXT DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')), b TEXT DEFAULT (datetime('now')),
  c TEXT DEFAULT (date('now')), d REAL DEFAULT (julianday('now')));
INSERT INTO t DEFAULT VALUES;""",
)
script(
    "text_in_integer",
    """
CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER);
INSERT INTO t (n) VALUES (1), ('apple'), (''), (2), (NULL), ('1e'), (' x');""",
)
script(
    "real_in_integer",
    """
CREATE TABLE t (n INTEGER); INSERT INTO t VALUES (1), (3.14159), (0.1), (-7), (1e300);""",
)
script(
    "real_and_text_in_integer",
    """
CREATE TABLE t (n INTEGER); INSERT INTO t VALUES (1), (3.14159), ('x'), (''), (NULL);""",
)
script(
    "wide_integers",
    """
CREATE TABLE t (id INTEGER PRIMARY KEY, n INT); INSERT INTO t (n) VALUES
(9223372036854775807), (-9223372036854775808), (2147483648), (9007199254740993);
INSERT INTO t VALUES (9223372036854775807, 1);""",
)
script(
    "wide_integer_and_real",
    """
CREATE TABLE t (n NUMERIC); INSERT INTO t VALUES (9223372036854775807), (0.5), (1e19);""",
)
script(
    "long_varchar",
    """
CREATE TABLE t (s VARCHAR(3), c CHAR(2)); INSERT INTO t VALUES ('longer', 'xyz'), ('a', '');""",
)


@quirk
def nul_in_text(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, s TEXT)")
    rows = [("a\0b",), ("plain",), ("\0",), (None,), ("",)]
    connection.executemany("INSERT INTO t (s) VALUES (?)", rows)


@quirk
def invalid_utf8(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, s TEXT, u TEXT)")
    connection.execute("INSERT INTO t (s, u) VALUES (CAST(x'61ff62' AS TEXT), 'ü')")
    connection.execute("INSERT INTO t (s, u) VALUES ('ok', 'ö'), (NULL, '')")


script(
    "blob_in_text",
    """
CREATE TABLE t (s TEXT); INSERT INTO t VALUES ('abc'), (x'00ff'), (x'616263'), (NULL);""",
)
script(
    "text_in_blob",
    """
CREATE TABLE t (b BLOB); INSERT INTO t VALUES ('abc'), (x'00ff'), (x''), (''), (x'616263');""",
)
script(
    "everything_in_one_column",
    """
CREATE TABLE t (x); INSERT INTO t VALUES (1), ('1'), (1.0), ('1.0'), (x'31'), (NULL), ('');""",
)
script(
    "number_and_its_text",
    """
CREATE TABLE t (x, n INTEGER); INSERT INTO t VALUES (42, 1), ('42', 1), (42.5, 2),
('42.5', 2), ('x', 3), (1e100, 4), ('inf', 5), (-0.0, 6);""",
)
script(
    "real_precision",
    """
CREATE TABLE t (r REAL, f FLOAT, d DOUBLE); INSERT INTO t VALUES
(89.99, 16777217.01, 0.1), (1e308, 5e-324, 1.7976931348623157e308), (1, 2, 3),
(123456789012345680.0, 1e15, 1e16), (2987326270092635.2, 0.30000000000000004, -1e-7),
  (1e23, -1e23, 8.41e21);""",
)


@quirk
def infinity(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE t (r REAL, n NUMERIC)")
    connection.execute("INSERT INTO t VALUES (9e999, -9e999), (1.5, 2), (-9e999, 2.5)")


script(
    "decimals",
    """
CREATE TABLE t (price DECIMAL(10,2), m MONEY, n NUMERIC(5)); INSERT INTO t VALUES
(89.99, 0.1, 5), (100, 7, 1.25), (0.005, 1e20, 3), (NULL, NULL, NULL);""",
)
script(
    "json",
    """
CREATE TABLE t (j JSON, k JSONB); INSERT INTO t VALUES ('{"b":1, "a":2}', '[1]'),
('{not json', ''), ('{"x":"\\u0000"}', '"x"'), (NULL, NULL);""",
)


@quirk
def uuids(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE t (id UUID PRIMARY KEY, b BLOB, c CHAR(36))")
    connection.execute(
        "INSERT INTO t VALUES ('0190A5F0-0000-7000-8000-000000000001', "
        "x'0190a5f0000070008000000000000001', '0190a5f0-0000-7000-8000-000000000001')"
    )


script(
    "full_text",
    """
CREATE TABLE docs (id INTEGER PRIMARY KEY, body TEXT); INSERT INTO docs VALUES (1, 'a b');
CREATE VIRTUAL TABLE notes USING fts5(title, body);
INSERT INTO notes VALUES ('one', 'first note'), ('two', 'second');
CREATE VIRTUAL TABLE docs_index USING fts5(body, content='docs', content_rowid='id');""",
)
script(
    "rtree",
    """
CREATE VIRTUAL TABLE box USING rtree(id, x0, x1); INSERT INTO box VALUES (1, 0.5, 1.5);""",
)
script(
    "generated_columns",
    """
CREATE TABLE t (a INTEGER, b INTEGER GENERATED ALWAYS AS (a * 2) VIRTUAL,
  c TEXT AS ('x' || a) STORED); INSERT INTO t (a) VALUES (1), (2);""",
)
script(
    "without_rowid",
    """
CREATE TABLE t (k TEXT, n INTEGER, v REAL, PRIMARY KEY (k, n)) WITHOUT ROWID;
INSERT INTO t VALUES ('b', 1, 0.5), ('a', 2, 1.5), ('a', 1, NULL), ('ä', 1, 2);""",
)
script(
    "autoincrement_empty",
    """
CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, s TEXT);
INSERT INTO t (s) VALUES ('x'), ('y'); DELETE FROM t;""",
)
script(
    "rowid_alias",
    """
CREATE TABLE t (id INTEGER PRIMARY KEY, s TEXT); INSERT INTO t VALUES (-5, 'a'), (7, 'b'),
(0, 'c');""",
)
script(
    "circular_keys",
    """
CREATE TABLE a (id INTEGER PRIMARY KEY, b_id INTEGER REFERENCES b(id));
CREATE TABLE b (id INTEGER PRIMARY KEY, a_id INTEGER NOT NULL REFERENCES a ON DELETE CASCADE);
INSERT INTO a VALUES (1, 1), (2, NULL); INSERT INTO b VALUES (1, 2), (2, 1);""",
)
script(
    "composite_keys",
    """
CREATE TABLE p (x INTEGER, y TEXT, PRIMARY KEY (x, y));
CREATE TABLE c (id INTEGER PRIMARY KEY, x INTEGER, y TEXT,
  FOREIGN KEY (x, y) REFERENCES p (x, y) DEFERRABLE INITIALLY DEFERRED);
INSERT INTO p VALUES (1, 'a'), (2, 'b'); INSERT INTO c VALUES (1, 1, 'a'), (2, NULL, 'b');""",
)
script(
    "orphans",
    """
CREATE TABLE p (id INTEGER PRIMARY KEY);
CREATE TABLE c (id INTEGER PRIMARY KEY, p_id INTEGER REFERENCES p(id),
  q_id INTEGER REFERENCES nowhere(id), r TEXT REFERENCES p(id));
INSERT INTO p VALUES (1); INSERT INTO c VALUES (1, 1, 9, '1'), (2, 99, NULL, 'x');""",
)
script(
    "names",
    """
CREATE TABLE "Order" ("select" INTEGER PRIMARY KEY, "MixedCase" TEXT, "with space" TEXT,
  "qu""ote" TEXT, "per%cent" TEXT, "ünïcode" TEXT, "xmin" TEXT, "" TEXT);
INSERT INTO "Order" VALUES (1, 'a', 'b', 'c', 'd', 'e', 'f', 'g');
CREATE TABLE "user" (id INTEGER PRIMARY KEY); CREATE INDEX "end" ON "Order" ("MixedCase");""",
)


LONG = "a_very_long_name_that_goes_on_and_on_beyond_what_postgresql_can_keep_"


@quirk
def long_names(connection: sqlite3.Connection) -> None:
    columns = ", ".join(f"{LONG}{i} TEXT" for i in range(5))
    connection.execute(f"CREATE TABLE t (id INTEGER PRIMARY KEY, {columns})")
    connection.execute("INSERT INTO t VALUES (1, '0', '1', '2', '3', '4')")
    for i in range(3):
        connection.execute(f"CREATE INDEX {LONG}index_{i} ON t ({LONG}{i})")


script(
    "indexes",
    """
CREATE TABLE t (id INTEGER PRIMARY KEY, s TEXT, n INTEGER, flag BOOLEAN);
CREATE INDEX partial ON t (n) WHERE n > 5 AND s IS NOT NULL;
CREATE UNIQUE INDEX expression ON t (lower(s), n DESC);
CREATE INDEX on_flag ON t (n) WHERE flag = 1;
CREATE INDEX odd_function ON t (strftime('%Y', s));
INSERT INTO t VALUES (1, 'A', 6, 1), (2, 'b', 7, 0), (3, 'B', 1, NULL);""",
)
script(
    "nocase_unique",
    """
CREATE TABLE t (id INTEGER PRIMARY KEY, email TEXT COLLATE NOCASE UNIQUE);
INSERT INTO t VALUES (1, 'a@x'), (2, 'É@x'), (3, 'é@x');""",
)
script(
    "unknown_collation",
    """
CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT COLLATE odd);
CREATE INDEX by_name ON t (name COLLATE odd); CREATE TABLE w (k TEXT COLLATE odd PRIMARY KEY)
WITHOUT ROWID; INSERT INTO t VALUES (1, 'b'), (2, 'A'); INSERT INTO w VALUES ('x'), ('B');""",
)
script(
    "checks",
    """
CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER NOT NULL CHECK (n >= 0) DEFAULT 5,
  s TEXT CHECK (s IN ('a', 'b') OR s IS NULL), flag BOOLEAN CHECK (flag IN (0, 1)),
  g TEXT CHECK (g GLOB '[a-z]*'), z REAL DEFAULT (1.5 + 1), q TEXT DEFAULT 'it''s',
  CONSTRAINT both CHECK (n < 100 AND length(s) = 1));
INSERT INTO t (n, s, flag, g) VALUES (1, 'a', 1, 'x'), (2, 'b', 0, 'y');""",
)
script(
    "violated_check",
    """
PRAGMA ignore_check_constraints = ON; CREATE TABLE t (n INTEGER CHECK (n > 0));
INSERT INTO t VALUES (1), (-1);""",
)
script(
    "views_and_triggers",
    """
CREATE TABLE t (id INTEGER PRIMARY KEY, s TEXT); CREATE VIEW v AS SELECT s FROM t;
CREATE TRIGGER tr AFTER INSERT ON t BEGIN UPDATE t SET s = upper(s) WHERE id = new.id; END;
INSERT INTO t (s) VALUES ('a');""",
)
script(
    "strict_any",
    """
CREATE TABLE t (id INTEGER PRIMARY KEY, x ANY, n INT, r REAL, b BLOB) STRICT;
INSERT INTO t VALUES (1, 1, 2, 3, x'00'), (2, '1', 5, 1.5, NULL), (3, 1.0, 5, 2, x'ff');""",
)
script(
    "unknown_types",
    """
CREATE TABLE t (a, b FANCY, c LONG, d STRING, e POINT, f "odd type"(3,4), g YEAR);
INSERT INTO t VALUES (1, 'x', 2, '3x', 4, 5.5, 1999), ('y', 'z', 3, 'w', 6, 7, 2000);""",
)
script(
    "null_in_key",
    """
CREATE TABLE t (k TEXT PRIMARY KEY, v INTEGER);
INSERT INTO t VALUES (NULL, 1), (NULL, 2), ('a', 3);""",
)
script(
    "utf16",
    """
PRAGMA encoding = 'UTF-16le'; CREATE TABLE t (id INTEGER PRIMARY KEY, s TEXT);
INSERT INTO t VALUES (1, 'grüße 🎉'), (2, ''), (3, 'a' || char(10) || 'b');
CREATE TABLE k (k TEXT PRIMARY KEY NOT NULL, v); CREATE TABLE w (k TEXT PRIMARY KEY, v)
  WITHOUT ROWID; INSERT INTO k VALUES ('a', 1), ('Ā', 2), ('ab', 3), ('z', 4);
INSERT INTO w SELECT * FROM k;""",
)


@quirk
def copy_escapes(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, s TEXT, b BLOB)")
    texts = [
        "\\N",
        "\\.",
        "a\tb",
        "a\nb",
        "a\r\nb",
        "\\",
        "\\\\",
        "\x08\x0b\x0c\x1b",
        "\x7f",
    ]
    texts += [
        "\x1e\x1f\x1d",
        '"',
        "'",
        ",",
        "\u2028",
        "\ufeff",
        "\ufffd",
        "𝔘",
        "NULL",
        " ",
    ]
    rows = [(text, text.encode()) for text in texts] + [("", b"")]
    connection.executemany("INSERT INTO t (s, b) VALUES (?, ?)", rows)


@quirk
def many_columns(connection: sqlite3.Connection) -> None:
    columns = ", ".join(
        f"c{i} {'INTEGER TEXT REAL BLOB'.split()[i % 4]}" for i in range(500)
    )
    connection.execute(f"CREATE TABLE t ({columns})")
    row = [[i, str(i), i / 3, bytes([i % 256])][i % 4] for i in range(500)]
    marks = ", ".join("?" * 500)
    connection.execute(f"INSERT INTO t VALUES ({marks})", row)
    connection.execute(f"INSERT INTO t VALUES ({marks})", [None] * 500)


@quirk
def large_values(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, s TEXT, b BLOB)")
    connection.execute("CREATE INDEX by_s ON t (s)")
    big = [("x\n\\é" * 700_000, b"\x00\xff" * 2_000_000), ("y" * 5_000, b"")]
    connection.executemany("INSERT INTO t (s, b) VALUES (?, ?)", big)


script(
    "tinyint",
    """
CREATE TABLE t (a TINYINT(1), b TINYINT(1)); INSERT INTO t VALUES (0, 5), (1, 1), (NULL, 0);""",
)


@quirk
def many_empty_tables(connection: sqlite3.Connection) -> None:
    kinds = (
        "INTEGER TEXT REAL BLOB NUMERIC DATETIME DATE BOOLEAN DECIMAL(5,2) TIME".split()
    )
    for i in range(60):
        connection.execute(
            f"CREATE TABLE t{i} (id INTEGER PRIMARY KEY, c {kinds[i % 10]})"
        )


script(
    "long_unique_values",
    """
CREATE TABLE t (url TEXT UNIQUE, k TEXT PRIMARY KEY);
INSERT INTO t VALUES (hex(zeroblob(9000)), hex(randomblob(4000))), ('b', 'c');""",
)
script(
    "duplicates_under_the_target",
    """
CREATE TABLE t (x UNIQUE); INSERT INTO t VALUES ('abc'), (x'616263'), (1), ('1');""",
)
script(
    "no_rows_no_key",
    """
CREATE TABLE t (a TEXT); INSERT INTO t VALUES ('same'), ('same'), ('same'), (NULL), (NULL);""",
)
script(
    "shadowed_rowid",
    """
CREATE TABLE t (rowid TEXT, _rowid_ TEXT, oid TEXT); INSERT INTO t VALUES ('a','b','c'),
('d','e','f');""",
)
script(
    "descending_key",
    """
CREATE TABLE t (id INTEGER PRIMARY KEY DESC, s TEXT); INSERT INTO t VALUES (1, 'a'), (NULL, 'b');""",
)
script(
    "added_column",
    """
CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1), (2);
ALTER TABLE t ADD COLUMN s TEXT DEFAULT 'new'; INSERT INTO t VALUES (3, 'own');""",
)


@quirk
def form_feeds_beside_odd_cells(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE t (s TEXT, x)")
    rows = [
        ("\x0c\x08\x0b", 1),
        ("\x0c\x08\x0b", "1"),
        ("\x0c\x08\x0b", b"1"),
        ("", b""),
    ]
    connection.executemany("INSERT INTO t VALUES (?, ?)", rows)


script(
    "large_reals_among_texts",
    """
CREATE TABLE t (r REAL); INSERT INTO t VALUES (1e16), (''), (1e15), (-1e300), ('x');""",
)
