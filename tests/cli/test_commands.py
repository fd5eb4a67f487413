"""The commands, each run as a process."""

import asyncio
import json
import re
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.support import bedrock
from tests.support.loopback_server import loopback_server
from tests.support.photographs import photograph
from tests.support.serving_process import environment, run_obscura, serving


def test_serve_prints_a_curl_line_that_works_as_pasted(tmp_path: Path) -> None:
    with serving(environment(tmp_path)) as gateway:
        pasted = subprocess.run(
            ["bash", "-c", gateway.curl],
            capture_output=True, text=True, timeout=30, check=True,
        )  # fmt: skip

        assert "48 x 32 pixels" in json.loads(pasted.stdout)["choices"][0]["message"]["content"]


def test_serve_names_the_catalogs_first_model_with_image_input(tmp_path: Path) -> None:
    upstream = '[[upstreams]]\nname = "a"\nurl = "http://127.0.0.1:9/v1"\n'
    blind = '[[models]]\nid = "blind"\nupstream = "a"\ninput = ["text"]\n'
    (tmp_path / "models.toml").write_text(upstream + blind + '[[models]]\nid = "sees"\nupstream = "a"\n')

    with serving(environment(tmp_path, MODELS=str(tmp_path / "models.toml"))) as gateway:
        assert '"model": "sees"' in gateway.curl


def test_with_an_upstream_but_no_catalog_a_model_must_be_named(tmp_path: Path) -> None:
    env = environment(tmp_path, UPSTREAM_URL="http://127.0.0.1:9/v1")

    with serving(env) as gateway:
        pass
    response = run_obscura("ask", str(photograph("rocket.jpg")), env=env)

    assert '"model": "MODEL"' in gateway.curl
    assert any("for MODEL" in line for line in gateway.lines)
    assert response.returncode == 2
    assert "--model" in response.stderr


def test_serve_reports_that_moderation_has_no_key(tmp_path: Path) -> None:
    with serving(environment(tmp_path, UPSTREAM_URL="http://127.0.0.1:9/v1")) as gateway:
        pass

    [moderation] = [line for line in gateway.lines if line.startswith("  moderation")]
    assert "OBSCURA_MODERATION_KEY" in moderation


def test_ctrl_c_ends_serve_and_revokes_its_key(tmp_path: Path) -> None:
    env = environment(tmp_path)
    with serving(env) as gateway:
        assert httpx.get(f"{gateway.url}/healthz").json() == {"status": "ok"}

    assert gateway.process.returncode == 0
    assert "Traceback" not in "".join(gateway.lines)
    listed = run_obscura("keys", "list", env=env).stdout
    assert re.search(r"key_\w+ +local-serve .*\d\d:\d\d .*\d\d:\d\d", listed)


def test_serve_reports_a_port_in_use(tmp_path: Path) -> None:
    with serving(environment(tmp_path)) as gateway:
        port = gateway.url.rpartition(":")[2]

        second = run_obscura("serve", "--port", port, env=environment(tmp_path))

    assert second.returncode == 1
    assert "--port" in second.stderr
    assert "Traceback" not in second.stderr


def test_a_key_is_created_used_listed_and_revoked_beside_a_server(tmp_path: Path) -> None:
    env = environment(tmp_path)
    body = {"model": "obscura-demo", "messages": [{"role": "user", "content": "hi"}]}
    with serving(env) as gateway:
        created = run_obscura("keys", "create", "--project", "a team", "--zero-retention", env=env)
        key = created.stdout.splitlines()[-1]
        headers = {"authorization": f"Bearer {key}"}
        used = httpx.post(f"{gateway.v1}/chat/completions", json=body, headers=headers)
        listed = run_obscura("keys", "list", env=env).stdout
        key_id = re.findall(r"(key_\w+) +a team +zero", listed)[0]
        revoked = run_obscura("keys", "revoke", key_id, env=env)
        rejected = httpx.post(f"{gateway.v1}/chat/completions", json=body, headers=headers)

    assert key.startswith("obs_")
    assert used.status_code == 200
    assert used.headers["x-zero-retention"] == "true"
    assert key not in listed
    assert revoked.returncode == 0
    assert rejected.status_code == 401


def test_revoking_an_unknown_key_fails(tmp_path: Path) -> None:
    response = run_obscura("keys", "revoke", "key_unknown", env=environment(tmp_path))

    assert response.returncode == 1
    assert "key_unknown" in response.stderr


