"""Report of the rehearsal: a line a finding, its faults below it, and the count at the end."""

import sys


class Report:
    """Prints findings as they come, and counts the bad ones."""

    def __init__(self) -> None:
        self.findings = 0
        self.faulty = 0

    def section(self, title: str) -> None:
        """Begin a section."""
        sys.stdout.write(f"\n{title}\n")

    def finding(self, sentence: str, faults: list[str]) -> None:
        """Print one finding: a sentence that holds, or the reasons why it does not."""
        self.findings += 1
        self.faulty += bool(faults)
        sys.stdout.write(f"  {'✗' if faults else '✓'} {sentence}\n")
        for fault in faults:
            sys.stdout.write(f"      {fault}\n")
        sys.stdout.flush()

    def end(self) -> int:
        """Print the counts; returns the exit status."""
        sys.stdout.write(f"\n{self.findings} findings, {self.faulty} of them bad.\n")
        return 1 if self.faulty else 0
