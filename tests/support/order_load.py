"""Webhooks with numbers, from several connections at once."""
import http.client
import json
import threading
import time

from appliance_process import expect_true


class Load:
    """Until it is stopped; how they were answered, and which as durable."""

    def __init__(self, numbers, key="n", pause=0.0, fill="", senders=4):
        self.numbers, self.key, self.pause, self.fill = numbers, key, pause, fill
        self.ended, self.statuses, self.acknowledged = threading.Event(), {}, set()
        self.threads = [threading.Thread(target=self.send, daemon=True) for _ in range(senders)]
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
                    self.statuses[answer.status] = self.statuses.get(answer.status, 0) + 1
                    if answer.status == 503:
                        expect_true("503 says when to come back", answer.getheader("Retry-After"))
                        time.sleep(0.05)
                    elif answer.status == 200:
                        self.acknowledged.add(number)
                    time.sleep(self.pause)
            except (OSError, http.client.HTTPException):
                time.sleep(0.02)

    def stop(self):
        self.ended.set()
        for thread in self.threads:
            thread.join()
        return self.acknowledged
