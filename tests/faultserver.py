"""A server on loopback that speaks OpenAI's API or Ollama's, answers in a fixed way, and goes wrong on demand.

It is no model: it shows what the engine makes of every way in which a server can fail. What real servers say is tested
against real servers.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpcore2  # noqa: F401 - httpx2 keeps its exceptions, and a run inside a test would unload what it imports first

PATIENCE_S = 30


class FaultServer:
    """Started by `with`; `url` is its address.

    Attributes:
        model: what it calls itself. faults: of (path, body, how often this body came) -> a fault, or None:
            ``status`` or (status, headers), ``hang``, ``html``, ``drop``, ``cut``, ``invalid``, ``list``; or a
            dict, which is merged into the answer; or a callable, which changes it (bytes are sent as they are).
        answer: text of an answer, of (path, body). asked: all bodies, in order. headers: of the last request.
        streams: it answers in pieces, a character each, where it is asked to.
        port: where it listens; 0: any free one. is_dead: it has died (`die`).
        most_at_once: highest number of requests that were in work together.
    """

    def __init__(self, model="toy", answer=None, fault=None, logprobs=True, counts=True, streams=False, port=0):
        self.port, self.is_dead = port, False
        self.model, self.logprobs, self.counts, self.streams = model, logprobs, counts, streams
        self.answer = answer or (lambda path, body: "Answer: A")
        self.fault = fault or (lambda path, body, n: None)
        self.asked, self.headers, self.seen = [], {}, Counter()
        self.released = threading.Event()
        self.lock, self.at_once, self.most_at_once = threading.Lock(), 0, 0

    def __enter__(self):
        handler = type("Handler", (Handler,), {"owner": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *exc):
        self.released.set()
        self.server.shutdown()
        self.server.server_close()

    def die(self):
        """Break off all connections, and take no new ones, as a killed process does."""
        self.is_dead = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.__exit__, daemon=True).start()

    def items(self):
        """The prompts of all questions, the probe's apart."""
        return [prompt for _, body in self.asked if "item" in (prompt := prompt_of(body))]


def prompt_of(body):
    """The last turn, or the raw text."""
    return body["messages"][-1]["content"] if "messages" in body else body.get("prompt", "")


