"""Sessions that stay open and send one message after another, while something is done to the proxy."""
import threading
import time

from client import Gone


class Load:
    """Until `stop`; every interruption is noted. `opened(number)` makes a session that is greeted."""

    def __init__(self, opened, message, clients=8, pause=0.0):
        self.opened, self.message, self.pause = opened, message, pause
        self.over, self.lock = threading.Event(), threading.Lock()
        self.accepted, self.broken = 0, []
        self.threads = [threading.Thread(target=self.session, args=(number,)) for number in range(clients)]
        for thread in self.threads:
            thread.start()

    def session(self, number):
        try:
            with self.opened(number) as client:
                while not self.over.is_set():
                    client.expect("MAIL FROM:<a@sender.test>", "250")
                    client.expect("RCPT TO:<bob@gate.test>", "250")
                    reply = client.data(self.message)
                    assert reply.code == "250", repr(reply)
                    with self.lock:
                        self.accepted += 1
                    time.sleep(self.pause)
                client.quit()
        except (Gone, AssertionError) as error:
            self.broken.append(str(error))

    def stop(self):
        self.over.set()
        for thread in self.threads:
            thread.join()
        assert not self.broken, f"{len(self.broken)} sessions were interrupted: {self.broken[:3]}"
