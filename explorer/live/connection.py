"""One browser's socket: reads requests, sends the newest answer of each kind."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Hashable
from contextlib import suppress
from functools import partial
from typing import ClassVar
from weakref import WeakKeyDictionary, ref

from starlette.concurrency import run_in_threadpool
from starlette.types import Message
from starlette.websockets import WebSocket, WebSocketDisconnect

from explorer.errors import CheckpointError, ExplorerError, ProtocolError
from explorer.live.drawing import encode_drawing
from explorer.live.engine import PictureJob, TruthJob
from explorer.live.guard import BAD_FRAME, BROKEN_MODEL, FAILED, NO_GRANT, close_socket
from explorer.live.hub import Hub
from explorer.live.model import Cycle, OpenedModel
from explorer.live.protocol import (
    ENCODE,
    PICTURE,
    SPOT,
    TRUTH,
    VIEW,
    Request,
    answer_header,
    read_request,
    write_encoded,
    write_json,
    write_picture,
)
from explorer.live.views import MAP, View

COSTS = {ENCODE: 10, VIEW: 10}  # of a session's messages a second; all others take one

Answer = bytes | ExplorerError


class Connection:
    """Serves one browser until it leaves, or breaks the protocol.

    Args:
        websocket: accepted.
        hub: of the process.
        model: what it drives.
        token: by whose grant.
    """

    def __init__(self, websocket: WebSocket, hub: Hub, model: OpenedModel, token: str) -> None:
        self._websocket = websocket
        self._hub = hub
        self._model = model
        self._token = token
        self._view: View | None = None
        self._outbox = _Outbox.of_this_loop()
        # A browser that reads slowly gets the newest answer, not a growing queue of old ones.
        self.answers: dict[Hashable, Answer] = {}
        self.ready = asyncio.Event()
        self._ahead: asyncio.Task[Message] | None = None

    async def serve(self) -> None:
        """Read and answer."""
        sender = asyncio.create_task(self._send())
        try:
            await self._receive()
        except ProtocolError as error:
            await close_socket(self._websocket, BAD_FRAME, str(error))
        except ExplorerError as error:
            await close_socket(self._websocket, BROKEN_MODEL, str(error))
        except WebSocketDisconnect:
            pass  # the browser left
        except Exception as error:
            logging.getLogger(__name__).exception("a connection failed")
            await close_socket(self._websocket, FAILED, f"The server could not answer: {error}")
        finally:
            self._hub.engine.withdraw(self, self._token)
            for ghost in (False, True):
                self._hub.pictures.withdraw((self, ghost), self._token)
            self._hub.truths.withdraw(self, self._token)
            self._hub.drawings.withdraw(self, self._token)
            for task in (sender, self._ahead):
                if task is not None:
                    task.cancel()

    async def _receive(self) -> None:
        model, rows = self._model, len(self._model.encodings.mean)
        decodes = finds_spots = None  # the views that are prepared for it
        while True:
            data = await self._read()
            if data is None:
                return
            if not self._hub.is_issued(self._token):
                await close_socket(
                    self._websocket, NO_GRANT, "The session has ended: reload the page."
                )
                return
            request = read_request(data, tag=model.tag, latent_dim=model.latent_dim, rows=rows)
            if request.kind == VIEW:
                await self._change_view(request)
                continue
            if self._view is None:
                self._view = await run_in_threadpool(model.view, MAP)
            view = self._view
            if request.kind == PICTURE:
                self._hub.pictures.submit(
                    (self, request.ghost),
                    self._answering((PICTURE, request.ghost), self._find_picture, request, view),
                    self._token,
                )
                continue
            # Torch, weights, neighbours: who is first waits for them, here and not in the engine,
            # where everybody would.
            if decodes is not view:
                await run_in_threadpool(self._prepare, view)
                decodes = view
            if request.kind == ENCODE:
                self._hub.drawings.submit(
                    self, self._answering(ENCODE, self._encode, request, view), self._token
                )
                continue
            if request.kind == SPOT and finds_spots is not view:
                if not view.takes_spots:
                    raise ProtocolError(
                        f"On the view {view.name} a spot has no code of its own: send the code."
                    )
                await run_in_threadpool(view.prepare, spots=True)
                finds_spots = view
            self._submit(request, view)

    def _prepare(self, view: View) -> None:
        _ = self._model.codec
        view.prepare()

    def _submit(self, request: Request, view: View) -> None:
        if request.kind == TRUTH and request.latents is not None:
            self._hub.engine.submit(
                self,
                TruthJob(self._model, request.latents, partial(self._on_cycle, request, view)),
                session=self._token,
            )
            return
        job = PictureJob(
            self._model,
            view,
            answer_header(request, self._model.tag),
            partial(self._hand_over, request.ghost),
            request.latents,
            request.spot,
            request.held,
        )
        self._hub.engine.submit(self, job, ghost=request.ghost, session=self._token)

    async def _read(self) -> bytes | None:
        """The next request, once its session may ask it; None if the browser left.

        Who asks for more than that is read more slowly, and so has to send more slowly.
        """
        if self._ahead is None:
            message = await self._websocket.receive()
        else:
            message = await self._ahead
            self._ahead = None
        if message["type"] == "websocket.disconnect":
            return None
        data: bytes | None = message.get("bytes")
        if data is None:
            raise ProtocolError("A text frame came; requests are binary.")
        seconds = self._hub.spend(self._token, COSTS.get(data[0], 1) if data else 1)
        if seconds > 0:
            # One message is read ahead, to hear it when the browser leaves meanwhile.
            until = time.monotonic() + seconds
            self._ahead = asyncio.create_task(self._receive_ahead())
            await asyncio.wait({self._ahead}, timeout=seconds)
            if self._ahead.done() and self._ahead.result()["type"] == "websocket.disconnect":
                return None
            await asyncio.sleep(until - time.monotonic())
        return data

    async def _receive_ahead(self) -> Message:
        return await self._websocket.receive()

    async def _change_view(self, request: Request) -> None:
        content = {"view": request.view}
        try:
            view = await run_in_threadpool(self._model.view, request.view)
            await run_in_threadpool(view.prepare)
        except ExplorerError as error:
            content["error"] = str(error)
        else:
            self._view = view
        header = answer_header(request, self._model.tag)
        self.answers[VIEW] = write_json(header, content)
        self.ready.set()

    def _answering(
        self, slot: Hashable, work: Callable[..., bytes], *given: object
    ) -> Callable[[], None]:
        """A task that hands over what work gives, or why it gives nothing: never is there silence.

        Args:
            slot: of the answer.
            work: makes it.
            given: to work.
        """

        def task() -> None:
            answer: Answer
            try:
                answer = work(*given)
            except ExplorerError as error:
                answer = error
            except Exception as error:
                logging.getLogger(__name__).exception("an answer failed")
                answer = CheckpointError(f"The model could not answer: {error}")
            self._hand_over(slot, answer)

        return task

    def _find_picture(self, request: Request, view: View) -> bytes:
        model, row = self._model, request.row
        try:
            picture = model.picture(row)
        except (ExplorerError, OSError) as error:
            raise CheckpointError(f"The picture cannot be had: {error}") from error
        return write_picture(
            answer_header(request, model.tag, real=picture.real),
            index=int(model.encodings.index[row]),
            place=[*map(float, view.coordinates[row]), 0.0][:3],
            nll=picture.nll,
            kl=picture.kl,
            latents=model.encodings.mean[row],
            pixels=picture.pixels,
        )

    def _encode(self, request: Request, view: View) -> bytes:
        assert request.drawing is not None
        found = encode_drawing(self._model, request.drawing)
        return write_encoded(
            answer_header(request, self._model.tag),
            place=[*map(float, view.place(found.mean[None])[0]), 0.0][:3],
            nll=found.nll,
            kl=found.kl,
            labels=found.labels,
            mean=found.mean,
            log_var=found.log_var,
            pictures=(found.input, found.reconstruction),
        )

    def _on_cycle(self, request: Request, view: View, cycle: Cycle | ExplorerError) -> None:
        if isinstance(cycle, ExplorerError):
            self._hand_over(TRUTH, cycle)
        else:
            task = self._answering(TRUTH, self._find_truth, request, view, cycle)
            self._hub.truths.submit(self, task, self._token)

    def _find_truth(self, request: Request, view: View, cycle: Cycle) -> bytes:
        assert request.latents is not None
        content = self._model.truth(request.latents, cycle, view=view, spot=request.spot)
        return write_json(answer_header(request, self._model.tag), content)

    def _hand_over(self, slot: Hashable, answer: Answer) -> None:
        """Give an answer to the socket, from any thread."""
        self._outbox.put(self, slot, answer)

    async def _send(self) -> None:
        while True:
            await self.ready.wait()
            self.ready.clear()
            answers, self.answers = self.answers, {}
            for answer in answers.values():
                if isinstance(answer, ExplorerError):
                    await close_socket(self._websocket, BROKEN_MODEL, str(answer))
                    return
                try:
                    await self._websocket.send_bytes(answer)
                except (WebSocketDisconnect, RuntimeError):
                    return


class _Outbox:
    """Carries answers from other threads to the event loop, a whole batch in one call.

    Each call wakes the loop, which would then take the interpreter from the decoder's thread after
    every single picture of a batch.
    """

    _of_loops: ClassVar["WeakKeyDictionary[asyncio.AbstractEventLoop, _Outbox]"] = (
        WeakKeyDictionary()
    )

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = ref(loop)
        self._lock = threading.Lock()
        self._waiting: list[tuple[Connection, Hashable, Answer]] = []

    @classmethod
    def of_this_loop(cls) -> "_Outbox":
        loop = asyncio.get_running_loop()
        if loop not in cls._of_loops:
            cls._of_loops[loop] = cls(loop)
        return cls._of_loops[loop]

    def put(self, connection: Connection, slot: Hashable, answer: Answer) -> None:
        with self._lock:
            self._waiting.append((connection, slot, answer))
            if len(self._waiting) > 1:
                return  # the loop has been called and has not come yet
        loop = self._loop()
        with suppress(RuntimeError):  # the server has ended
            if loop is not None:
                loop.call_soon_threadsafe(self._carry)

    def _carry(self) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, []
        for connection, slot, answer in waiting:
            connection.answers[slot] = answer
            connection.ready.set()
