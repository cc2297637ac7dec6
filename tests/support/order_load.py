"""Webhooks with numbers, from several connections at once."""
import http.client
import json
import threading
import time

SENDERS = 4


class Load:
    """Until it is stopped; which were answered as durable."""

    def __init__(self, numbers, key="n", pause=0.0, fill=""):
        self.numbers, self.key, self.pause, self.fill = numbers, key, pause, fill
        self.ended, self.acknowledged = threading.Event(), set()
        self.threads = [threading.Thread(target=self.send, daemon=True) for _ in range(SENDERS)]
        for thread in self.threads:
            thread.start()

    def send(self):
        while not self.ended.is_set():
            try:
                connection = http.client.HTTPConnection("10.86.0.2", 8080, timeout=5)
                while not self.ended.is_set():
                    number = next(self.numbers)
                    connection.request("POST", "/webhook/orders", json.dumps({self.key: number, "fill": self.fill}), {"Content-Type": "application/json"})
                    answer = connection.getresponse()
                    answer.read()
                    if answer.status == 200:
                        self.acknowledged.add(number)
                    time.sleep(self.pause)
            except (OSError, http.client.HTTPException):
                time.sleep(0.02)

    def stop(self):
        self.ended.set()
        for thread in self.threads:
            thread.join()
        return self.acknowledged
