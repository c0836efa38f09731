"""Every provider by name: what it needs, what it takes, that its service is made of what was asked for."""

import dataclasses
import subprocess
import sys
from typing import Any

import pytest
from pydantic import SecretStr

from pipeline.errors import BadOption, MissingKey, UnknownProvider
from pipeline.providers import (
    KINDS,
    TABLE,
    Kind,
    Provider,
    candidates,
    check,
    check_choice,
    circuit_key,
    default,
    known_languages,
    known_voices,
    make_llm,
    make_stt,
    make_tts,
    preload,
    spec_of,
    usable,
)
from pipeline.providers.openai import VOICES as VOICES_OF_OPENAI
from pipeline.providers.spec import Options, Spec
from pipeline.settings import PipelineSettings

# Importing Pipecat 1.14's text-to-speech services warns about a class of its own.
pytestmark = pytest.mark.filterwarnings("ignore:.AudioContextTTSService. is deprecated:DeprecationWarning")

KEY = SecretStr("key-for-tests")
KEYS = ("assemblyai", "cartesia", "deepgram", "elevenlabs", "groq", "inworld", "openai")
HOSTED = [(kind, name) for kind in KINDS for name, module in TABLE[kind].items() if module != "local"]
EVERY = [(kind, name) for kind in KINDS for name in TABLE[kind]]

WISHES: dict[tuple[str, str], dict[str, object]] = {
    ("stt", "assemblyai"): {"keyterms_prompt": ["Greenroom"], "vad_threshold": 0.4},
    ("stt", "cartesia"): {"keyterm": ["Greenroom"]},
    ("stt", "deepgram"): {"model": "nova-3-medical", "smart_format": True},
    ("stt", "elevenlabs"): {"no_verbatim": True},
    ("stt", "groq"): {"model": "whisper-large-v3", "temperature": 0.1},
    ("stt", "openai"): {"prompt": "Greenroom"},
    ("llm", "groq"): {"model": "llama-3.3-70b-versatile", "reasoning_effort": "low"},
    ("llm", "openai"): {"model": "gpt-4.1-mini", "max_completion_tokens": 200},
    ("llm", "openai-compatible"): {"model": "tiny", "seed": 3},
    ("tts", "cartesia"): {"model": "sonic-3"},
    ("tts", "deepgram"): {"speed": 1.1},
    ("tts", "elevenlabs"): {"stability": 0.4, "speed": 1.1},
    ("tts", "groq"): {"speed": 1.2},
    ("tts", "inworld"): {"speaking_rate": 1.1},
    ("tts", "openai"): {"instructions": "Cheerful.", "speed": 1.1},
}
VOICES = {"openai": "marin"}
# Options that become something other than a field of the same name.
FOLDED = {("tts", "cartesia"): {"volume", "speed", "emotion"}}


def bare(**more: Any) -> PipelineSettings:
    return PipelineSettings(_env_file=None, **more)


def full() -> PipelineSettings:
    return bare(openai_base_url="http://127.0.0.1:1/v1", **{f"{name}_api_key": KEY for name in KEYS})


def made(kind: Kind, name: str, options: dict[str, object]) -> Any:
    choice = Provider(name, options)
    if kind == "stt":
        return make_stt(choice, full(), language="en")
    if kind == "llm":
        return make_llm(choice, full())
    return make_tts(choice, full(), voice=VOICES.get(name, "a-voice"), language="en")


@pytest.mark.anyio
@pytest.mark.parametrize(("kind", "name"), HOSTED)
async def test_a_service_is_made_with_its_key_options_and_voice(kind: Kind, name: str) -> None:
    wishes = WISHES[kind, name]
    service = made(kind, name, wishes)
    for option, value in wishes.items():
        assert getattr(service._settings, option) == value
    if kind == "tts":
        assert service._settings.voice == VOICES.get(name, "a-voice")
    client = getattr(service, "_client", None)
    kept = getattr(service, "_api_key", None) or getattr(client, "api_key", None)
    if kept is not None:
        assert kept == ("none" if name == "openai-compatible" else KEY.get_secret_value())


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("kind", "name"),
    [("stt", "groq"), ("stt", "openai"), ("llm", "groq"), ("llm", "openai"), ("tts", "groq"), ("tts", "openai")],
)
async def test_a_service_over_http_gives_up_in_time(kind: Kind, name: str) -> None:
    client = made(kind, name, {})._client
    settings = full()
    assert client.max_retries == 0  # an SDK would sleep for as long as a Retry-After says
    if kind == "llm":
        assert client.timeout < settings.answer_seconds
    else:
        assert client.timeout == settings.provider_timeout


@pytest.mark.anyio
@pytest.mark.parametrize("name", TABLE["llm"])
async def test_every_brain_is_told_its_prompt_apart_from_the_conversation(name: str) -> None:
    told = make_llm(Provider(name), full(), prompt="Be kind.")
    assert told._settings.system_instruction == "Be kind."
    assert make_llm(Provider(name), full())._settings.system_instruction is None


