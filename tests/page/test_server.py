"""The server of the page: what it answers, to whom, and how many at a time (W1, W3, W5)."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import logging
import threading
import time

import numpy as np
import pytest

import scratchnet as sn

pytest.importorskip("uvicorn")
pytest.importorskip("starlette")

from scratchnet.page import server_routes
from scratchnet.page.server_gate import POLICY, Door
from scratchnet.page.server_worker import BusyError, Worker
from tests.page.serving import BYTES, Client, ask, images, predict, send, served, small_model


@pytest.fixture(scope="module")
def server():
    with served() as running:
        yield running


# W1: many at once


@pytest.mark.parametrize("threads", [1, 2])
def test_W1_a_thousand_predictions_over_a_hundred_connections_and_none_is_lost(server, rng, threads, caplog):
    sn.set_threads(threads)
    x = images(rng, 1000)
    expected = [np.asarray(server.site.model.predict(image[None])[0], float).tolist() for image in x]
    bad = [("GET", "/predict", b"", None), ("POST", "/predict", b"short", BYTES),
           ("POST", "/predict", b"x", "text/plain"), ("POST", "/nowhere", b"", BYTES)]  # fmt: skip

    async def one_client(k):
        found = []
        async with Client(server.door.port) as client:
            for i in range(10 * k, 10 * k + 10):
                found.append(await client.ask("POST", "/predict", x[i].tobytes(), content_type=BYTES))
                if i % 5 == 0:
                    method, path, body, kind = bad[(i // 5) % 4]
                    assert (await client.ask(method, path, body, content_type=kind)).status in (400, 404, 405, 415)
        return found

    async def all_clients():
        return await asyncio.gather(*(one_client(k) for k in range(100)))

    answers = [answer for found in asyncio.run(all_clients()) for answer in found]
    right = [
        answer.status == 200 and answer.json["probabilities"] == p for answer, p in zip(answers, expected, strict=True)
    ]
    busy = [answer.status == 503 and "retry-after" in answer.headers for answer in answers]
    assert len(answers) == 1000 and all(a or b for a, b in zip(right, busy, strict=True)) and sum(right) >= 320
    assert (
        not caplog.records and server.thread.is_alive() and predict(server, x[0]).json["probabilities"] == expected[0]
    )


def test_W1_a_full_queue_says_try_again_at_once(rng, monkeypatch):
    with served() as server:
        begun, go, x = threading.Event(), threading.Event(), images(rng, 1)[0]
        original = server_routes.probabilities_of

        def slow(*of):
            begun.set()
            return go.wait(20) and original(*of)

        monkeypatch.setattr(server_routes, "probabilities_of", slow)

        def ask(client):
            return asyncio.ensure_future(client.ask("POST", "/predict", x.tobytes(), content_type=BYTES))

        async def forty():
            clients = [Client(server.door.port) for _ in range(40)]
            for client in clients:
                await client.__aenter__()
            asked = [ask(clients[0])]
            while not begun.is_set():  # the worker has it: it no longer waits in the queue
                await asyncio.sleep(0.01)
            asked += map(ask, clients[1:])
            while sum(task.done() for task in asked) < 7:
                await asyncio.sleep(0.01)
            refused = [task.result().status for task in asked if task.done()]
            go.set()
            return refused, [answer.status for answer in await asyncio.gather(*asked)]

        refused, all_of_them = asyncio.run(asyncio.wait_for(forty(), 20))
    assert set(refused) == {503} and all_of_them.count(200) == 33 and all_of_them.count(503) == 7


def test_a_worker_returns_results_and_errors_and_forgets_those_who_left():
    async def main():
        worker, go, done = Worker("test", waiting=2), threading.Event(), []
        assert await worker.run(lambda: 7) == 7
        with pytest.raises(ZeroDivisionError):
            await worker.run(lambda: 1 / 0)
        first = asyncio.ensure_future(worker.run(lambda: go.wait(10)))
        await asyncio.sleep(0.05)
        leaves, stays = (asyncio.ensure_future(worker.run(lambda k=k: done.append(k))) for k in (1, 2))
        await asyncio.sleep(0)
        with pytest.raises(BusyError):
            await worker.run(lambda: 8)
        leaves.cancel()
        await asyncio.sleep(0.01)
        go.set()
        await asyncio.gather(first, stays)
        assert done == [2]
        waits = asyncio.ensure_future(worker.run(lambda: time.sleep(0.2)))
        await asyncio.sleep(0.01)
        worker.stop()
        with pytest.raises(BusyError, match="about to end"):
            await waits

    asyncio.run(main())


# W3: who may ask

PORT = 8000
OURS = ["127.0.0.1:8000", "localhost:8000", "[::1]:8000", "LOCALHOST:8000", "Localhost:8000"]
FOREIGN = [
    "", "127.0.0.1", "localhost", "[::1]", "127.0.0.1:8001", "localhost:80", "[::1]:8001", "127.0.0.1:", "localhost:",
    "evil.example", "evil.example:8000", "127.0.0.1.evil.example:8000", "localhost.evil.example:8000",
    "localhost.:8000", "127.0.0.1.:8000", "user@localhost:8000", "localhost:8000@evil.example", "127.1:8000",
    "2130706433:8000", "0x7f.0.0.1:8000", "0.0.0.0:8000", "[::]:8000", "[::ffff:127.0.0.1]:8000", "::1:8000",
    "127.0.0.2:8000", "localhost:08000", "localhost:8000:8000", "localhost: 8000", "evil.example#localhost:8000",
    "localhost:8000/", "xlocalhost:8000", "localhost\t:8000",
]  # fmt: skip
ORIGINS = {
    None: True, "http://127.0.0.1:8000": True, "HTTP://127.0.0.1:8000": True, "null": False, "": False,
    "https://127.0.0.1:8000": False, "http://localhost:8000": False, "http://127.0.0.1": False,
    "http://127.0.0.1:8001": False, "http://evil.example": False, "http://127.0.0.1:8000.evil.example": False,
    "http://user@127.0.0.1:8000": False, "file://": False, "http://[::1]:8000": False,
}  # fmt: skip


@pytest.mark.parametrize("host", OURS + FOREIGN)
def test_W3_exactly_our_own_names_are_answered(host):
    refused = Door(PORT).refusal("GET", "/", {"host": host})
    assert (refused is None) == (host in OURS) and (refused is None or refused[0] == 421)


@pytest.mark.parametrize("origin", ORIGINS)
def test_W3_exactly_our_own_origin_is_answered(origin):
    headers = {"host": "127.0.0.1:8000", **({} if origin is None else {"origin": origin})}
    refused = Door(PORT).refusal("POST", "/predict", headers)
    assert (refused is None) == ORIGINS[origin] and (refused is None or refused[0] == 403)


@pytest.mark.parametrize(
    ("method", "path", "site", "mode", "dest", "passes"),
    [
        ("GET", "/", "none", "navigate", "document", True),
        ("POST", "/predict", "same-origin", "cors", "empty", True),
        ("GET", "/", "cross-site", "navigate", "document", True),  # a link on another page
        ("GET", "/", "cross-site", "navigate", "iframe", False),
        ("POST", "/", "cross-site", "navigate", "document", False),
        ("GET", "/model.safetensors", "cross-site", "no-cors", "script", False),
        ("GET", "/model.safetensors", "cross-site", "navigate", "document", False),
        ("POST", "/predict", "same-site", "cors", "empty", False),  # another port of this machine
    ],
)
def test_W3_what_a_browser_says_about_the_asking_page_counts(method, path, site, mode, dest, passes):
    headers = {"host": "localhost:8000", "sec-fetch-site": site, "sec-fetch-mode": mode, "sec-fetch-dest": dest}
    assert (Door(PORT).refusal(method, path, headers) is None) == passes


def test_W3_the_table_holds_on_the_wire_and_no_foreign_page_may_read_an_answer(server):
    port = server.door.port
    ours = [f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]")]
    seen = [(host, ask(server, path="/health", host=host.replace("8000", str(port)))) for host in OURS + FOREIGN]
    for host, answer in seen:
        ours_or_not = host.replace("8000", str(port)).lower() in ours
        assert answer.status == 200 if ours_or_not else answer.status in (400, 421), host
    assert sum(answer.status == 200 for _, answer in seen) == len(OURS)
    assert send(server, b"GET /health HTTP/1.0\r\n\r\n").status == 421
    assert send(server, b"GET /health HTTP/1.1\r\n\r\n").status == 400
    foreign = {"origin": "http://evil.example", "access_control_request_method": "POST"}
    preflight = ask(server, "OPTIONS", "/predict", **foreign)
    assert preflight.status == 403
    seen.append(("preflight", preflight))
    assert not [name for _, answer in seen for name in answer.headers if name.startswith("access-control")]


def test_every_answer_carries_the_headers_of_security(server, rng):
    answers = [ask(server), ask(server, path="/nowhere"), ask(server, host="evil"), predict(server, images(rng, 1)[0])]
    assert [answer.status for answer in answers] == [200, 404, 421, 200]
    for answer in answers:
        assert answer.headers["content-security-policy"] == POLICY and "'unsafe" not in POLICY
        assert answer.headers["x-content-type-options"] == "nosniff" and "server" not in answer.headers
        assert answer.headers["cache-control"] == ("no-cache" if answer is answers[0] else "no-store")


def test_beyond_this_machine_a_token_is_asked_for(rng):
    with served(host="0.0.0.0") as server:
        port, token, x = server.door.port, server.door.token, images(rng, 1)[0]
        assert server.address == f"http://127.0.0.1:{port}/?token={token}" and len(token) >= 24
        assert ask(server).status == 401 and predict(server, x).status == 401
        assert ask(server, path=f"/?token={token[:-1]}").status == 401
        assert ask(server, path="/health").status == 200
        welcome = ask(server, path=f"/?token={token}")
        assert welcome.status == 303 and welcome.headers["location"] == "/"
        cookie, *rules = welcome.headers["set-cookie"].split("; ")
        assert set(rules) == {"Path=/", "HttpOnly", "SameSite=Strict"}
        assert ask(server, cookie=cookie).status == 200 and predict(server, x, cookie=cookie).status == 200
        assert predict(server, x, cookie="scratchnet=x").status == 401
        assert ask(server, cookie=cookie, host=f"192.168.0.7:{port}").status == 200
        assert ask(server, cookie=cookie, host="192.168.0.7:9999").status == 200  # a port mapped by a container
        assert ask(server, cookie=cookie, host=f"evil.example:{port}").status == 421


# the page and the model


def test_the_page_and_its_modules_come_from_memory_with_etags(server):
    page = ask(server)
    assert page.status == 200 and page.headers["content-type"] == "text/html; charset=utf-8" and b"main.js" in page.body
    module = ask(server, path="/net/tensor.js")
    assert module.headers["content-type"] == "text/javascript; charset=utf-8"
    again = ask(server, path="/net/tensor.js", if_none_match=module.headers["etag"])
    assert again.status == 304 and again.body == b""
    assert json.loads(ask(server, path="/model.json").body)["inputShape"] == [10, 10, 1]


@pytest.mark.parametrize(
    "path",
    ["/../server.py", "/..%2fserver.py", "/%2e%2e/server.py", "//etc/passwd", "/net/", "/net", "/static/main.js",
     "/main.js%00", "/main.js/", "/MAIN.JS", "/index.html/..", "/net\\tensor.js", "/__init__.py"],
)  # fmt: skip
def test_no_path_leads_to_another_file(server, path):
    assert ask(server, path=path).status == 404


def test_the_weights_are_those_of_the_model(server):
    import safetensors.numpy

    found = safetensors.numpy.load(ask(server, path="/model.safetensors").body)
    model = server.site.model
    assert found.keys() == {**model.parameters(), **model.state()}.keys()
    for name, array in model.parameters().items():
        np.testing.assert_array_equal(found[name], array)


# W5: any image


@pytest.mark.filterwarnings("ignore:the images range")
@pytest.mark.parametrize("used", ["numpy", "numba"])
def test_W5_any_image_gets_the_probabilities_of_predict_to_the_last_bit(used, rng):
    model = small_model(used)
    constants = [np.full((10, 10, 1), value, np.uint8) for value in (1, 2, 4, 8, 16, 32, 64, 128, 255)]
    single = np.zeros((10, 10, 1), np.uint8)
    single[4, 5] = 1
    x = np.stack([*constants, single, *images(rng, 1000)])
    expected = [model.predict(image[None])[0] for image in x]

    async def ask_some(part):
        async with Client(server.door.port) as client:
            return [await client.ask("POST", "/predict", image.tobytes(), content_type=BYTES) for image in part]

    async def ask_all():
        return await asyncio.gather(*map(ask_some, np.array_split(x, 20)))

    with served(model) as server:
        found = np.array([answer.json["probabilities"] for part in asyncio.run(ask_all()) for answer in part])
        assert ask(server, "POST", "/predict", bytes(100), content_type=BYTES).json == {
            "empty": True, "message": "draw something",
        }  # fmt: skip
    assert np.isfinite(found).all() and np.abs(found.sum(axis=1) - 1).max() < 1e-6
    np.testing.assert_array_equal(found.astype(np.float32), np.stack(expected))


@pytest.mark.parametrize("length", [0, 1, 99, 101, 784, 5000])
def test_an_image_of_another_size_is_refused(server, length):
    answer = ask(server, "POST", "/predict", bytes(length), content_type=BYTES)
    assert answer.status == (400 if length <= 100 else 413) and set(answer.json) == {"error"}


# pictures


def digit_picture(kind="PNG"):
    """A black one on white paper, as a file."""
    from PIL import Image

    paper = np.full((120, 90), 255, np.uint8)
    paper[20:100, 40:50] = 0
    file = io.BytesIO()
    Image.fromarray(paper).save(file, kind)
    return file.getvalue()


def test_a_picture_is_prepared_as_predict_py_does():
    model = sn.Sequential([sn.Rescale(), sn.Flatten(), sn.Dense(10)], (28, 28, 1), engine="numpy")
    with served(model) as server:
        found = ask(server, "POST", "/prepare", digit_picture(), content_type=BYTES).json
        refused = ask(server, "POST", "/prepare", b"no picture", content_type=BYTES)
    expected = sn.digits_from_image(digit_picture(), 28, 20)
    assert found["shape"] == [28, 28, 1] and base64.b64decode(found["pixels"]) == expected[0].tobytes()
    assert [step["name"] for step in found["steps"]] == ["ink", "box", "field"] and len(found["digits"]) == 1
    assert max(found["steps"][1]["shape"]) == 20
    assert refused.status == 422 and "expected an image file" in refused.json["error"]


def test_a_picture_for_another_model_is_scaled_as_a_whole():
    model = small_model(class_names=["a", "b", "c", "<img src=x onerror=alert(1)>"])
    with served(model) as server:
        found = ask(server, "POST", "/prepare", digit_picture(), content_type=BYTES).json
    assert base64.b64decode(found["pixels"]) == sn.whole_image(digit_picture(), (10, 10, 1)).tobytes()
    assert found["steps"] == []


def test_an_error_of_ours_is_one_line_on_the_console_and_says_nothing_to_the_client(capsys, caplog, rng, monkeypatch):
    with served() as server:
        monkeypatch.setattr(server_routes, "probabilities_of", lambda *of: {}["secret"])
        answer = predict(server, images(rng, 1)[0])
    assert answer.status == 500 and b"secret" not in answer.body
    assert capsys.readouterr().err == "error: POST '/predict': KeyError: 'secret'\n"
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
