"""Well-made databases of other people's tools: nothing is found that is not there."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from lockstep.doctor import examine

DJANGO = """
CREATE TABLE "django_migrations" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT,
  "app" varchar(255) NOT NULL, "name" varchar(255) NOT NULL, "applied" datetime NOT
    NULL);
CREATE TABLE "auth_user" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT,
  "password" varchar(128) NOT NULL, "last_login" datetime NULL,
  "is_superuser" bool NOT NULL, "username" varchar(150) NOT NULL UNIQUE,
  "is_active" bool NOT NULL, "date_joined" datetime NOT NULL);
CREATE TABLE "shop_order" ("id" char(32) NOT NULL PRIMARY KEY,
  "price" decimal NOT NULL, "positions" smallint unsigned NOT NULL CHECK ("positions"
    >= 0),
  "meta" text NOT NULL CHECK ((JSON_VALID("meta") OR "meta" IS NULL)),
  "duration" bigint NOT NULL, "rate" real NOT NULL, "day" date NOT NULL,
  "user_id" integer NOT NULL REFERENCES "auth_user" ("id") DEFERRABLE INITIALLY
    DEFERRED);
CREATE INDEX "shop_order_user_id_4f2a9f2e" ON "shop_order" ("user_id");
CREATE TABLE "auth_user_groups" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT,
  "user_id" integer NOT NULL REFERENCES "auth_user" ("id") DEFERRABLE INITIALLY
    DEFERRED,
  "group_id" integer NOT NULL);
CREATE UNIQUE INDEX "auth_user_groups_user_id_group_id_94350c0c_uniq"
  ON "auth_user_groups" ("user_id", "group_id");
CREATE TABLE "django_session" ("session_key" varchar(40) NOT NULL PRIMARY KEY,
  "session_data" text NOT NULL, "expire_date" datetime NOT NULL);
INSERT INTO auth_user VALUES (1, 'pbkdf2', '2026-01-02 03:04:05.123456', 1, 'ann', 1,
  '2026-01-02 03:04:05'), (2, 'x', NULL, 0, 'ben', 1, '2026-01-02 03:04:05.5');
INSERT INTO shop_order VALUES ('0123456789abcdef0123456789abcdef', '89.99', 3, '{"a":
    1}',
  86400000000, 0.075, '2026-01-02', 1);
INSERT INTO auth_user_groups VALUES (1, 1, 7), (2, 2, 7);
INSERT INTO django_session VALUES ('k', 'd', '2026-01-02 03:04:05');
INSERT INTO django_migrations VALUES (1, 'shop', '0001_initial', '2026-01-02 03:04:05');
"""

RAILS = """
CREATE TABLE "schema_migrations" ("version" varchar NOT NULL PRIMARY KEY);
CREATE TABLE "ar_internal_metadata" ("key" varchar NOT NULL PRIMARY KEY, "value"
    varchar,
  "created_at" datetime(6) NOT NULL, "updated_at" datetime(6) NOT NULL);
CREATE TABLE "authors" ("id" integer PRIMARY KEY AUTOINCREMENT NOT NULL, "name" varchar,
  "admin" boolean DEFAULT 0, "settings" json, "created_at" datetime(6) NOT NULL,
  "updated_at" datetime(6) NOT NULL);
CREATE TABLE "posts" ("id" integer PRIMARY KEY AUTOINCREMENT NOT NULL, "title" varchar,
  "author_id" integer NOT NULL, "price_cents" integer, "rating" float,
  "created_at" datetime(6) NOT NULL, CONSTRAINT "fk_rails_7" FOREIGN KEY ("author_id")
  REFERENCES "authors" ("id"));
CREATE INDEX "index_posts_on_author_id" ON "posts" ("author_id");
CREATE TABLE "active_storage_blobs" ("id" integer PRIMARY KEY AUTOINCREMENT NOT NULL,
  "key" varchar NOT NULL, "byte_size" bigint NOT NULL, "checksum" varchar);
CREATE UNIQUE INDEX "index_active_storage_blobs_on_key" ON "active_storage_blobs"
    ("key");
INSERT INTO authors VALUES (1, 'Ann', 1, '{"a": [1]}', '2026-01-02 03:04:05.123456',
  '2026-01-02 03:04:05.123456'), (2, NULL, 0, NULL, '2026-01-02 03:04:06.000000',
  '2026-01-02 03:04:06.000000');
INSERT INTO posts VALUES (1, 'Null and void', 1, 8999, 4.5, '2026-01-02 03:04:05.1');
INSERT INTO active_storage_blobs VALUES (1, 'k', 5000000000, 'abc==');
"""

DRIZZLE = """
CREATE TABLE `__drizzle_migrations` (id SERIAL PRIMARY KEY, hash text NOT NULL,
  created_at numeric);
CREATE TABLE `user` (`id` text PRIMARY KEY NOT NULL, `email` text,
  `email_verified` integer, `home_board_id` text REFERENCES board(id));
CREATE TABLE `board` (`id` text PRIMARY KEY NOT NULL, `name` text NOT NULL,
  `is_public` integer DEFAULT false NOT NULL, `creator_id` text REFERENCES user(id),
  `created_at` integer DEFAULT (unixepoch()) NOT NULL, `opacity` integer DEFAULT 100);
