"""Results as a table, as JSON and as a picture."""

from __future__ import annotations

import json
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from lockstep.bench.machine import Flush, Machine
from lockstep.bench.picture import draw
from lockstep.bench.report import (
    limit_text,
    machine_facts,
    rows,
    summary,
    verdict_text,
    warnings,
)
from lockstep.bench.results import Result, Score, Standing
from lockstep.bench.scenario import Metric, Round, Scenario, Target

MACHINE = Machine(
    system="Linux 6",
    processor="A <fast> & small one",
    cores=2,
    memory_bytes=1 << 33,
    disk="ext4 on an SSD",
    flush=Flush(0.001, 0.002),
    loopback_s=15e-6,
    load=0.1,
    versions={"python": "3.11.7"},
)
SCENARIO = Scenario(
    name="race",
    title="Who is <first>",
    why="To draw it.",
    metric=Metric.RATE,
    baseline="peer",
    contestants=lambda scale: [],
    targets=(
        Target("Lockstep", "at least", 20, "peer"),
        Target("Lockstep", "p99", 0.05),
        Target("Lockstep", "no refusals"),
        Target("Lockstep", "at least", 15_000),
        Target("Lockstep", "at least", 8, "absent & away"),
    ),
    limit="fsync",
    claims=(("peer", 0.1),),
)


def rounds(*rates: int) -> tuple[Round, ...]:
    return tuple(Round(rate, 1.0, (0.001, 0.004)) for rate in rates)


RESULT = Result(
    SCENARIO,
    (
        Score("peer", Standing.OK, "", (Round(100, 1.0, (0.5,), refused=7),) * 3),
        Score("Lockstep", Standing.OK, "", rounds(9_000, 10_000, 12_000)),
        Score("absent & away", Standing.MISSING, "needs <asyncpg>", ()),
        Score("lossy", Standing.WRONG, "3 writes are gone", rounds(99_999)),
    ),
    (0.001, 0.0005, 0.004),
)


def test_the_table_says_what_was_measured_and_what_was_not() -> None:
    peer, ours, absent, lossy = rows(RESULT)
    assert peer == (
        *("peer", "100/s", "100/s … 100/s", "500 ms", ""),
        "21 refused, claimed 100 ms",
    )
    assert ours == (
        *("Lockstep", "10,000/s", "9,000/s … 12,000/s", "4.00 ms"),
        *("100 × (90.0 … 120)", ""),
    )
    assert absent == ("absent & away", "missing", "", "", "", "needs <asyncpg>")
    assert lossy[1] == "wrong", "a rate that lost rows is no rate"
    assert lossy[5] == "3 writes are gone"


def test_every_target_says_whether_it_was_met() -> None:
    assert [verdict_text(RESULT, verdict) for verdict in RESULT.verdicts()] == [
        "met: Lockstep, at least 20 × peer: 100 ×",
        "met: Lockstep, p99 at most 50.0 ms: 4.00 ms",
        "met: Lockstep, no refusal: 0",
        "missed: Lockstep, at least 15,000/s: 10,000/s",
        "unknown: Lockstep, at least 8 × absent & away (absent & away missing)",
    ]
    assert summary([RESULT]) == (
        "3 of 5 targets met, 1 contestants missing, 1 contestants wrong"
    )


def test_the_machine_s_limit_stands_beside_the_result() -> None:
    assert limit_text(RESULT) == (
        "the disk's own limit: a flush takes 1.00 ms (500 µs … 4.00 ms), so 1,000 "
        "commits/s one by one"
    )
    loopback = replace(SCENARIO, limit="loopback")
    assert "round trip takes 15.0 µs" in limit_text(Result(loopback, (), (15e-6,)))
    written = replace(SCENARIO, limit="write")
    assert limit_text(Result(written, (), (0.25,))) == (
        "the disk's own limit: 32 MiB in a row, flushed, takes 250 ms "
        "(250 ms … 250 ms), so 128 MiB/s"
    )
    none = replace(SCENARIO, limit="none", no_limit="The work is done elsewhere.")
    assert limit_text(Result(none, (), ())) == (
        "no limit of the machine: the work is done elsewhere."
    )
    assert ("Loopback", "15.0 µs round trip") in machine_facts(MACHINE)


def test_what_spoils_the_numbers_is_said() -> None:
    assert warnings(MACHINE) == []
    assert "busy" in warnings(replace(MACHINE, load=3.0))[0]
    disk = "tmpfs: memory, no disk; nothing here is durable"
    assert "--folder" in warnings(replace(MACHINE, disk=disk))[0]


def test_json_carries_every_raw_round() -> None:
    document = json.loads(json.dumps(RESULT.to_json()))
    ours = document["contestants"][1]
    assert [item["value"] for item in ours["rounds"]] == [9_000, 10_000, 12_000]
    assert (ours["median"], ours["ratio"], ours["ratio_low"]) == (10_000, 100, 90)
    assert document["targets"][0]["judgement"] == "met"
    assert document["contestants"][2]["median"] is None


@pytest.mark.parametrize("metric", list(Metric))
def test_the_picture_is_one_well_formed_file(metric: Metric) -> None:
    result = replace(RESULT, scenario=replace(SCENARIO, metric=metric))
    text = draw(MACHINE, [result, result])
    root = ElementTree.fromstring(text)
    assert root.tag.endswith("svg")
    assert "prefers-color-scheme: dark" in text
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    for element in root.iter():
        x = float(element.attrib.get("x", 0))
        y = float(element.attrib.get("y", 0))
        assert 0 <= x <= width
        assert 0 <= y <= height
    said = [element.text for element in root.iter() if element.tag.endswith("text")]
    assert "race: Who is <first>" in said
    assert any(text and text.startswith("missing: needs") for text in said)


def test_bars_are_linear_and_ours_are_marked() -> None:
    root = ElementTree.fromstring(draw(MACHINE, [RESULT]))
    bars = [e for e in root.iter() if "bar" in e.attrib.get("class", "").split()]
    widths = [float(bar.attrib["width"]) for bar in bars]
    assert widths[1] / widths[0] == pytest.approx(100, rel=0.05)
    assert [bar.attrib["class"] for bar in bars] == ["bar", "bar ours"]
