from session.provider_circuits import PREFIX, circuit_of, failing, key_of


def test_a_circuit_is_named_by_its_key():
    assert circuit_of("llm/groq/0f") == f"{PREFIX}llm/groq/0f"
    assert key_of(circuit_of("llm/groq/0f")) == "llm/groq/0f"


def test_a_provider_fails_once_however_many_credentials_do():
    circuits = [circuit_of(key) for key in ("tts/inworld/1", "llm/groq/1", "llm/groq/2", "spoiled")]
    assert failing(circuits) == [("llm", "groq"), ("tts", "inworld")]
