"""What a process may use: by Lambda, by control groups of either version, by the machine."""

from pathlib import Path

import pytest

from obscura.machine_memory import MIB, usable_memory_bytes

MACHINE_BYTES = usable_memory_bytes({}, Path("/nowhere"))


def a_root(folder: Path, groups: str, **files: str) -> Path:
    (folder / "proc/self").mkdir(parents=True)
    (folder / "proc/self/cgroup").write_text(groups)
    for name, content in files.items():
        path = folder / "sys/fs/cgroup" / name.replace("__", "/").replace("_DOT_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return folder


def test_without_limits_it_is_the_machines_memory(tmp_path: Path) -> None:
    assert MACHINE_BYTES > 64 * MIB
    root = a_root(tmp_path, "0::/a\n", a__memory_DOT_max="max\n")
    assert usable_memory_bytes({}, root) == MACHINE_BYTES


def test_a_lambda_function_has_what_its_setting_says(tmp_path: Path) -> None:
    assert usable_memory_bytes({"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128"}, tmp_path) == 128 * MIB
    assert usable_memory_bytes({"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "much"}, tmp_path) == MACHINE_BYTES


@pytest.mark.parametrize(
    ("files", "expected_mib"),
    [
        ({"memory_DOT_max": "67108864\n"}, 64),  # a container sees its own group at the root
        ({"a__b__memory_DOT_max": "33554432\n", "a__memory_DOT_max": "max\n"}, 32),
        ({"a__b__memory_DOT_max": "max\n", "a__memory_DOT_max": "16777216\n"}, 16),
    ],
)
def test_version_2_limits_a_group_and_all_above_it(tmp_path: Path, files: dict[str, str], expected_mib: int) -> None:
    assert usable_memory_bytes({}, a_root(tmp_path, "0::/a/b\n", **files)) == expected_mib * MIB


def test_version_1_has_a_tree_of_its_own(tmp_path: Path) -> None:
    root = a_root(
        tmp_path,
        "9:cpu,cpuacct:/a\n4:memory:/a\n0::/\n",
        memory__memory_DOT_limit_in_bytes="9223372036854771712\n",
        memory__a__memory_DOT_limit_in_bytes="50331648\n",
    )

    assert usable_memory_bytes({}, root) == 48 * MIB