@pytest.mark.anyio
async def test_cartesias_manner_of_speaking_becomes_its_generation_config() -> None:
    service = made("tts", "cartesia", {"speed": 1.2, "emotion": "calm"})
    assert service._settings.generation_config.speed == 1.2
    assert service._settings.generation_config.emotion == "calm"


@pytest.mark.parametrize(("kind", "name"), HOSTED)
def test_every_option_is_one_that_the_service_knows(kind: Kind, name: str) -> None:
    spec = spec_of(kind, name)
    fields = {field.name for field in dataclasses.fields(spec.load().Settings)}
    options = set(spec.options.model_fields) - spec.arguments - FOLDED.get((kind, name), set())
    assert options <= fields


@pytest.mark.anyio
async def test_the_local_ears_and_voice_are_preloaded_and_made_with_no_key() -> None:
    preload("stt", Provider("moonshine"))
    preload("tts", Provider("hibari"), ["Hello."], "heart")
    assert type(make_stt(Provider("moonshine"), bare(), language="en")).__name__ == "MoonshineSTT"
    for voice in (None, "heart"):
        assert type(make_tts(Provider("hibari"), bare(), voice=voice, language="en")).__name__ == "HibariTTS"


def test_openais_voices_are_the_ones_pipecat_accepts() -> None:
    from pipecat.services.openai.tts import VALID_VOICES

    assert set(VOICES_OF_OPENAI) == set(VALID_VOICES)


@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_the_table_names_the_file_that_has_the_provider(kind: Kind, name: str) -> None:
    spec = spec_of(kind, name)
    assert isinstance(spec, Spec)
    assert issubclass(spec.options, Options)


@pytest.mark.parametrize(
    ("kind", "name", "variable"),
    [
        ("stt", "assemblyai", "ASSEMBLYAI_API_KEY"),
        ("stt", "cartesia", "CARTESIA_API_KEY"),
        ("stt", "deepgram", "DEEPGRAM_API_KEY"),
        ("stt", "elevenlabs", "ELEVENLABS_API_KEY"),
        ("stt", "groq", "GROQ_API_KEY"),
        ("stt", "openai", "OPENAI_API_KEY"),
        ("llm", "groq", "GROQ_API_KEY"),
        ("llm", "openai", "OPENAI_API_KEY"),
        ("llm", "openai-compatible", "GREENROOM_OPENAI_BASE_URL"),
        ("tts", "inworld", "INWORLD_API_KEY"),
        ("tts", "cartesia", "CARTESIA_API_KEY"),
    ],
)
def test_a_missing_key_is_named(kind: Kind, name: str, variable: str) -> None:
    with pytest.raises(MissingKey, match=variable):
        check(kind, Provider(name), bare())


def test_an_unknown_provider_is_told_the_known_ones() -> None:
    with pytest.raises(UnknownProvider, match=r"grok.*known: groq, openai, openai-compatible, rules"):
        check("llm", Provider("grok"), full())


@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_an_unknown_option_is_told_the_known_ones(kind: Kind, name: str) -> None:
    with pytest.raises(BadOption, match="'colour' is not known; its options: ") as refused:
        check(kind, Provider(name, {"colour": "vermilion"}), full(), voice="x")
    assert "vermilion" not in str(refused.value)


@pytest.mark.parametrize("name", ["base_url", "url", "api_key"])
@pytest.mark.parametrize(("kind", "provider"), HOSTED)
def test_no_option_can_send_a_key_elsewhere(kind: Kind, provider: str, name: str) -> None:
    assert name not in spec_of(kind, provider).options.model_fields


def test_an_option_of_a_wrong_type_is_refused_without_its_value() -> None:
    with pytest.raises(BadOption, match="temperature") as refused:
        check("llm", Provider("groq", {"temperature": "hot-secret"}), full())
    assert "hot-secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("kind", "name", "voice", "language", "said"),
    [
        ("tts", "cartesia", None, "en", "GREENROOM_VOICE"),
        ("tts", "elevenlabs", None, "en", "GREENROOM_VOICE"),
        ("tts", "hibari", "darth", "en", "heart"),
        ("tts", "hibari", "emma", "en", "not on this machine"),
        ("tts", "openai", "darth", "en", "marin"),
        ("tts", "hibari", None, "de", "must be one of en"),
        ("stt", "moonshine", None, "de-AT", "must be one of en"),
    ],
)
def test_a_voice_or_language_that_does_not_fit_is_refused(
    kind: Kind, name: str, voice: str | None, language: str, said: str
) -> None:
    with pytest.raises(BadOption, match=said):
        check(kind, Provider(name), full(), voice=voice, language=language)


def test_a_regional_english_is_english() -> None:
    check("stt", Provider("moonshine"), bare(), language="en-GB")