def pieces_of(value, body):
    """A whole answer as the pieces of a stream, with a token's worth of text each."""
    if "choices" not in value:
        message = value.get("message", {})
        key, text = ("message", message.get("content")) if message else ("response", value["response"])
        texts = [{"message": {**message, "content": char}} if key == "message" else {key: char} for char in text]
        rest = {name: part for name, part in value.items() if name not in ("message", "response")}
        return [{"model": value["model"], **one, "done": False} for one in texts] + [rest]
    (choice,) = value["choices"]
    parts = {name: part for name, part in choice.items() if name not in ("message", "text", "finish_reason")}
    if "text" in choice:
        deltas = [{"text": char} for char in choice["text"]]
    else:
        strings = {name: part for name, part in choice["message"].items() if name != "role" and isinstance(part, str)}
        deltas = [{"delta": {"role": "assistant", "content": ""}}]
        deltas += [{"delta": {name: char}} for name, text in sorted(strings.items(), reverse=True) for char in text]
    ends = [{**parts, "finish_reason": choice["finish_reason"]}]
    pieces = [{"model": value["model"], "choices": [{"index": 0, **one}]} for one in [*deltas, *ends]]
    if (body.get("stream_options") or {}).get("include_usage") and "usage" in value:
        pieces.append({"model": value["model"], "choices": [], "usage": value["usage"]})
    return pieces


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    owner: FaultServer

    def log_message(self, *args):
        """Silent."""

    def do_GET(self):
        self.work({})

    def do_POST(self):
        self.work(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def work(self, body):
        owner = self.owner
        with owner.lock:
            owner.headers = dict(self.headers)
            owner.asked.append((self.path, body))
            key = self.path + json.dumps(body, sort_keys=True)
            owner.seen[key] += 1
            n = owner.seen[key]
            owner.at_once += 1
            owner.most_at_once = max(owner.most_at_once, owner.at_once)
        try:
            self.respond(body, owner.fault(self.path, body, n))
        finally:
            with owner.lock:
                owner.at_once -= 1

    def respond(self, body, fault):
        if fault == "hang":
            self.owner.released.wait(PATIENCE_S)
            self.close_connection = True
            return
        if fault == "drop" or self.owner.is_dead:
            self.close_connection = True
            return
        if isinstance(fault, int):
            fault = fault, {}
        if isinstance(fault, tuple):
            words = fault[2] if len(fault) > 2 else "the server is busy"
            self.send(json.dumps({"error": {"message": words}}).encode(), fault[0], fault[1])
            return
        if fault in ("html", "list", "invalid"):
            self.send({"html": b"<html>Welcome</html>", "list": b"[1]", "invalid": b'{"choices": [{'}[fault])
            return
        value = self.value(body)
        value = fault(value) if callable(fault) else {**value, **(fault if isinstance(fault, dict) else {})}
        if self.owner.streams and body.get("stream") and isinstance(value, dict):
            self.stream(pieces_of(value, body), cut=fault == "cut")
            return
        self.send(value if isinstance(value, bytes) else json.dumps(value).encode(), cut=fault == "cut")

    def stream(self, pieces, cut):
        """Send each piece by itself; cut: break off in the middle."""
        ollama = self.path.startswith("/api/")
        self.send_response(200)
        self.send_header("Content-Type", "application/x-ndjson" if ollama else "text/event-stream; charset=utf-8")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        texts = [json.dumps(piece) for piece in pieces]
        texts = [f"{text}\n" for text in texts] if ollama else [f"data: {text}\n\n" for text in [*texts, "[DONE]"]]
        for text in texts[: len(texts) // 2] if cut else texts:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(text), text.encode()))
        if not cut:
            self.wfile.write(b"0\r\n\r\n")
        self.close_connection = self.close_connection or cut

    def send(self, content, status=200, headers=None, cut=False):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        for name, text in (headers or {}).items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if cut else content)
        self.close_connection = self.close_connection or cut

    def value(self, body):
        owner, ollama = self.owner, self.path.startswith("/api/")
        if self.path.endswith("/models"):
            return {"data": [{"id": owner.model, "owned_by": "tests", "max_model_len": 4096}]}
        if self.path == "/api/tags":
            entry = {"name": owner.model, "size": 1234, "digest": "d1", "details": {"quantization_level": "Q4_K_M"}}
            return {"models": [entry]}
        if self.path == "/api/show":
            return {"model_info": {"llama.context_length": 2048}}
        text = owner.answer(self.path, body)
        turns = [turn["content"] for turn in body.get("messages", ())] or [prompt_of(body)]
        counts = {"prompt": 2 * sum(len(turn.split()) for turn in turns) + 4, "new": len(text.split())}
        return (self.ollama if ollama else self.openai)(body, text, counts)

    def openai(self, body, text, counts):
        chat = "messages" in body
        top = [{"token": token, "logprob": -0.5 - place} for place, token in enumerate(["A", " B", "C", "The"])]
        logprobs = (
            {"content": [{**top[0], "top_logprobs": top}]} if body.get("logprobs") and self.owner.logprobs else None
        )
        choice = {"index": 0, "finish_reason": "stop", "logprobs": logprobs}
        choice |= {"message": {"role": "assistant", "content": text}} if chat else {"text": text}
        value = {"model": body["model"], "choices": [choice]}
        if self.owner.counts:
            value["usage"] = {"prompt_tokens": counts["prompt"], "completion_tokens": counts["new"]}
        return value

    def ollama(self, body, text, counts):
        top = [{"token": token, "logprob": -0.5 - place} for place, token in enumerate(["A", " B", "C", "The"])]
        told = {"logprobs": [{**top[0], "top_logprobs": top}]} if body.get("logprobs") else {}
        text = {"message": {"role": "assistant", "content": text}} if "messages" in body else {"response": text}
        return {
            "model": self.owner.model, "done": True, "done_reason": "stop", **text, **told,
            "load_duration": 2_000_000_000, "prompt_eval_count": counts["prompt"], "prompt_eval_duration": 500_000_000,
            "eval_count": counts["new"], "eval_duration": 250_000_000,
        }  # fmt: skip
