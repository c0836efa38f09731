"""What became of conversations, in JUnit's XML, which build servers read; the command writes it on request."""

from __future__ import annotations

import itertools
import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence

from agent_tests.cases import Outcome
from agent_tests.report import talk

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # what XML 1.0 cannot hold at all
TAGS = {"failed": "failure", "error": "error", "skipped": "skipped"}


def document(outcomes: Sequence[Outcome]) -> str:
    """The XML: a suite for each file, a case for each conversation.

    Args:
        outcomes: Of all conversations, those of a file one after the other.
    """
    root = ET.Element("testsuites", _counts(outcomes))
    for path, of_file in itertools.groupby(outcomes, key=lambda outcome: outcome.case.path):
        group = list(of_file)
        suite = ET.SubElement(root, "testsuite", {"name": str(path), **_counts(group)})
        for outcome in group:
            _add(suite, outcome)
    ET.indent(root)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _add(suite: ET.Element, outcome: Outcome) -> None:
    case = outcome.case
    about = {"classname": case.path.stem, "name": _plain(case.name), "file": str(case.path), "line": str(case.line)}
    element = ET.SubElement(suite, "testcase", {**about, "time": f"{outcome.seconds:.3f}"})
    if outcome.result in TAGS:
        faults = [": ".join(filter(None, fault)) for fault in outcome.faults]
        told = ET.SubElement(element, TAGS[outcome.result], {"message": _plain("; ".join(faults))})
        told.text = _plain("\n".join((f"{case.path}:{outcome.line or case.line}", *faults)))
    if outcome.exchanges:
        said = "\n".join(line for exchange in outcome.exchanges for line in talk(exchange))
        ET.SubElement(element, "system-out").text = _plain(said)


def _counts(outcomes: Sequence[Outcome]) -> dict[str, str]:
    results = [outcome.result for outcome in outcomes]
    return {
        "tests": str(len(results)),
        "failures": str(results.count("failed")),
        "errors": str(results.count("error")),
        "skipped": str(results.count("skipped")),
        "time": f"{sum(outcome.seconds for outcome in outcomes):.3f}",
    }


def _plain(text: str) -> str:
    return _NOT_XML.sub("�", text)
