"""Text-to-speech by the first of a call's candidates that can do it; conversation.py puts it where a service would be.

A candidate gets one sentence at a time. When it fails, the next one says the sentence from the first word that the
caller has not heard. What surrounds the sentences never goes through a candidate, so that none of it gets lost.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence

from pipecat.frames.frames import (
    AggregatedTextFrame,
    CancelFrame,
    EagerTranscriptionFrame,
    EndFrame,
    ErrorFrame,
    Frame,
    InterimTranscriptionFrame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    MetricsFrame,
    StartFrame,
    SystemFrame,
    TextFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
    TTSStoppedFrame,
    TTSUpdateSettingsFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor, FrameProcessorSetup
from pipecat.services.tts_service import TTSService, WebsocketTTSService
from pipecat.utils.string import resolve_sentence_tokenizer_language
from pipecat.utils.text.base_text_aggregator import BaseTextAggregator
from pipecat.utils.text.simple_text_aggregator import SimpleTextAggregator

from pipeline.fallback.branch import Branch, Noticed, category, for_service, is_permanent
from pipeline.fallback.candidates import Candidate, Circuits
from pipeline.fallback.lineup import Lineup
from pipeline.fallback.utterances import Ending, Piece, SaidFrame, Utterance, piece
from pipeline.frames import UnsayableFrame
from pipeline.pace import SECONDS_PER_CHARACTER
from runtime.background import Background

SOUND_SECONDS = 2.5  # without sound of a sentence that was sent: hosted voices take 0.1 to 1.5
SILENT = "completed with no audio"  # how Pipecat's error ends when a service had nothing to say to a text
SILENT_SECONDS = 0.3  # behind an answer that held no sound, for what is still on its way
KNOWN_CHARACTERS = 50  # that a voice must have said before its own pace is used
NOT_SPOKEN = (TranscriptionFrame, InterimTranscriptionFrame, EagerTranscriptionFrame)


class FallbackTTS(FrameProcessor):
    """The voice of a call: one of several.

    Args:
        candidates: in order of preference.
        circuits: told which of them fail.
        patience: seconds that a sentence may take to be heard before the call is given up.
        owner: named in the log of tasks that fail.
        noticed: told of each candidate that fails, for the session's log.
        language: BCP 47 tag of the language whose sentences are told apart.
        sound_seconds: without sound after which a candidate hangs.

    Attributes:
        used_up: all have failed: the call can't go on. Said by an ErrorFrame of this processor.
        failed: the name of the provider that failed last.
        permanent: whether that one will fail again for certain.
    """

    def __init__(
        self,
        candidates: Sequence[Candidate[TTSService]],
        circuits: Circuits,
        *,
        patience: float,
        owner: str,
        noticed: Noticed,
        language: str = "en",
        sound_seconds: float = SOUND_SECONDS,
    ) -> None:
        super().__init__(enable_direct_mode=True)
        self.used_up, self.failed, self.permanent = False, "", False
        self._lineup = Lineup(candidates, circuits, patience)
        self._sound_seconds = sound_seconds
        self._tasks, self._branches, self._noticed = Background(owner), Background(owner), noticed
        self._began: StartFrame | None = None
        self._sentences: BaseTextAggregator = SimpleTextAggregator(
            language=resolve_sentence_tokenizer_language(language)
        )  # type: ignore[no-untyped-call]
        self._answer: Utterance | None = None
        self._waiting = deque[Frame | Piece | Ending]()  # the first piece among them is with the candidate in use
        self._asked: Piece | None = None
        self._alive_at = 0.0
        self._interruptions = set[int]()  # that the candidate has still to hear of: what it says until then is old
        self._paces = dict[str, tuple[float, int]]()  # seconds and characters that each candidate has said
        self._settings = list[TTSUpdateSettingsFrame]()  # that every candidate is to have
        self._out = asyncio.Lock()
        self._branch: Branch[TTSService] | None = self._make(self._lineup.first(time.monotonic()))

    async def setup(self, setup: FrameProcessorSetup) -> None:  # type: ignore[override]
        """Begin to connect the first candidate."""
        await super().setup(setup)
        if self._branch is not None:
            self._branch.begin(setup)

    async def cleanup(self) -> None:
        """Leave the candidate in use."""
        await super().cleanup()  # type: ignore[no-untyped-call]
        self._tasks.cancel()
        self._leave()
        await self._branches.settled()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Say what is to be said; keep the rest in its place around it."""
        await super().process_frame(frame, direction)
        if direction is FrameDirection.UPSTREAM:
            await self.push_frame(frame, direction)
        elif isinstance(frame, StartFrame):
            self._began = frame
            await self.push_frame(frame)
            if self._branch is not None:
                self._branch.start(frame)
        elif isinstance(frame, CancelFrame):
            self._leave()
            await self.push_frame(frame)
        elif isinstance(frame, InterruptionFrame):
            await self._interrupt(frame)
        elif isinstance(frame, SystemFrame):
            await self.push_frame(frame)
        else:
            await self._take(frame)

    async def _take(self, frame: Frame) -> None:
        """One frame of those that keep their order."""
        if isinstance(frame, TTSSpeakFrame):
            alone = Utterance(frame.append_to_context, self._answer is None, frame.interruptible)
            self._say(piece(frame.text, frame.text_type, alone))
            self._waiting.append(Ending(alone))
        elif isinstance(frame, LLMFullResponseStartFrame) and not frame.skip_tts:
            self._answer = Utterance()
            self._waiting.append(frame)
        elif isinstance(frame, LLMFullResponseEndFrame | EndFrame):
            await self._finish_answer()
            self._waiting.append(frame)
        elif isinstance(frame, TextFrame) and not frame.skip_tts and not isinstance(frame, NOT_SPOKEN):
            await self._take_text(frame)
        else:
            self._waiting.append(frame)
        await self._go_on()

    async def _take_text(self, frame: TextFrame) -> None:
        utterance = self._answer or Utterance()
        if isinstance(frame, AggregatedTextFrame):
            self._say(Piece(utterance, frame, frame.text))
        else:
            async for sentence in self._sentences.aggregate(frame.text):
                self._say(piece(sentence.text, sentence.type, utterance))
        if utterance is not self._answer:
            self._waiting.append(Ending(utterance))

    async def _finish_answer(self) -> None:
        rest = await self._sentences.flush()
        utterance, self._answer = self._answer or Utterance(), None
        if rest:
            self._say(piece(rest.text, rest.type, utterance))
        self._waiting.append(Ending(utterance))

    def _say(self, new: Piece) -> None:
        if new.left.strip() and not self.used_up:
            self._waiting.append(new)

    async def _interrupt(self, frame: InterruptionFrame) -> None:
        """Forget what may be cut off; silence doesn't wait for the candidate."""
        async with self._out:
            self._waiting = deque(item for item in self._waiting if not _interruptible(item))
            self._answer = None
            await self._sentences.handle_interruption()  # type: ignore[no-untyped-call]
            if self._asked is not None and self._asked.utterance.interruptible:
                self._asked = None
                self._lineup.give_up()
            if self._branch is not None:
                self._interruptions.add(frame.id)
                await self._branch.give(frame)
            await self.push_frame(frame)
        await self._go_on()

    async def _go_on(self) -> None:
        """Send on what is at the front; ask for the sound of the first piece."""
        async with self._out:
            while self._waiting:
                item = self._waiting[0]
                if isinstance(item, Piece):
                    await self._ask(item)
                    return
                self._waiting.popleft()
                await self._send_on(item)

    async def _send_on(self, item: Frame | Ending) -> None:
        if isinstance(item, Ending):
            await self._push_all(item.frames())
            return
        if isinstance(item, TTSUpdateSettingsFrame) and self._is_ours(item):
            if item.reach_inactive_services:
                self._settings.append(item)
            if self._branch is not None:
                await self._branch.give(for_service(item))
            return
        if isinstance(item, EndFrame):
            self._leave()
        await self.push_frame(item)

    def _is_ours(self, frame: TTSUpdateSettingsFrame) -> bool:
        return frame.service in (None, self) or (self._branch is not None and frame.service is self._branch.service)

    async def _push_all(self, frames: Sequence[Frame]) -> None:
        for frame in frames:
            await self.push_frame(frame)

    async def _ask(self, asked: Piece) -> None:
        if self._asked is not None or self._branch is None:
            return
        now = time.monotonic()
        wanted = self._branch.candidate
        if not asked.utterance.begun:  # the voice doesn't change in the middle of an answer without need
            wanted = self._lineup.prefers(wanted, now)
        if wanted is not self._branch.candidate:
            await self._use(wanted)
        self._asked, self._alive_at = asked, now
        for frame in asked.asked():
            await self._branch.give(frame)
        self._tasks.start(self._watch(self._branch, asked), "watch a voice")

    async def _watch(self, branch: Branch[TTSService], asked: Piece) -> None:
        while self._asked is asked and self._branch is branch:
            left = self._alive_at + self._sound_seconds - time.monotonic()
            if left <= 0:
                await self._fail(branch, "hang")
                return
            await asyncio.sleep(left)

    async def _heard(self, branch: Branch[TTSService], frame: Frame) -> None:
        """One frame of a candidate's."""
        async with self._out:
            if branch is not self._branch:
                return
            cut = await self._heard_in_turn(branch, frame)
        if cut:
            await self._fail(branch, "broke_off")
        elif isinstance(frame, SaidFrame):
            await self._go_on()

    async def _heard_in_turn(self, branch: Branch[TTSService], frame: Frame) -> bool:
        """Returns: whether the candidate has left off in the middle of a piece."""
        asked = self._asked
        if isinstance(frame, MetricsFrame | UnsayableFrame):
            await self.push_frame(frame)
        elif isinstance(frame, InterruptionFrame):
            self._interruptions.discard(frame.id)
        elif asked is None or (self._interruptions and frame.interruptible):
            return False
        elif isinstance(frame, TTSAudioRawFrame):
            self._alive_at = time.monotonic()
            await self._push_all(asked.sound(frame))
        elif isinstance(frame, TTSStoppedFrame):
            asked.whole = True
        elif isinstance(frame, SaidFrame) and frame.piece == asked.frame.id:
            if asked.seconds and not asked.whole:
                return True
            if asked.seconds:
                self._worked(branch.candidate, asked)
            await self._done(asked)
        return False

    async def _done(self, asked: Piece) -> None:
        self._waiting.popleft()
        self._asked = None
        await self._push_all(asked.said())

    def _worked(self, candidate: Candidate[TTSService], asked: Piece) -> None:
        self._lineup.worked(candidate, time.monotonic())
        seconds, characters = self._paces.get(candidate.key, (0.0, 0))
        self._paces[candidate.key] = (seconds + asked.seconds, characters + len(asked.left))

    def _pace(self, candidate: Candidate[TTSService]) -> float:
        seconds, characters = self._paces.get(candidate.key, (0.0, 0))
        return seconds / characters if characters >= KNOWN_CHARACTERS else SECONDS_PER_CHARACTER

    async def _error(self, branch: Branch[TTSService], error: ErrorFrame) -> None:
        permanent = is_permanent(error, branch.service)
        if permanent:
            await self._fail(branch, category(error).value, permanent=True)
        elif self._asked is not None:  # between sentences a service may lose its connection and get it back
            await self._fail(branch, "silent" if error.error.endswith(SILENT) else category(error).value)

    async def _fail(self, branch: Branch[TTSService], why: str, *, permanent: bool = False) -> None:
        """Leave a candidate; the next one says what this one hasn't."""
        async with self._out:
            if branch is not self._branch:
                return
            now, asked = time.monotonic(), self._asked
            self.failed, self.permanent = branch.candidate.name, permanent
            self._noticed("tts_failed", {"provider": self.failed, "why": why})
            self._lineup.failed(branch.candidate, now, permanent=permanent, at_fault=why != "silent")
            self._leave()
            if asked is not None:
                asked.broke_off(self._pace(branch.candidate))
                self._asked = None
            following = self._lineup.pick(now)
            if following is None and asked is not None and why == "silent":
                await self._done(asked)  # no voice can say this text
                self._lineup.give_up()
                following = self._lineup.pick(now)
            pause = self._lineup.pause(now) if following is None else None
            if following is not None:
                await self._use(following)
            elif pause is not None:
                self._tasks.start(self._again(pause), "try the voices again")
            else:
                await self._give_up()
        await self._go_on()

    async def _again(self, pause: float) -> None:
        await asyncio.sleep(pause)
        following = self._lineup.pick(time.monotonic())
        if self._branch is None and following is not None:
            await self._use(following)
        await self._go_on()

    async def _give_up(self) -> None:
        self.used_up = True
        self._waiting = deque(item for item in self._waiting if not isinstance(item, Piece))
        await self.push_error("no voice is left", force_treat_as_permanent=True)

    async def _use(self, candidate: Candidate[TTSService]) -> None:
        self._leave()
        self._interruptions.clear()
        self._branch = self._make(candidate)
        self._branch.begin(self.processor_setup, self._began)
        for frame in self._settings:
            await self._branch.give(for_service(frame))

    def _make(self, candidate: Candidate[TTSService]) -> Branch[TTSService]:
        branch = Branch(candidate, self._branches, said=self._heard, failed=self._error)

        async def answered(_: TTSService, frame: Frame) -> None:
            if isinstance(frame, TTSSpeakFrame) and self._asked is not None and not self._asked.seconds:
                self._tasks.start(self._is_silent(branch, self._asked), "watch a silent voice")

        if not isinstance(branch.service, WebsocketTTSService):  # of those the sound comes behind the answer
            branch.service.add_event_handler("on_after_process_frame", answered)
        return branch

    async def _is_silent(self, branch: Branch[TTSService], asked: Piece) -> None:
        await asyncio.sleep(SILENT_SECONDS)
        if self._asked is asked and self._branch is branch and not asked.seconds:
            await self._fail(branch, "silent")

    def _leave(self) -> None:
        if self._branch is not None:
            self._branch.leave()
            self._branch = None


def _interruptible(item: Frame | Piece | Ending) -> bool:
    return item.interruptible if isinstance(item, Frame) else item.utterance.interruptible
