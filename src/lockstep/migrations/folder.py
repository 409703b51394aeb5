"""The folder of a history, as ``lockstep init`` writes it.

Owns the texts of ``env.py``, ``script.py.mako`` and ``alembic.ini``.
"""

from __future__ import annotations

from pathlib import Path

from lockstep.errors import MigrationError

ENV_PY = '''"""Where Alembic meets the models; lockstep does the rest."""

from lockstep.migrations import env
{imports}
env.run({metadata})
'''

SCRIPT_PY_MAKO = '''"""${message}

Revision ID: ${up_revision}
Revises: ${down_revision | comma,n}
Create Date: ${create_date}
"""

from alembic import op
import lockstep as ls
import sqlalchemy as sa
${imports if imports else ""}

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    ${downgrades if downgrades else "pass"}
'''

ALEMBIC_INI = """# For the plain `alembic` command; `lockstep migrate` needs none.
# The database's URL is a setting of lockstep (DATABASE_URL, LOCKSTEP_URL or
# [tool.lockstep] url), so that it is written down once.
[alembic]
script_location = %(here)s/{folder}
prepend_sys_path = %(here)s
file_template = %%(rev)s_%%(slug)s
"""


def scaffold(
    directory: Path | str, *, models: str | None = None, alembic_ini: bool = True
) -> list[Path]:
    """Write the folder of a history; what is there already is kept.

    Args:
        directory: The folder, such as ``migrations``.
        models: ``package.module:Base``; without it the setting decides.
        alembic_ini: Whether to write ``alembic.ini`` beside the folder.

    Returns:
        The files that were written.

    Raises:
        MigrationError: A file stands where a folder must be.
    """
    folder = Path(directory)
    if folder.exists() and not folder.is_dir():
        raise MigrationError(
            f"{folder} is a file, and the history needs a folder",
            hint="move it away, or name another folder: [tool.lockstep] migrations",
        )
    versions = folder / "versions"
    versions.mkdir(parents=True, exist_ok=True)
    texts = {
        folder / "env.py": _env_py(models),
        folder / "script.py.mako": SCRIPT_PY_MAKO,
        versions / ".gitkeep": "",
    }
    if alembic_ini:
        ini = ALEMBIC_INI.format(folder=folder.name)
        texts[folder.parent / "alembic.ini"] = ini
    written: list[Path] = []
    for path, text in texts.items():
        if not path.exists():
            path.write_text(text, encoding="utf-8")
            written.append(path)
    return written


def _env_py(models: str | None) -> str:
    if models is None:
        return ENV_PY.format(imports="", metadata="")
    module, _, name = models.partition(":")
    top = name.split(".")[0]
    # A class is written as Base.metadata; anything else is a MetaData already.
    value = f"{name}.metadata" if name.rpartition(".")[2][:1].isupper() else name
    return ENV_PY.format(imports=f"\nfrom {module} import {top}\n", metadata=value)