def test_ask_describes_a_photograph_without_a_server(tmp_path: Path) -> None:
    response = run_obscura("ask", str(photograph("rocket.jpg")), "What is this?", env=environment(tmp_path))

    assert response.returncode == 0
    assert "landscape JPEG of 640 x 427 pixels" in response.stdout
    assert "345 image tokens" in response.stderr


def test_ask_names_a_file_that_is_not_an_image(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("not an image")

    response = run_obscura("ask", str(file), env=environment(tmp_path))

    assert response.returncode == 1
    assert "unsupported_image_format" in response.stderr


def test_tokens_shows_each_image_and_rejects_other_files(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not an image")

    response = run_obscura(
        "tokens", str(photograph("retina.jpg")), str(tmp_path / "notes.txt"), env=environment(tmp_path)
    )

    assert response.returncode == 1
    assert re.search(r"JPEG +1411x1411 +\d+ +1280x1280 +\d+ +2116 +765 +1521 +2116", response.stdout)
    assert "notes.txt" in response.stderr


def test_doctor_reports_what_works_and_what_is_missing(tmp_path: Path) -> None:
    fine = run_obscura("doctor", env=environment(tmp_path))
    broken = run_obscura(
        "doctor",
        env=environment(tmp_path, UPSTREAM_URL="http://127.0.0.1:9/v1", UPSTREM_KEY="x", FETCH_ALLOW="nonsense"),
    )

    assert fine.returncode == 0
    assert "demo model" in fine.stdout
    assert "PDFium" in fine.stdout
    assert broken.returncode == 1
    for detail in ("cannot be reached", "OBSCURA_MODERATION_KEY", "OBSCURA_UPSTREM_KEY", "FETCH_ALLOW"):
        assert detail in broken.stdout


def test_doctor_reads_the_hash_lists(tmp_path: Path) -> None:
    (tmp_path / "known.txt").write_text(f"{'a' * 64}\nmd5 00\n")
    fine = run_obscura("doctor", env=environment(tmp_path, BLOCKED_HASHES=str(tmp_path / "known.txt")))
    broken = run_obscura("doctor", env=environment(tmp_path, BLOCKED_HASHES=str(tmp_path / "absent.txt")))

    assert fine.returncode == 0
    assert "1 hashes, 1 entries of other types" in " ".join(fine.stdout.split())
    assert broken.returncode == 1
    assert "BLOCKED_HASHES" in broken.stdout


@pytest.mark.parametrize(("named", "status"), [("amazon.nova-pro-v1:0", 0), ("amazon.nova-pro-v1:0,meta.gone", 1)])
async def test_doctor_lists_what_bedrocks_account_may_call(tmp_path: Path, named: str, status: int) -> None:
    listed = bedrock.answering({"modelSummaries": [{"modelId": "amazon.nova-pro-v1:0"}]})
    async with loopback_server(bedrock.requiring_signatures(listed)) as server:
        settings = environment(
            tmp_path, UPSTREAM_URL=f"bedrock:{bedrock.REGION}", BEDROCK_MODELS=named, MODERATION="demo"
        )
        variables = settings | bedrock.CREDENTIALS | {"AWS_ENDPOINT_URL_BEDROCK": server.origin}
        done = await asyncio.to_thread(run_obscura, "doctor", env=variables)

    assert (done.returncode, len(server.received)) == (status, 2), done.stdout
    assert "amazon.nova-pro-v1:0" in done.stdout if status == 0 else "meta.gone" in done.stdout


def test_doctor_points_out_old_names_and_values_of_settings(tmp_path: Path) -> None:
    response = run_obscura("doctor", env=environment(tmp_path, REMEMBER_VERDICTS="false", STORE_OUTAGE="keys"))

    assert response.returncode == 0
    assert "is now OBSCURA_CACHE_VERDICTS" in response.stdout
    assert "'keys' is now 'cached_keys'" in response.stdout
    assert "misspelt" not in response.stdout


def test_a_wrong_setting_is_named(tmp_path: Path) -> None:
    response = run_obscura("doctor", env=environment(tmp_path, MAX_PIXELS="many"))

    assert response.returncode == 2
    assert "OBSCURA_MAX_PIXELS" in response.stderr
    assert "Traceback" not in response.stderr


def test_serve_names_an_invalid_catalog_file(tmp_path: Path) -> None:
    (tmp_path / "models.toml").write_text("[[models]]")

    response = run_obscura("serve", "--port", "0", env=environment(tmp_path, MODELS=str(tmp_path / "models.toml")))

    assert response.returncode == 2
    assert "OBSCURA_MODELS" in response.stderr
    assert "models.0.id" in response.stderr
    assert "Traceback" not in response.stderr
