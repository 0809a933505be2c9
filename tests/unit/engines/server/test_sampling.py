"""Temperature and seed reach the server; greedy requests are as before; a server without a temperature is refused."""

from serverasks import question

from pytest_slmsec.engines.common.base import unable


def test_openai_servers_are_sent_both(serve):
    server, engine = serve()
    engine.run([question(1, temperature=0.7, seed=3), question(2, seed=3)])
    bodies = {body["messages"][-1]["content"].strip(): body for _, body in server.asked if "messages" in body}
    sampled, greedy = bodies["item 1"], bodies["item 2"]
    assert (sampled["temperature"], sampled["seed"]) == (0.7, 3)
    assert (greedy["temperature"], greedy["seed"]) == (0, 0)


def test_ollama_is_sent_both_and_no_cut_of_its_own(serve):
    server, engine = serve(name="ollama:toy")
    engine.run([question(1, temperature=0.7, seed=3)])
    options = server.asked[-1][1]["options"]
    assert {name: options[name] for name in ("temperature", "seed", "top_k", "top_p", "min_p")} == {
        "temperature": 0.7, "seed": 3, "top_k": 0, "top_p": 1.0, "min_p": 0.0,
    }  # fmt: skip


def test_a_server_that_takes_no_temperature_cannot_be_sampled(serve):
    refuses = lambda path, body, n: (400, {}, "'temperature' does not support 0") if "temperature" in body else None  # noqa: E731
    _, engine = serve(refuses)
    assert unable(engine, question(1)) is None
    assert "the server takes no temperature" in unable(engine, question(1, temperature=0.7))


def test_a_seed_that_is_refused_is_left_out(serve):
    server, engine = serve(lambda path, body, n: (400, {}, "unknown argument: seed") if "seed" in body else None)
    (output,) = engine.run([question(1, temperature=0.7, seed=3)]).outputs
    assert output.error is None
    body = server.asked[-1][1]
    assert body["temperature"] == 0.7
    assert "seed" not in body
