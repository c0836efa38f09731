"""A way for bytes that can be held up or slowed down, between a program and the server it talks to; knows neither."""

from __future__ import annotations

import asyncio
import socket
import threading
from types import TracebackType

CHUNK = 65536


class Proxy:
    """Listens on a port of its own and passes everything on to another. A context manager, in a thread of its own.

    Attributes:
        port: where it listens.
        delay: seconds by which each piece towards the server is late.
    """

    def __init__(self, port: int) -> None:
        """`port` is the server's, on 127.0.0.1."""
        self.delay = 0.0
        self._server_port = port
        self._loop = asyncio.new_event_loop()
        self._open: asyncio.Event
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def hold(self) -> None:
        """Pass nothing on to the server from now on."""
        self._loop.call_soon_threadsafe(self._open.clear)

    def let_go(self) -> None:
        """Pass on what was held, and what comes."""
        self._loop.call_soon_threadsafe(self._open.set)

    def __enter__(self) -> Proxy:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._open = asyncio.Event()
        self._open.set()
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, sock=self._listening))
        self._ready.set()
        self._loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*asyncio.all_tasks(self._loop), return_exceptions=True))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._server_port)
        except OSError:
            writer.close()
            return
        await asyncio.gather(self._pass(reader, back, held=True), self._pass(there, writer, held=False))

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, held: bool) -> None:
        try:
            while piece := await reader.read(CHUNK):
                if held:
                    await self._open.wait()
                    await asyncio.sleep(self.delay)
                writer.write(piece)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()
