"""Debian's Chromium without a window, driven over its DevTools protocol through two pipes: no package is needed."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time

PROGRAM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
ABSENT = "Chromium is not installed (apt-get install chromium)"
FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
         "--remote-debugging-pipe", "--force-device-scale-factor=1")  # fmt: skip
DEADLINE_S = 60


class Chromium:
    """One browser with one page; use it as a context manager.

    Attributes:
        requests: addresses that the page asked for. problems: what it wrote to the console, and errors.
    """

    def __init__(self, *flags):
        self.folder = tempfile.mkdtemp(prefix="chromium")
        to_browser, self._out = os.pipe()
        self._in, from_browser = os.pipe()

        def take_pipes():
            # The browser reads from 3 and writes to 4; copies first, because a number may be in use.
            reading, writing = os.dup(to_browser), os.dup(from_browser)
            os.dup2(reading, 3)
            os.dup2(writing, 4)

        self.process = subprocess.Popen(
            [PROGRAM, *FLAGS, *flags, f"--user-data-dir={self.folder}", "about:blank"], preexec_fn=take_pipes,
            close_fds=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(to_browser)
        os.close(from_browser)
        self._buffer, self._number, self._session = b"", 0, None
        self.requests, self.problems = [], []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log", "Performance"):
            self.send(f"{domain}.enable")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        os.close(self._in)
        os.close(self._out)
        shutil.rmtree(self.folder, ignore_errors=True)

    def send(self, method, **params):
        """Ask for something and wait for the answer."""
        wanted = self._ask(method, params)
        while True:
            found = self._next()
            if found.get("id") == wanted:
                assert "error" not in found, found
                return found["result"]

    def _ask(self, method, params):
        """Send a request; returns its number."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        self._write(json.dumps(message).encode() + b"\0")
        return self._number

    def _write(self, content):
        while content:
            content = content[os.write(self._out, content) :]

    def _next(self):
        while b"\0" not in self._buffer:
            assert select.select([self._in], [], [], DEADLINE_S)[0], "Chromium does not answer"
            part = os.read(self._in, 1 << 20)
            assert part, "Chromium has ended"
            self._buffer += part
        message, _, self._buffer = self._buffer.partition(b"\0")
        found = json.loads(message)
        self._note(found.get("method"), found.get("params"))
        return found

    def _note(self, method, params):
        if method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.problems.append(str(params["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled":
            self.problems.append(str(params["args"]))
        elif method == "Page.javascriptDialogOpening":  # it holds up everything until it is closed
            self.problems.append(f"dialog: {params['message']}")
            self._ask("Page.handleJavaScriptDialog", {"accept": False})
        elif method == "Log.entryAdded":
            self.problems.append(params["entry"]["text"])

    def open(self, path, until="document.documentElement.dataset.ready === 'yes'"):
        """Open a file and wait until an expression holds; returns the seconds that it took."""
        self.requests.clear()
        self.problems.clear()
        start = time.perf_counter()
        self.send("Page.navigate", url=str(path) if ":" in str(path) else f"file://{path}")
        self.wait(until)
        return time.perf_counter() - start

    def wait(self, expression):
        """Wait until an expression holds in the page."""
        end = time.monotonic() + DEADLINE_S
        while not self.run(f"document.readyState === 'complete' && ({expression})"):
            assert time.monotonic() < end, f"never: {expression}; {self.problems}"
            time.sleep(0.02)

    def run(self, expression):
        """The value of an expression in the page; a promise is waited for."""
        found = self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def press(self, key, text=None):
        """One key, as a reader presses it."""
        pressed = {"key": key, "text": text or (key if len(key) == 1 else "")}
        codes = {"Escape": 27, "Enter": 13, "Tab": 9}
        if key in codes:
            pressed |= {"windowsVirtualKeyCode": codes[key], "code": key, "text": "\r" if key == "Enter" else ""}
        self.send("Input.dispatchKeyEvent", type="keyDown", **pressed)
        self.send("Input.dispatchKeyEvent", type="keyUp", **pressed)

    def look(self, width, dark=False, height=900):
        """The size of the screen, and which colours the reader prefers."""
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.send("Emulation.setEmulatedMedia", features=features)

    def photograph(self, path):
        """The whole page as PNG."""
        size = self.send("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], 16_000), "scale": 1}
        found = self.send("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        path.write_bytes(base64.b64decode(found["data"]))

    def print(self, path):
        """The page as PDF on A4."""
        found = self.send("Page.printToPDF", preferCSSPageSize=True, printBackground=False)
        path.write_bytes(base64.b64decode(found["data"]))
