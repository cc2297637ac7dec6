"""Many connections, one request at a time on each, until the daemon is gone. All in one thread: what the daemon sent before it died is
still in the sockets then, and is read, because it was acknowledged."""
import math
import os
import re
import selectors
import socket
import struct
import time

LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
RETRY_SECONDS = 0.01
LAST_FRAMES_SECONDS = 0.001


class Connection:
    def __init__(self, load, requests):
        self.load, self.requests = load, requests
        self.socket, self.request, self.unsent, self.received, self.not_before = None, None, b"", b"", 0

    def step(self):
        """Opens, when there is none, and sends."""
        if self.socket is None:
            if time.monotonic() < self.not_before or self.load.has_enough():
                return
            self.request = self.request or next(self.requests)
            self.socket = socket.socket()
            self.socket.setblocking(False)
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.socket.connect_ex(("10.86.0.2", self.request.port))
            self._begin()
            self.load.selector.register(self.socket, selectors.EVENT_READ | selectors.EVENT_WRITE, self)

    def _begin(self):
        self.unsent, self.received = self.request.data, b""
        self.load.sent(self.request)

    def ready(self, events):
        try:
            if events & selectors.EVENT_WRITE and self.unsent:
                self.unsent = self.unsent[self.socket.send(self.unsent):]
                if not self.unsent:
                    self.load.selector.modify(self.socket, selectors.EVENT_READ, self)
            if events & selectors.EVENT_READ:
                self.read()
        except BlockingIOError:
            pass
        except OSError:
            self.broken()

    def read(self):
        data = self.socket.recv(65536)
        if not data:
            return self.broken()
        self.received += data
        end = self.received.find(b"\r\n\r\n")
        if end < 0:
            return None
        length = LENGTH.search(self.received, 0, end)
        whole = end + 4 + (int(length.group(1)) if length else 0)
        if len(self.received) < whole:
            return None
        self.load.answered(self.request, int(self.received[9:12]), self.received[end + 4:whole])
        self.request = None
        if self.load.ended:
            return None
        if self.load.has_enough():
            return self.broken()
        self.request = next(self.requests)
        self._begin()
        try:
            self.unsent = self.unsent[self.socket.send(self.unsent):]
        except BlockingIOError:
            pass
        if self.unsent:
            self.load.selector.modify(self.socket, selectors.EVENT_READ | selectors.EVENT_WRITE, self)
        return None

    def broken(self):
        """What was asked on it was perhaps taken: it is not asked again here."""
        self.load.selector.unregister(self.socket)
        self.socket.close()
        if self.request:
            self.load.unanswered.append(self.request)
        self.socket, self.request, self.not_before = None, None, time.monotonic() + RETRY_SECONDS


class Load:
    """`sent` and `acknowledged` are by name; `unanswered` are requests of which nobody knows."""

    def __init__(self, process, streams, most):
        self.process, self.most, self.ended = process, most, False
        self.sent_requests, self.acknowledged, self.unanswered, self.unexpected, self.statuses = {}, {}, [], [], {}
        self.selector = selectors.DefaultSelector()
        self.pid = os.pidfd_open(process.pid)
        self.selector.register(self.pid, selectors.EVENT_READ, None)
        self.connections = [Connection(self, stream) for stream in streams]

    def has_enough(self):
        return len(self.acknowledged) >= self.most

    def sent(self, request):
        self.sent_requests[request.name] = request

    def answered(self, request, status, body):
        self.statuses[status] = self.statuses.get(status, 0) + 1
        if status == 200:
            self.acknowledged[request.name] = body
            if request.first_answer is not None and body != request.first_answer:
                self.unexpected.append(f"{request.name} sent again: {body}, at first {request.first_answer}")
        elif status not in (202, 503):
            self.unexpected.append(f"{request.name}: {status} {body}")

    def run(self, seconds, acknowledged=math.inf):
        """So long, or until so many were acknowledged. True when the daemon is gone before that. Goes on waiting when there was enough."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0 and len(self.acknowledged) < acknowledged:
            for connection in self.connections:
                connection.step()
            for key, events in self.selector.select(min(left, RETRY_SECONDS)):
                if key.data is None:
                    return True
                key.data.ready(events)
        return False

    def finish(self):
        """The daemon is gone: what it said last."""
        self.ended = True
        self.process.wait()
        time.sleep(LAST_FRAMES_SECONDS)
        for connection in self.connections:
            if connection.socket:
                try:
                    connection.read()
                except OSError:
                    pass
                if connection.socket:
                    connection.broken()
        os.close(self.pid)
        self.selector.close()