CREATE UNIQUE INDEX `board_name_unique` ON `board` (`name`);
CREATE INDEX board_creator ON board (creator_id);
CREATE INDEX user_home ON user (home_board_id);
CREATE TABLE `item_layout` (`item_id` text NOT NULL, `section_id` text NOT NULL,
  `layout_id` text NOT NULL, `x_offset` integer NOT NULL,
  PRIMARY KEY (`item_id`, `section_id`, `layout_id`));
CREATE TABLE `media` (`id` text PRIMARY KEY NOT NULL, `content` blob NOT NULL,
  `size` integer NOT NULL);
CREATE TABLE `session` (`session_token` text PRIMARY KEY NOT NULL,
  `expires` integer NOT NULL);
INSERT INTO __drizzle_migrations (hash, created_at) VALUES ('a', 1750000000000);
INSERT INTO user VALUES ('u1', 'a@example.org', NULL, NULL);
INSERT INTO board VALUES ('b1', 'home', 1, 'u1', 1750000000, 100);
INSERT INTO media VALUES ('m1', x'89504e47', 4);
INSERT INTO item_layout VALUES ('i', 's', 'l', 0), ('i', 's', 'm', 2);
"""


@pytest.mark.parametrize(
    "sql", [DJANGO, RAILS, DRIZZLE], ids=["Django", "Rails", "Drizzle"]
)
def test_a_clean_schema_gets_no_warning(tmp_path: Path, sql: str) -> None:
    path = tmp_path / "app.db"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.executescript(sql)
    connection.close()
    report = examine(path)
    assert report.unfinished == ()
    loud = [f for f in report.findings if f.severity != "notice"]
    assert [(f.check, f.subject, f.what) for f in loud] == []


def test_a_program_s_own_collation_and_modules_are_no_obstacle(tmp_path: Path) -> None:
    path = tmp_path / "phone.db"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = WAL")

    def fold(first: str, second: str) -> int:
        return (first.lower() > second.lower()) - (first.lower() < second.lower())

    connection.create_collation("LOCALIZED", fold)
    connection.executescript(
        """CREATE TABLE contacts (name TEXT COLLATE LOCALIZED PRIMARY KEY NOT NULL);
           CREATE TABLE calls (id INTEGER PRIMARY KEY, name TEXT
             REFERENCES contacts (name));
           CREATE INDEX calls_name ON calls (name COLLATE LOCALIZED);
           CREATE INDEX calls_by_name ON calls (name);
           CREATE VIRTUAL TABLE found USING fts5 (body);
           INSERT INTO contacts VALUES ('Ann'), ('ben');
           INSERT INTO calls VALUES (1, 'ANN'), (2, 'Ben');
           PRAGMA writable_schema = ON;
           INSERT INTO sqlite_master VALUES ('table', 'odd', 'odd', 0,
             'CREATE VIRTUAL TABLE odd USING module_of_a_phone (a, b)');"""
    )
    connection.commit()
    connection.close()
    report = examine(path)
    assert report.unfinished == ()
    assert [f.what for f in report.findings if f.severity != "notice"] == []


@pytest.mark.parametrize("encoding", ["UTF-16le", "UTF-16be"])
def test_another_encoding_is_no_damage(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "wide.db"
    connection = sqlite3.connect(path)
    connection.executescript(
        f"""PRAGMA encoding = '{encoding}'; PRAGMA journal_mode = WAL;
            CREATE TABLE t (id INTEGER PRIMARY KEY, note TEXT);
            INSERT INTO t VALUES (1, 'Müller € 😀')"""
    )
    connection.close()
    report = examine(path)
    assert report.is_healthy
    assert report.unfinished == ()


def test_odd_names_and_tables_are_read(tmp_path: Path) -> None:
    path = tmp_path / "odd.db"
    connection = sqlite3.connect(path)
    wide = ", ".join(f"c{number} TEXT" for number in range(700))
    connection.executescript(
        f"""PRAGMA journal_mode = WAL;
            CREATE TABLE "we""ird ta'ble" ("co l%" INTEGER PRIMARY KEY, "or""der"
            REAL);
            CREATE TABLE rowid (rowid TEXT PRIMARY KEY NOT NULL, _rowid_ INT, oid INT);
            CREATE TABLE made (a INT, b INT GENERATED ALWAYS AS (a * 2) STORED,
              c TEXT AS (a || 'x'));
            CREATE VIEW broken AS SELECT * FROM nowhere;
            CREATE TABLE w (k TEXT PRIMARY KEY, rowid INT) WITHOUT ROWID;
            CREATE TABLE "ünï" ("é" INTEGER PRIMARY KEY, created_at DATETIME);
            CREATE TABLE empty_name ("" TEXT);
            CREATE TABLE wide ({wide});
            INSERT INTO rowid VALUES ('x', 1, 2);
            INSERT INTO made (a) VALUES (1);
            INSERT INTO w VALUES ('k', 7);
            INSERT INTO wide (c699) VALUES ('y')"""
    )
    connection.close()
    report = examine(path)
    assert report.unfinished == ()
    assert [f.what for f in report.findings if f.severity != "notice"] == []
