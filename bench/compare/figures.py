"""Every figure of the bench with what it must reach."""

from __future__ import annotations

from bench.report.stats import Figure, Target


def figures() -> dict[str, Figure]:
    """All of them, empty, in the order of the table. The targets hold for two shared cores."""
    return {
        "answer": Figure("start: the API answers (waitMs=0)", "ms", [Target(20), Target(60, "p99")]),
        "agent": Figure("request → agent in the room with its track", "s", [Target(0.45)], times_better=10),
        "greeting": Figure("request → greeting heard", "s", [Target(0.65)]),
        "burst": Figure("10 starts at once → last agent in its room", "s", [Target(3.0)], times_better=10),
        "turn": Figure("end of speech → answer heard", "s", [Target(0.85), Target(2.0, "p95")]),
        "barge_in": Figure("barge-in → silence at the caller's ear", "s"),
        "own_idle": Figure("memory of its own, idle process", "MB", [Target(12)]),
        "own_silent": Figure("memory of its own, silent call", "MB", [Target(50)]),
        "own_talking": Figure("memory of its own, talking call", "MB", [Target(80)]),
        "pss_idle": Figure("PSS, idle process", "MB"),
        "pss_silent": Figure("PSS, silent call", "MB"),
        "pss_talking": Figure("PSS, talking call", "MB"),
        "pss_total": Figure("all processes, idle, pool of 3: PSS", "MB", [Target(700)]),
        "cpu_silent": Figure("processor, silent call", "core", [Target(0.15)]),
        "cpu_talking": Figure("processor, talking call", "core", [Target(0.20)]),
    }
