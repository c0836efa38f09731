"""Reloads the users' agents when one of their files is saved; worker/host/run.py starts it under `greenroom dev`."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from pipeline.agents.definition import Agent
from pipeline.agents.files import forget_agents, load_agents
from pipeline.errors import PipelineError
from pipeline.settings import PipelineSettings

POLL_SECONDS = 0.5  # between two looks at the folder

logger = logging.getLogger(__name__)

Stamp = frozenset[tuple[str, int, int]]  # of a folder: each file's path, time of change in ns, size in bytes


def checked_agents(folder: Path, settings: PipelineSettings) -> dict[str, Agent]:
    """The agents in a folder, by name, each of them able to work with these settings.

    Args:
        folder: where the files are.
        settings: the deployment's.

    Raises:
        PipelineError: a file is faulty, or a provider can't be used.
    """
    agents = load_agents(folder)
    for agent in agents.values():
        agent.resolve(settings)
    return agents


class AgentFiles:
    """A folder of agents, and the copy of it that new calls get.

    Calls load a copy, so that a file that is faulty, or only half written, reaches none of them. A copy stays for as
    long as the worker runs: a call in progress may still import from it.

    Args:
        folder: the users' files.
        agents: those that were loaded from it just now, without a fault.
        home: an empty directory for the copies.
        settings: the deployment's, which the agents must be able to work with.
    """

    def __init__(self, folder: Path, agents: dict[str, Agent], home: Path, settings: PipelineSettings) -> None:
        self._folder, self._home, self._settings = folder.resolve(), home, settings
        self._copies = 0
        self._used = self._before = stamp(self._folder)
        self.current = home / "current"
        self.agents = agents
        forget_agents(self._folder)  # else a file that is removed later could still be imported by the next load
        self._publish(self._copied())

    def look(self) -> bool:
        """Load the files if they have changed and are at rest; a fault is logged, once for each change.

        Returns:
            Whether new calls get other agents from now on.
        """
        now, before = stamp(self._folder), self._before
        self._before = now
        if now == self._used or now != before:  # two looks must find the same: an editor may still be writing
            return False
        self._used = now
        copy = self._home
        try:
            copy = self._copied()
            agents = self._checked(copy)
        except (PipelineError, OSError) as error:
            fault = str(error).replace(str(copy), str(self._folder))
            logger.error("event=agents_faulty kept=the_agents_before fault: %s", fault)
            return False
        self._publish(copy)
        self.agents = agents
        logger.info("event=agents_reloaded agents=%s", ",".join(sorted(agents)))
        return True

    def _copied(self) -> Path:
        self._copies += 1
        copy = self._home / str(self._copies) / self._folder.name  # so that a traceback names the folder as it is
        if self._folder.is_dir():
            shutil.copytree(self._folder, copy, ignore=shutil.ignore_patterns(".*", "__pycache__"))
        return copy

    def _checked(self, copy: Path) -> dict[str, Agent]:
        try:
            return checked_agents(copy, self._settings)
        finally:
            forget_agents(copy)

    def _publish(self, copy: Path) -> None:
        link = self._home / "next"
        link.symlink_to(copy)
        os.replace(link, self.current)


def stamp(folder: Path) -> Stamp:
    """What tells one state of a folder from another; hidden files and compiled ones don't count."""
    found: set[tuple[str, int, int]] = set()
    for directory, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".") and name != "__pycache__"]
        for name in files:
            path = os.path.join(directory, name)
            try:
                status = os.stat(path)
            except OSError:  # removed in the meantime, or a link to nowhere: the copy says so if it matters
                continue
            if not name.startswith("."):
                found.add((path, status.st_mtime_ns, status.st_size))
    return frozenset(found)


async def reload_step(files: AgentFiles, changed: Callable[[], None]) -> None:
    """Look at the files once, off the event loop, since what is imported may take its time.

    Args:
        files: the agents' files.
        changed: called when new calls get other agents.
    """
    if await asyncio.to_thread(files.look):
        changed()
