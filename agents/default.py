"""The agent that answers when a session asks for none: friendly, brief, and it knows the time."""

from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from greenroom import Agent, end_call, repeatable

PROMPT = """You are a friendly assistant on a phone call.
Answer in one or two short sentences, in plain spoken words: no lists, no markup, no emoji.
If you did not understand, ask once. If you do not know, say so."""


@repeatable
async def current_time(timezone: str = "") -> str:
    """Tell the current date and time. Use it whenever the caller asks what time or which day it is.

    Args:
        timezone: IANA name such as Europe/Vienna; leave it out for the time where the agent runs.
    """
    try:
        zone = ZoneInfo(timezone) if timezone else None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return f"There is no time zone called {timezone}."
    return datetime.now(zone).astimezone(zone).strftime("%A, %d %B %Y, %H:%M")


agent = Agent(
    name="default",
    prompt=PROMPT,
    greeting="Hello, how can I help you today?",
    tools=[current_time, end_call],
)
