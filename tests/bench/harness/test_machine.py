"""What a figure was measured on is written beside it."""

from bench.harness import machine


def test_the_machine_and_the_versions_are_described():
    found = machine.describe()
    assert found["cpu"]
    assert found["cores"] >= 1
    assert found["memoryGB"] > 0
    assert set(found["versions"]) == set(machine.PACKAGES)
    assert found["command"].startswith("python -m bench")
