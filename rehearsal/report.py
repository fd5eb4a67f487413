"""What the rehearsal prints: a line a finding, its faults below it, and the count at the end."""

import sys


class Report:
    """Prints as findings come in, and remembers whether one was bad."""

    def __init__(self) -> None:
        self.findings = 0
        self.faulty = 0

    def act(self, title: str) -> None:
        """Begin a part."""
        sys.stdout.write(f"\n{title}\n")

    def finding(self, sentence: str, faults: list[str]) -> None:
        """Print one finding: a sentence that holds, or that does not for these reasons."""
        self.findings += 1
        self.faulty += bool(faults)
        sys.stdout.write(f"  {'✗' if faults else '✓'} {sentence}\n")
        for fault in faults:
            sys.stdout.write(f"      {fault}\n")
        sys.stdout.flush()

    def end(self) -> int:
        """Print the count; gives the exit status."""
        sys.stdout.write(f"\n{self.findings} findings, {self.faulty} of them bad.\n")
        return 1 if self.faulty else 0
