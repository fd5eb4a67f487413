"""The words that this project does not use, and what to write instead: ``make lint`` runs it.

A reader from this field should meet no word that he has to learn but those of docs/glossary.md.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
READ = ("*.py", "*.md", "*.yaml", "*.yml", "*.toml", "*.mjs", "*.sh", "Makefile", "Dockerfile", ".ci/run")
LEFT_OUT = (
    "uv.lock",
    "tests/vocabulary.py",
    "tests/unit/test_pages.py",
    "tests/fixtures/",
    "conformance/judges/llmprobe.py",
)

INSTEAD = {
    r"doors?": "name the thing: access control (who may call), deadline (when a request ends), API Gateway or Lambda",
    r"knock\w*": "an access request, or: call, send",
    r"roads?": "the pipeline",
    r"told": "name what it is: the response, the event, the message; or: return, report, say",
    r"tells": "says, reports, returns, shows",
    r"journals?": "the access record",
    r"storerooms?": "the file storage",
    r"workshops?": "the image executor",
    r"bench|benches": "a worker of the image executor",
    r"glance\w*": "name what is read or counted",
    r"passages?": "a stream, a stream translator",
    r"strangers?": "an anonymous or unauthenticated client; another host",
    r"pictures?": "an image",
    r"photos": "images, or photographs if the kind of content matters",
    r"somebody|someone": "the role: the caller, the operator, a client, another process",
    r"nobody|no one": "the role: no caller, no process",
    r"anybody|anyone": "the role: any caller, any client",
    r"everybody|everyone": "the role: all callers",
    r"whoever|whomever": "the role: the caller who …",
    r"anew": "again",
    r"way out|ways out": "a hint: what the caller can do",
    r"lets? in|letting in": "admit",
    r"gives? back|giving back|given back": "release, return",
    r"says? no|says? yes": "name the value",
    r"house|rooms?": "the package, the module",
    r"outlets?": "a response writer",
    r"(?-i:(?:MOST|LONGEST|LARGEST)(?=_[A-Z]))": "MAX_…",
    r"(?-i:(?:LEAST|SHORTEST|SMALLEST)(?=_[A-Z]))": "MIN_…",
}
# An underscore ends a word too: the words stand in names as well.
_WORDS = [
    (re.compile(rf"(?<![A-Za-z])(?:{pattern})(?![A-Za-z])", re.IGNORECASE), why) for pattern, why in INSTEAD.items()
]
ALLOWED = re.compile(r"journal_mode|f\"glance:|\"bootstrap_room\"")
"""SQLite's own word, SGLang's own field, and a counter's stored name that older versions of a deployment still use."""
_GIVE = re.compile(r'"""Gives? ')


def files() -> list[Path]:
    """Return the tracked and the new files that are read."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *READ]
    listed = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout.splitlines()
    paths = [name for name in listed if not name.startswith(LEFT_OUT)]
    return [REPOSITORY / name for name in sorted(set(paths)) if (REPOSITORY / name).exists()]


def findings(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield the line, the word and the advice for each word that is not used here."""
    for number, line in enumerate(text.splitlines(), 1):
        for word, advice in _WORDS:
            for found in word.finditer(ALLOWED.sub("", line)):
                yield number, found[0], advice
        if _GIVE.search(line):
            yield number, "Give", "a docstring begins with Return, Yield or Raise, another imperative, or a noun"


def main() -> int:
    """Print each finding with its place; return 1 if there is any."""
    count = 0
    for path in files():
        for number, word, advice in findings(path.read_text()):
            count += 1
            print(f"{path.relative_to(REPOSITORY)}:{number}: '{word}': write {advice}")
    print(f"{count} words to replace" if count else "The vocabulary is clean.", file=sys.stderr)
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
