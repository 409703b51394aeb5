"""What a running migration, and a move, say on stderr."""

import io
import sys

import pytest

from lockstep.cli.migrate.apply import describe_loss, draw_plan
from lockstep.cli.migrate.progress import MigrationProgress
from lockstep.cli.move_progress import MoveProgress
from lockstep.cli.output import Output, Page, console
from lockstep.cli.status_line import LINE_INTERVAL_S
from lockstep.clock import ManualClock
from lockstep.migrations.results import (
    Loss,
    Plan,
    PlannedStep,
    RevisionFinished,
    RevisionStarted,
    RowsDone,
    VerifyStep,
    WaitingForMigrator,
)
from lockstep.mover import Progress


def started(revision: str) -> RevisionStarted:
    return RevisionStarted(revision, "add a shelf", "upgrade", 1, 2)


def finished(revision: str) -> RevisionFinished:
    return RevisionFinished(revision, "add a shelf", "upgrade", 1, 2, 0.25)


def test_a_finished_revision_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with MigrationProgress(Output()) as progress:
        progress(finished("3f2a"))
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "✓ 3f2a add a shelf (0.25 s)\n"


def test_rows_are_told_at_a_bounded_rate(capsys: pytest.CaptureFixture[str]) -> None:
    clock = ManualClock()
    with MigrationProgress(Output(), clock=clock) as progress:
        for done in range(1000):
            progress(RowsDone("rebuild tool", done, 1000, 1.0))
        clock.advance(LINE_INTERVAL_S)
        progress(RowsDone("rebuild tool", 1000, 1000, 0.0))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert lines[1] == "· rebuild tool: 1,000 of 1,000 rows, 0 s left"


def test_waiting_and_verify_steps_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    with MigrationProgress(Output()) as progress:
        progress(WaitingForMigrator(3.0, 60.0))
        progress(VerifyStep("sqlite", "up and down"))
    err = capsys.readouterr().err
    assert "waiting for another migrator (3 s of 60 s)" in err
    assert "sqlite: up and down" in err


def test_what_was_kept_is_what_was_committed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with MigrationProgress(Output()) as progress:
        assert progress.kept().startswith("no revision was completed")
        progress(started("aaa"))
        progress(finished("aaa"))
        progress(started("bbb"))
    assert "kept: aaa;" in progress.kept()
    assert "taken back as a whole: bbb" in progress.kept()


def test_a_hostile_message_moves_no_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    with MigrationProgress(Output()) as progress:
        progress(RevisionFinished("a", "\x1b[2Jevil", "upgrade", 1, 1, 0.0))
    assert "\x1b" not in capsys.readouterr().err


def test_a_plan_shows_operations_and_losses(capsys: pytest.CaptureFixture[str]) -> None:
    import sys

    step = PlannedStep(
        "3f2a",
        "drop the price",
        "upgrade",
        tuple(f"op {n}" for n in range(45)),
        (Loss("tool", "price", 3),),
        complete=False,
    )
    draw_plan(Page(console(sys.stdout)), Plan((), (step,)))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "upgrade 3f2a  drop the price"
    assert "  … 5 more" in lines
    assert "  loses tool.price: 3 values" in lines
    assert "  (and what it decides when it runs)" in lines


@pytest.mark.parametrize(
    ("loss", "text"),
    [
        (Loss("tool", None, 1200), "table tool: 1,200 rows"),
        (Loss("tool", "price", 0), "tool.price: 0 values"),
        (Loss("tool", None, None), "table tool: ? rows"),
    ],
)
def test_a_loss_in_words(loss: Loss, text: str) -> None:
    assert describe_loss(loss) == text


def test_a_long_inspection_says_how_far_it_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = ManualClock()
    with MoveProgress(Output(), clock=clock) as progress:
        for rows in range(1_000, 13_000, 1_000):
            progress(Progress("inspect", "parts", rows))
            clock.advance(LINE_INTERVAL_S / 4)
        progress(Progress("inspect", "parts", 13_000, 13_000))
        progress(Progress("inspect", "orders", 5, 5))
    assert capsys.readouterr().err.splitlines() == [
        "· inspected parts: 5,000 rows",
        "· inspected parts: 9,000 rows",
    ]


def shown(progress: MoveProgress) -> list[str]:
    bars = progress._bars  # pyright: ignore[reportPrivateUsage]
    assert bars is not None
    return [
        f"{task.description} {task.fields['count']}"
        for task in bars.tasks
        if task.visible
    ]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_the_table_at_hand_and_none_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    with MoveProgress(Output(), clock=ManualClock()) as progress:
        for table in ("one", "two", "three"):
            progress(Progress("inspect", table, 5, None))
        assert shown(progress) == ["inspect three 5 rows"]
        progress(Progress("copy", "one", 5, 5))
        assert shown(progress) == []
        progress(Progress("copy", "two", 5, 9))
        assert shown(progress) == ["copy two 5 of 9 rows"]
        progress(Progress("copy", "two", 9, 9))
        progress(Progress("build", "index ix_one", 0))
        assert shown(progress) == ["build index ix_one "]