def test_without_keys_the_local_providers_are_usable_and_no_other() -> None:
    assert usable(bare()) == {"stt": ["moonshine", "local"], "llm": ["rules", "local"], "tts": ["hibari", "local"]}


def test_a_key_makes_its_providers_usable() -> None:
    assert usable(bare(groq_api_key=KEY)) == {
        "stt": ["moonshine", "groq", "local"],
        "llm": ["rules", "groq", "local"],
        "tts": ["hibari", "groq", "local"],
    }


def test_the_deployments_choice_carries_its_options_and_model() -> None:
    settings = bare(llm="groq", llm_options={"temperature": 0.5}, llm_model="tiny")
    assert default("llm", settings) == (Provider("groq", {"temperature": 0.5, "model": "tiny"}),)


@pytest.mark.parametrize(
    ("options", "model", "expected"),
    [
        ({"temperature": 0.5}, "tiny", [{"temperature": 0.5, "model": "tiny"}, {}, {}]),
        ({"groq": {"seed": 1}, "openai": {"seed": 2}}, None, [{"seed": 1}, {"seed": 2}, {}]),
        ({"openai": {"seed": 2}}, {"groq": "a", "openai": "b"}, [{"model": "a"}, {"seed": 2, "model": "b"}, {}]),
        ({"openai": {"seed": 2}, "seed": 3}, None, [{"openai": {"seed": 2}, "seed": 3}, {}, {}]),  # refused by groq
    ],
)
def test_options_and_models_are_by_provider_or_the_first_ones(
    options: dict[str, Any], model: Any, expected: list[dict[str, object]]
) -> None:
    settings = bare(llm="groq, openai, local", llm_options=options, llm_model=model)
    assert default("llm", settings) == tuple(
        Provider(name, given) for name, given in zip(("groq", "openai", "rules"), expected, strict=True)
    )


@pytest.mark.anyio
async def test_candidates_are_made_when_they_are_needed_and_as_a_single_one_is() -> None:
    choices = (Provider("openai", {"speed": 1.1}), Provider("hibari"))
    first, spare = candidates("tts", choices, full(), voices={"openai": "marin"}, language="en")
    assert (first.name, spare.name) == ("openai", "hibari")
    service = first.make()
    assert (service._settings.voice, service._settings.speed) == ("marin", 1.1)
    assert type(spare.make()).__name__ == "HibariTTS"


def test_a_circuit_is_a_providers_and_a_credentials_and_does_not_tell_the_credential() -> None:
    one, other = bare(groq_api_key=SecretStr("sk-one")), bare(groq_api_key=SecretStr("sk-two"))
    key = circuit_key("llm", "groq", one)
    assert key.startswith("llm/groq/")
    assert "sk-one" not in key
    assert circuit_key("llm", "groq", bare(groq_api_key=SecretStr("sk-one"), voice="x")) == key
    assert len({key, circuit_key("llm", "groq", other), circuit_key("stt", "groq", one)}) == 3


def test_a_server_of_ones_own_has_a_circuit_by_its_address_and_its_key() -> None:
    here = {"openai_base_url": "http://here/v1"}
    settings = [bare(**here), bare(openai_base_url="http://there/v1"), bare(**here, openai_server_key=KEY)]
    assert len({circuit_key("llm", "openai-compatible", each) for each in settings}) == 3


def run(code: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_checking_imports_no_pipecat() -> None:
    loaded = run(
        "import sys; from pipeline.providers import check, Provider, usable;"
        "from pipeline.settings import PipelineSettings;"
        "settings = PipelineSettings(_env_file=None, groq_api_key='k'); usable(settings);"
        "check('llm', Provider('groq'), settings); print(*sys.modules)"
    )
    assert "pipeline.providers.groq" in loaded
    assert "pipecat" not in loaded


def test_only_the_chosen_service_is_imported() -> None:
    loaded = run(
        "import sys; from pipeline.providers import preload, Provider;"
        "preload('stt', Provider('deepgram')); print(*sys.modules)"
    )
    assert "pipecat.services.deepgram.stt" in loaded
    assert not {"pipecat.services.groq.llm", "pipeline.providers.openai", "pipeline.providers.groq"} & set(loaded)


def test_what_local_providers_have_is_known_without_a_call() -> None:
    told = PipelineSettings(_env_file=None)
    languages, voices = known_languages(told), known_voices(told)
    assert (languages["stt/moonshine"], languages["tts/hibari"]) == (["en"], ["en"])
    assert set(voices) == {"tts/hibari", "tts/local"}
    assert (languages["stt/local"], voices["tts/local"]) == (["en"], voices["tts/hibari"])
    assert {"heart", "american"} <= set(voices["tts/hibari"])
    for name in ("heart", "emma", "british", "nobody"):
        try:
            check_choice("tts", Provider("hibari"), voice=name)
        except BadOption:
            assert name not in voices["tts/hibari"]
        else:
            assert name in voices["tts/hibari"]
