"""A TCP proxy between a program and a server, which makes the network as bad as wanted.

    with Proxy(servers.REDIS.port) as proxy:
        ... a program that uses proxy.port ...
        proxy.delay(0.3)

Each change takes effect on open connections, too.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import struct
import threading

PIECE = 1 << 16
# More than this of an answer does not arrive when connections are cut in the middle.
CUT_BYTES = 3
_RESET = struct.pack("ii", 1, 0)


class Proxy:
    def __init__(self, target_port):
        self._target_port = target_port
        self._delay = 0.0
        self._swallows = False
        self._cuts = False
        self._server = None
        self._streams = set()
        self._fillers = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.port = 0
        self._do(self._listen())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._do(self._stop_listening())
        self._do(self._drop_connections())
        self._do(self._end_tasks())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def restore(self):
        """Pass everything on at once."""
        self._do(self._set())
        self._do(self._listen())

    def delay(self, seconds):
        """Hold each piece of an answer back."""
        self._do(self._set(delay=seconds))

    def swallow(self):
        """Accept connections and requests, and never answer."""
        self._do(self._set(swallows=True))

    def cut(self):
        """Reset each connection in the middle of its next answer."""
        self._do(self._set(cuts=True))

    def refuse(self):
        """Close the port; what connects is refused."""
        self._do(self._stop_listening())
        self._do(self._drop_connections())

    def black_hole(self):
        """Answer nobody who connects, as a host that is gone, and no open connection either."""
        self._do(self._set(swallows=True))
        self._do(self._stop_listening())
        self._fill_backlog()

    def _do(self, work):
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _set(self, *, delay=0.0, swallows=False, cuts=False):
        self._delay, self._swallows, self._cuts = delay, swallows, cuts
        if not (delay or swallows or cuts):
            # What was swallowed is missing from the middle of these.
            await self._drop_connections()

    async def _listen(self):
        while self._fillers:
            self._fillers.pop().close()
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def _stop_listening(self):
        while self._fillers:
            self._fillers.pop().close()
        server, self._server = self._server, None
        if server is not None:
            server.close()

    def _fill_backlog(self):
        """Let the queue of those who connect be full: the kernel drops whoever comes next."""
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        listener.listen(0)
        self._fillers.append(listener)
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            assert filler.connect_ex(("127.0.0.1", self.port)) in (0, errno.EINPROGRESS)
            self._fillers.append(filler)

    async def _drop_connections(self):
        for stream in list(self._streams):
            _reset(stream)

    async def _end_tasks(self):
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader, writer):
        try:
            to_server = await asyncio.open_connection("127.0.0.1", self._target_port)
        except OSError:
            _reset(writer)
            return
        self._streams |= {writer, to_server[1]}
        try:
            await asyncio.gather(
                self._pass_requests(reader, to_server[1]), self._pass_answers(to_server[0], writer)
            )
        except asyncio.CancelledError:
            return  # the proxy ends, and would be told of its own doing
        finally:
            self._streams -= {writer, to_server[1]}

    async def _pass_requests(self, reader, writer):
        with contextlib.suppress(OSError):
            while piece := await reader.read(PIECE):
                if not self._swallows:
                    writer.write(piece)
        writer.close()

    async def _pass_answers(self, reader, writer):
        with contextlib.suppress(OSError):
            while piece := await reader.read(PIECE):
                if self._delay:
                    await asyncio.sleep(self._delay)
                if self._cuts:
                    writer.write(piece[:CUT_BYTES])
                    await writer.drain()
                    _reset(writer)
                    return
                if not self._swallows:
                    writer.write(piece)
        writer.close()


def _reset(writer):
    raw = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
