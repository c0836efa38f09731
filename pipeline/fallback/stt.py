"""Speech-to-text by the first of a call's candidates that can do it; conversation.py puts it where a service would be.

The caller's sound goes past it and to the candidate in use. What the caller has said since the last words is kept:
when a candidate fails, the next one hears it. When words fail to come, a second candidate is asked beside the first,
since it may have been a cough; whoever has words first is the one in use.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Sequence

from pipecat.frames.frames import (
    CancelFrame,
    EndFrame,
    ErrorFrame,
    Frame,
    InputAudioRawFrame,
    InterimTranscriptionFrame,
    InterruptionFrame,
    LLMContextAssistantTurnFrame,
    MetricsFrame,
    StartFrame,
    STTMetadataFrame,
    STTMuteFrame,
    STTUpdateSettingsFrame,
    TranscriptionFrame,
    UserStoppedSpeakingFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor, FrameProcessorSetup
from pipecat.services.stt_service import SegmentedSTTService, STTService

from pipeline.fallback.branch import Branch, Noticed, category, for_service, is_permanent
from pipeline.fallback.candidates import Candidate, Circuits
from pipeline.fallback.kept import LAG_SECONDS, Kept, without_overlap
from pipeline.fallback.lineup import Lineup
from pipeline.frames import NoWordsFrame
from pipeline.providers.in_pieces import InPieces
from runtime.background import Background

logger = logging.getLogger(__name__)

WORDS_SECONDS = 1.5  # without words after the caller paused: services have them after 0.3 to 1.5, as they say
SPEECH_FRAMES = (InputAudioRawFrame, VADUserStartedSpeakingFrame, VADUserStoppedSpeakingFrame)
SHARED_FRAMES = (*SPEECH_FRAMES, UserStoppedSpeakingFrame, InterruptionFrame, LLMContextAssistantTurnFrame)


class FallbackSTT(FrameProcessor):
    """The ears of a call: one of several.

    Args:
        candidates: in order of preference.
        circuits: told which of them fail.
        patience: seconds for which all of them may fail before the call is given up.
        owner: named in the log.
        noticed: told of each candidate that fails, for the session's log.
        words_seconds: without words after the caller paused, until a second candidate is asked.

    Attributes:
        used_up: all have failed: the call can't go on. Said by an ErrorFrame of this processor.
        failed: the name of the provider that failed last.
        permanent: whether that one will fail again for certain.
    """

    def __init__(
        self,
        candidates: Sequence[Candidate[STTService]],
        circuits: Circuits,
        *,
        patience: float,
        owner: str,
        noticed: Noticed,
        words_seconds: float = WORDS_SECONDS,
    ) -> None:
        super().__init__(enable_direct_mode=True)
        self.used_up, self.failed, self.permanent = False, "", False
        self._lineup = Lineup(candidates, circuits, patience)
        self._words_seconds = words_seconds
        self._tasks, self._branches, self._owner = Background(owner), Background(owner), owner
        self._noticed = noticed
        self._began: StartFrame | None = None
        self._kept = Kept()
        self._muted = False
        self._settings = list[STTUpdateSettingsFrame]()  # that every candidate is to have
        self._last_words = ""
        self._branch: Branch[STTService] | None = self._make(self._lineup.first(time.monotonic()))
        self._second: Branch[STTService] | None = None
        self._pauses = 0  # and beginnings of the caller's: the words of one are waited for until the next

    async def setup(self, setup: FrameProcessorSetup) -> None:  # type: ignore[override]
        """Begin to connect the first candidate."""
        await super().setup(setup)
        if self._branch is not None:
            self._branch.begin(setup)

    async def cleanup(self) -> None:
        """Leave the candidates in use."""
        await super().cleanup()  # type: ignore[no-untyped-call]
        self._tasks.cancel()
        self._leave()
        await self._branches.settled()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Let everything pass; let the candidates in use hear what concerns them."""
        await super().process_frame(frame, direction)
        if isinstance(frame, SPEECH_FRAMES):
            await self._take_speech(frame)
        if isinstance(frame, StartFrame):
            self._began = frame
            await self.push_frame(frame)
            for branch in self._in_use():
                branch.start(frame)
        elif isinstance(frame, CancelFrame | EndFrame):
            self._leave()
            await self.push_frame(frame, direction)
        elif isinstance(frame, STTUpdateSettingsFrame) and self._is_ours(frame):
            if frame.reach_inactive_services:
                self._settings.append(frame)
            await self._give(for_service(frame), direction)
        elif isinstance(frame, STTMuteFrame):
            self._muted = frame.mute
            await self._give(frame, direction)
        else:
            if isinstance(frame, SHARED_FRAMES):
                await self._give(frame, direction)
            await self.push_frame(frame, direction)

    def _in_use(self) -> list[Branch[STTService]]:
        return [branch for branch in (self._branch, self._second) if branch is not None]

    def _is_ours(self, frame: STTUpdateSettingsFrame) -> bool:
        return frame.service in (None, self) or any(frame.service is branch.service for branch in self._in_use())

    async def _give(self, frame: Frame, direction: FrameDirection) -> None:
        for branch in self._in_use():
            await branch.give(frame, direction)

    async def _take_speech(self, frame: Frame) -> None:
        if self._muted or self.used_up:
            return
        if isinstance(frame, VADUserStartedSpeakingFrame):
            self._pauses += 1
            await self._prefer()
        self._kept.add(frame)
        if isinstance(frame, VADUserStoppedSpeakingFrame):
            self._wait_for_words()

    async def _prefer(self) -> None:
        """Go back to a candidate whose rest is over, between two things that the caller says."""
        if self._branch is None or self._second is not None or self._kept.owed:
            return
        wanted = self._lineup.prefers(self._branch.candidate, time.monotonic())
        if wanted is not self._branch.candidate:
            self._branch.leave()
            self._branch = await self._open(wanted)

    def _wait_for_words(self) -> None:
        self._pauses += 1
        self._tasks.start(self._watch(self._pauses), "watch the ears")

    async def _watch(self, pause: int) -> None:
        """Ask a second candidate when the first has no words; when it has none either, there were none."""
        await asyncio.sleep(self._words_seconds)
        if self._pauses != pause or not self._kept.owed or self._branch is None:
            return
        if self._second is None:
            other = self._another(self._branch)
            if other is None:
                return
            logger.info("event=second_opinion kind=stt owner=%s provider=%s", self._owner, other.name)
            self._second = await self._open(other)
            await asyncio.sleep(2 * self._words_seconds)
        if self._pauses == pause and self._kept.owed:
            await self._no_words(NoWordsFrame())

    async def _no_words(self, frame: NoWordsFrame) -> None:
        """What the caller said was no words: a cough, or another sound."""
        self._leave_second()
        self._kept.forget()
        self._lineup.give_up()
        await self.push_frame(frame)

    def _another(self, branch: Branch[STTService]) -> Candidate[STTService] | None:
        """Another candidate, or the only one on a connection of its own, if it keeps one."""
        other = self._lineup.other(branch.candidate, time.monotonic())
        if other is None and not isinstance(branch.service, SegmentedSTTService):
            return branch.candidate
        return other

    async def _heard(self, branch: Branch[STTService], frame: Frame) -> None:
        """One frame of a candidate's."""
        if isinstance(frame, TranscriptionFrame):
            await self._words(branch, frame)
        elif isinstance(frame, NoWordsFrame) and branch is self._second:
            self._leave_second()  # the first may still have some
        elif isinstance(frame, NoWordsFrame):
            await self._no_words(frame)
        elif branch is self._branch and isinstance(frame, InterimTranscriptionFrame | MetricsFrame | STTMetadataFrame):
            await self.push_frame(frame)

    async def _words(self, branch: Branch[STTService], frame: TranscriptionFrame) -> None:
        if branch is self._second:
            first, self._branch, self._second = self._branch, branch, None
            if first is not None:
                self._leave_failed(first, "hang")
            await self.push_frame(branch.service.service_metadata_frame())
        else:
            self._leave_second()
        if self._kept.cut and branch.again:
            frame.text = without_overlap(self._last_words, frame.text)
        branch.again = False
        self._kept.words_came(
            waiting=self._waiting(branch.service), exactly=isinstance(branch.service, SegmentedSTTService)
        )
        self._lineup.worked(branch.candidate, time.monotonic())
        if frame.text:
            self._last_words = frame.text
            await self.push_frame(frame)

    def _waiting(self, service: STTService) -> float:
        """Seconds of the sound that a service has and whose words are still to come."""
        if isinstance(service, InPieces):
            return service.waiting
        if isinstance(service, SegmentedSTTService):
            return math.inf if self._kept.speaking else 0.0
        return LAG_SECONDS if self._kept.speaking else 0.0

    def _leave_second(self) -> None:
        if self._second is not None:
            self._second.leave()
            self._second = None

    def _leave_failed(self, branch: Branch[STTService], why: str, *, permanent: bool = False) -> None:
        self.failed, self.permanent = branch.candidate.name, permanent
        self._noticed("stt_failed", {"provider": self.failed, "why": why})
        self._lineup.failed(branch.candidate, time.monotonic(), permanent=permanent)
        branch.leave()

    async def _error(self, branch: Branch[STTService], error: ErrorFrame) -> None:
        permanent = is_permanent(error, branch.service)
        await self._fail(branch, category(error).value, permanent=permanent)

    async def _fail(self, branch: Branch[STTService], why: str, *, permanent: bool = False) -> None:
        """Leave a candidate; another one hears what this one hasn't put into words."""
        if branch not in self._in_use():
            return
        self._leave_failed(branch, why, permanent=permanent)
        if branch is self._second:
            self._second = None
            return
        self._branch, self._second = self._second, None
        if self._branch is None:
            await self._find_another()
        else:
            await self.push_frame(self._branch.service.service_metadata_frame())

    async def _find_another(self) -> None:
        now = time.monotonic()
        following = self._lineup.pick(now)
        if following is not None:
            self._branch = await self._open(following)
            if self._kept.owed and not self._kept.speaking:
                self._wait_for_words()
            return
        pause = self._lineup.pause(now)
        if pause is None:
            self.used_up = True
            await self.push_error("no ears are left", force_treat_as_permanent=True)
        else:
            self._tasks.start(self._again(pause), "try the ears again")

    async def _again(self, pause: float) -> None:
        await asyncio.sleep(pause)
        if self._branch is None:
            await self._find_another()

    async def _open(self, candidate: Candidate[STTService]) -> Branch[STTService]:
        """A candidate that gets to hear first what is kept, then what comes."""
        branch = self._make(candidate)
        branch.begin(self.processor_setup, self._began)
        for change in self._settings:
            await branch.give(for_service(change))
        branch.again = self._kept.owed
        for frame in self._kept.frames():
            await branch.give(frame)
        return branch

    def _make(self, candidate: Candidate[STTService]) -> Branch[STTService]:
        branch = Branch(candidate, self._branches, said=self._heard, failed=self._error)

        async def disconnected(_: STTService) -> None:
            if self._kept.owed and not branch.left:  # it may well get its connection back, but not the sound
                await self._fail(branch, "disconnected")

        branch.service.add_event_handler("on_disconnected", disconnected)
        return branch

    def _leave(self) -> None:
        for branch in self._in_use():
            branch.leave()
        self._branch = self._second = None
