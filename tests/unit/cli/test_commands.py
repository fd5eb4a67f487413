"""The commands, run as processes."""

import json
import re
import subprocess
import sys

import httpx
import pytest

from obscura.cli.lazy_group import SUMMARIES, load_command
from tests.support.photographs import photograph
from tests.support.serving_process import environment, run_obscura, serving


def test_serve_prints_a_curl_line_that_works_as_pasted(tmp_path):
    with serving(environment(tmp_path)) as gateway:
        pasted = subprocess.run(
            ["bash", "-c", gateway.curl],
            capture_output=True, text=True, timeout=30, check=True,
        )  # fmt: skip

        assert "48 x 32 pixels" in json.loads(pasted.stdout)["choices"][0]["message"]["content"]


def test_serve_asks_the_catalogues_first_model_that_sees(tmp_path):
    upstream = '[[upstreams]]\nname = "a"\nurl = "http://127.0.0.1:9/v1"\n'
    blind = '[[models]]\nid = "blind"\nupstream = "a"\ninput = ["text"]\n'
    (tmp_path / "models.toml").write_text(upstream + blind + '[[models]]\nid = "sees"\nupstream = "a"\n')

    with serving(environment(tmp_path, MODELS=str(tmp_path / "models.toml"))) as gateway:
        assert '"model": "sees"' in gateway.curl


def test_before_an_upstream_whose_models_nobody_knows_serve_and_ask_say_that_one_must_be_named(tmp_path):
    env = environment(tmp_path, UPSTREAM_URL="http://127.0.0.1:9/v1")

    with serving(env) as gateway:
        pass
    asked = run_obscura("ask", str(photograph("rocket.jpg")), env=env)

    assert '"model": "MODEL"' in gateway.curl
    assert any("for MODEL" in line for line in gateway.lines)
    assert asked.returncode == 2
    assert "--model" in asked.stderr


def test_serve_says_that_moderation_lacks_its_key(tmp_path):
    with serving(environment(tmp_path, UPSTREAM_URL="http://127.0.0.1:9/v1")) as gateway:
        pass

    [moderation] = [line for line in gateway.lines if line.startswith("  moderation")]
    assert "OBSCURA_MODERATION_KEY" in moderation


def test_serve_ends_at_ctrl_c_without_a_traceback_and_its_key_with_it(tmp_path):
    env = environment(tmp_path)
    with serving(env) as gateway:
        assert httpx.get(f"{gateway.url}/healthz").json() == {"status": "ok"}

    assert gateway.process.returncode == 0
    assert "Traceback" not in "".join(gateway.lines)
    listed = run_obscura("keys", "list", env=env).stdout
    assert re.search(r"key_\w+ +local-serve .*\d\d:\d\d .*\d\d:\d\d", listed)


def test_serve_says_when_its_port_is_taken(tmp_path):
    with serving(environment(tmp_path)) as gateway:
        port = gateway.url.rpartition(":")[2]

        second = run_obscura("serve", "--port", port, env=environment(tmp_path))

    assert second.returncode == 1
    assert "--port" in second.stderr
    assert "Traceback" not in second.stderr


def test_a_key_is_created_used_listed_and_revoked_while_the_server_runs(tmp_path):
    env = environment(tmp_path)
    body = {"model": "obscura-demo", "messages": [{"role": "user", "content": "hi"}]}
    with serving(env) as gateway:
        created = run_obscura("keys", "create", "--project", "a team", "--zero-retention", env=env)
        key = created.stdout.splitlines()[-1]
        headers = {"authorization": f"Bearer {key}"}
        used = httpx.post(f"{gateway.v1}/chat/completions", json=body, headers=headers)
        listed = run_obscura("keys", "list", env=env).stdout
        key_id = re.search(r"(key_\w+) +a team +zero", listed)[1]
        revoked = run_obscura("keys", "revoke", key_id, env=env)
        refused = httpx.post(f"{gateway.v1}/chat/completions", json=body, headers=headers)

    assert key.startswith("obs_")
    assert used.status_code == 200
    assert used.headers["x-zero-retention"] == "true"
    assert key not in listed
    assert revoked.returncode == 0
    assert refused.status_code == 401


