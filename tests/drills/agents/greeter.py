"""An agent that greets at length, so that it can be lost while it speaks."""

from greenroom import Agent

LONG = " ".join(f"This is sentence number {number} of a long greeting." for number in range(1, 16))

agent = Agent(name="greeter", prompt="Be brief.", greeting=LONG)
