"""The alarms and the dashboard of a stack: which functions they show, and what CloudWatch takes of them."""

import json
import re
from collections.abc import Iterator

from rehearsal.stack import NAME, Stack

LOG_PREFIX = f"/aws/lambda/{NAME}-"
MAX_METRICS = 10
"""That an alarm on metric math reads (CloudWatch user guide, "Create an alarm on a metric math expression")."""


def alarms(stack: Stack) -> Iterator[str]:
    """Every alarm reads at most ten metrics, ends in one value, says so by email when it begins and when it ends."""
    mailed = Stack(stack.template, {**stack.given, "AlarmEmail": "operator@example.com"})
    for name, alarm in mailed.resources("AWS::CloudWatch::Alarm").items():
        terms = alarm.get("Metrics", ())
        read = [term for term in terms if "MetricStat" in term]
        if len(read) > MAX_METRICS:
            yield f"{name} reads {len(read)} metrics"
        if terms and len([term for term in terms if term.get("ReturnData", True)]) != 1:
            yield f"{name} does not have one value"
        for term in terms:
            unknown = set(re.findall(r"[a-z]\w+", term.get("Expression", ""))) - {each["Id"] for each in read}
            yield from (f"{name}: {each} is no metric of it" for each in sorted(unknown))
        if not alarm.get("AlarmActions") or alarm.get("AlarmActions") != alarm.get("OKActions"):
            yield f"{name} is not said to begin and to end"


def families_in_alarm(metric: str, stack: Stack) -> set[str]:
    """Return the families whose metric of this name an alarm adds up."""
    summed: set[str] = set()
    for alarm in stack.resources("AWS::CloudWatch::Alarm").values():
        terms = [term for term in alarm.get("Metrics", ()) if "MetricStat" in term]
        if any(term["MetricStat"]["Metric"]["MetricName"] != metric for term in terms):
            continue
        functions = {term["Id"]: term["MetricStat"]["Metric"]["Dimensions"][0]["Value"] for term in terms}
        expressions = [term["Expression"] for term in alarm.get("Metrics", ()) if "Expression" in term]
        names = re.findall(r"FILL\((\w+), 0\)", "".join(expressions))
        summed |= {functions[name].removeprefix(f"{NAME}-") for name in names}
    return summed


def families_in_dashboard(metric: str, stack: Stack) -> set[str]:
    """Return the families whose metric of this name a widget shows; ``"..."`` repeats the line before it."""
    [dashboard] = stack.resources("AWS::CloudWatch::Dashboard").values()
    shown, current = set(), None
    for widget in json.loads(dashboard["DashboardBody"])["widgets"]:
        for line in widget["properties"].get("metrics", ()):
            if isinstance(line[0], str):
                current = line[1] if line[0] != "..." else current
                if current == metric:
                    shown.add(str(line[-2]).removeprefix(f"{NAME}-"))
    return shown


def logged_families(stack: Stack) -> set[str]:
    """Return the families whose log groups the dashboard's query reads."""
    [dashboard] = stack.resources("AWS::CloudWatch::Dashboard").values()
    return set(re.findall(rf"SOURCE '{LOG_PREFIX}(\w+)'", dashboard["DashboardBody"]))
