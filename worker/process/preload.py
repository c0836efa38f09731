"""What the forkserver loads once for all calls: imports, models, agents and their greetings; opens nothing.

Imported by name in the forkserver, before any call exists. No `livekit.rtc` object, thread or socket may be made here:
they would not survive the fork.
"""

from __future__ import annotations

import gc
import os

from pipeline import providers
from pipeline.agents.files import load_agents
from pipeline.local import tts as hibari
from pipeline.providers import Provider
from pipeline.settings import PipelineSettings
from pipeline.talk.answer_deadline import MOMENT
from pipeline.talk.build import make_analyzers
from pipeline.talk.conversation import Conversation
from runtime import log
from session.store.redis import store as redis_store
from worker.call import call
from worker.process import job
from worker.process.warm import Warm
from worker.settings import WorkerSettings

APOLOGY = "Sorry, something went wrong on my side. Please call again."


def load() -> Warm:
    """Load all that calls share.

    Raises:
        PipelineError: an agent's file or a provider cannot be used; the worker checks for that before it starts.
    """
    log.bridge_loguru()
    settings = PipelineSettings()
    folder = settings.agents.resolve()
    agents = load_agents(folder)
    chosen = [agent.resolve(settings) for agent in agents.values()]
    for agent in chosen:
        said = [agent.greeting, agent.dropped_out, agent.waiting, agent.no_answer]
        for kind in providers.KINDS:
            for choice in getattr(agent, kind):
                providers.preload(kind, choice, said, agent.voices.get(choice.name))
    providers.preload("tts", Provider("hibari"))
    apology, _ = hibari.synthesise(APOLOGY)
    moment, _ = hibari.synthesise(MOMENT)
    analyzers = make_analyzers(settings)
    worker = WorkerSettings()
    gc.collect()
    gc.freeze()
    made_before = (apology.tobytes(), moment.tobytes())
    return Warm(os.getpid(), folder, agents, settings, worker, analyzers, *made_before)


# Imported for what importing them costs: every call needs them, and none should pay for it.
IMPORTED = (Conversation, redis_store, call, job)
WARM = load()
