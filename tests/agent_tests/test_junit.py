"""Results in JUnit's XML."""

import dataclasses
import xml.etree.ElementTree as ET

from agent_tests.cases import Outcome
from agent_tests.errors import Fault
from agent_tests.junit import document
from tests.agent_tests.test_report import CASE, FAILED


def test_every_result_has_its_element_and_is_counted():
    results = [
        FAILED,
        Outcome(CASE, "passed", 0.25),
        Outcome(CASE, "error", 0.0, faults=(Fault("no key"),)),
        Outcome(CASE, "skipped", 0.0, faults=(Fault("in text only"),)),
    ]
    root = ET.fromstring(document(results))
    assert root.attrib == {"tests": "4", "failures": "1", "errors": "1", "skipped": "1", "time": "0.750"}
    (suite,) = root
    assert suite.get("name") == "a.yaml"
    failed, passed, error, skipped = suite
    assert failed.find("failure").get("message") == "said: “noon”: the agent said nothing"
    assert "caller  Time?" in failed.findtext("system-out")
    assert (passed.get("name"), passed.get("line"), list(passed)) == ("tells the time", "3", [])
    assert error.find("error").get("message") == "no key"
    assert skipped.find("skipped").get("message") == "in text only"


def test_what_xml_cannot_hold_is_replaced():
    odd = dataclasses.replace(FAILED, faults=(Fault("said: \x00\x1b<b>&\ud800"),))
    message = ET.fromstring(document([odd])).find(".//failure").get("message")
    assert message == "said: ��<b>&�"
