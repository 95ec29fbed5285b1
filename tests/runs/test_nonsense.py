"""Whatever a plug-in says of itself, the run goes on without it and says why."""

from __future__ import annotations

from pathlib import Path

from conftest import Cli
from convbench.result import Status
from runs.conftest import only_run

NONSENSE = Path(__file__).with_name("nonsense.py")
SAID = {
    "answer": (Status.CRASHED, "supports() gave 'perhaps', not None or Unsupported"),
    "reason": (Status.CRASHED, "what it tells"),
    "no_plan": (Status.CRASHED, "'NoneType' object has no attribute 'workspace_bytes'"),
    "norm": (Status.CRASHED, "the norm 'loudest' is unknown; valid: componentwise, normwise"),
    "bound": (Status.CRASHED, "nan bounds nothing"),
    "no_model": (Status.CRASHED, "'NoneType' object has no attribute 'norm'"),
    "bytes": (Status.CRASHED, "workspace_bytes: Input should be greater than or equal to 0"),
    "words": (Status.CRASHED, ""),
    "prepared": (Status.CRASHED, "'str' object has no attribute"),
    "operations": (Status.CRASHED, "operations: Input should be greater than or equal to 0"),
}


def test_who_says_nonsense_has_failed_and_the_others_have_not(cli: Cli, tmp_path: Path) -> None:
    done = cli("run", "h16w16r3s3", "--quick", "--plugin", NONSENSE, "--algorithms", ",".join(["sane", "naive", *SAID]))
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    blocks = only_run(tmp_path / "runs").blocks
    found = {block.algorithm: (block.status, block.reason) for block in blocks}
    assert {name for name, (status, _) in found.items() if status is Status.PASSED} == {"sane", "naive"}
    for name, (status, said) in SAID.items():
        assert found[name][0] is status, name
        assert said in found[name][1], found[name]
