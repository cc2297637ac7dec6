"""The API over the unix socket of an appliance that runs in this directory."""
import http.client
import json
import socket


class Control(http.client.HTTPConnection):
    """The API over the unix socket."""

    def __init__(self):
        super().__init__("tripline", timeout=60)
        self.retry_after = None

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(60)
        self.sock.connect("tripline-data/control.sock")

    def ask(self, method, path, body=None):
        self.request(method, path, None if body is None else json.dumps(body))
        answer = self.getresponse()
        self.retry_after = answer.getheader("Retry-After")
        return answer.status, json.loads(answer.read())


def ask(method, path, body=None):
    control = Control()
    try:
        return control.ask(method, path, body)
    finally:
        control.close()