def test_revoking_a_key_that_is_not_there_fails(tmp_path):
    response = run_obscura("keys", "revoke", "key_nobody", env=environment(tmp_path))

    assert response.returncode == 1
    assert "key_nobody" in response.stderr


def test_ask_describes_a_photograph_without_a_server(tmp_path):
    response = run_obscura("ask", str(photograph("rocket.jpg")), "What is this?", env=environment(tmp_path))

    assert response.returncode == 0
    assert "landscape JPEG of 640 x 427 pixels" in response.stdout
    assert "345 image tokens" in response.stderr


def test_ask_names_a_file_that_is_no_image(tmp_path):
    file = tmp_path / "notes.txt"
    file.write_text("not an image")

    response = run_obscura("ask", str(file), env=environment(tmp_path))

    assert response.returncode == 1
    assert "unsupported_image_format" in response.stderr


def test_tokens_shows_each_photograph_and_refuses_what_is_none(tmp_path):
    (tmp_path / "notes.txt").write_text("not an image")

    response = run_obscura(
        "tokens", str(photograph("retina.jpg")), str(tmp_path / "notes.txt"), env=environment(tmp_path)
    )

    assert response.returncode == 1
    assert re.search(r"JPEG +1411x1411 +\d+ +1280x1280 +\d+ +2116 +765 +1521 +2116", response.stdout)
    assert "notes.txt" in response.stderr


def test_doctor_says_what_is_there_and_what_is_missing(tmp_path):
    fine = run_obscura("doctor", env=environment(tmp_path))
    ill = run_obscura(
        "doctor",
        env=environment(tmp_path, UPSTREAM_URL="http://127.0.0.1:9/v1", UPSTREM_KEY="x", FETCH_ALLOW="nonsense"),
    )

    assert fine.returncode == 0
    assert "demo model" in fine.stdout
    assert ill.returncode == 1
    for said in ("cannot be reached", "OBSCURA_MODERATION_KEY", "OBSCURA_UPSTREM_KEY", "FETCH_ALLOW"):
        assert said in ill.stdout


def test_a_wrong_setting_is_named(tmp_path):
    response = run_obscura("doctor", env=environment(tmp_path, MAX_PIXELS="many"))

    assert response.returncode == 2
    assert "OBSCURA_MAX_PIXELS" in response.stderr
    assert "Traceback" not in response.stderr


def test_serve_names_a_catalogue_file_that_cannot_be_used(tmp_path):
    (tmp_path / "models.toml").write_text("[[models]]")

    response = run_obscura("serve", "--port", "0", env=environment(tmp_path, MODELS=str(tmp_path / "models.toml")))

    assert response.returncode == 2
    assert "OBSCURA_MODELS" in response.stderr
    assert "models.0.id" in response.stderr
    assert "Traceback" not in response.stderr


@pytest.mark.parametrize("name", SUMMARIES)
def test_the_list_says_of_each_command_what_the_command_says_of_itself(name):
    assert load_command(name).help.strip() == SUMMARIES[name]


@pytest.mark.parametrize("name", SUMMARIES)
def test_help_says_what_each_argument_and_option_is(name):
    command = load_command(name)

    for one in getattr(command, "commands", {name: command}).values():
        assert [parameter.name for parameter in one.params if not parameter.help] == []


def test_help_loads_no_commands_parts(tmp_path):
    code = "import sys; from obscura.cli import main; sys.argv[1:] = ['--help']; main()"
    traced = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", code],
        capture_output=True, text=True, timeout=30, check=True,
    )  # fmt: skip

    imported = {line.rpartition("|")[2].strip() for line in traced.stderr.splitlines()}
    assert "serve" in traced.stdout
    assert imported & {"fastapi", "httpx", "pydantic", "PIL", "uvicorn", "boto3", "sqlite3"} == set()
