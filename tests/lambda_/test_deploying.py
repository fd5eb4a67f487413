"""What an operator is asked and told: by ``sam deploy --guided``, and by the stack's outputs."""

import os
import shutil
import subprocess

from rehearsal.stack import ROOT, SAM_PYTHON


def test_every_question_of_a_guided_deployment_may_be_left_empty(tmp_path):
    samconfig = shutil.copy(ROOT / "samconfig.toml", tmp_path)
    sam = [SAM_PYTHON.with_name("sam"), "deploy", "--guided", "--template", ROOT / "template.yaml"]
    nobody = {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
        "AWS_MAX_ATTEMPTS": "1",
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "SAM_CLI_TELEMETRY": "0",
    }

    told = subprocess.run(  # noqa: S603 our own paths
        [*sam, "--config-file", samconfig],
        input="\n" * 99,
        env={**os.environ, **nobody},
        capture_output=True,
        text=True,
        check=False,
    )

    assert "Looking for resources needed for deployment" in told.stdout
    assert "Is this okay" not in told.stdout
