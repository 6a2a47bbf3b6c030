"""A training that is watched: the same bits, events that miss nothing, and a pause that hears Ctrl-C."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import threading
import time
from contextlib import contextmanager, suppress

import numpy as np
import pytest

import scratchnet as sn
from scratchnet.page.live import EndedError, Feed, Live
from scratchnet.page.observe import Observer, packed
from scratchnet.page.snapshots import Snapshots, read_snapshots, steps_to_keep
from tests.page.serving import BYTES, ask, request, send, served, small_model

pytest.importorskip("uvicorn")
pytest.importorskip("starlette")

from scratchnet.page.server_training import training_routes

JSON = "application/json"


def network(engine="numpy"):
    """Convolution, BatchNorm, Dropout: layers that know training from evaluation."""
    layers = [
        sn.Rescale(), sn.Conv2D(4, 3), sn.BatchNorm(), sn.ReLU(), sn.MaxPool2D(2), sn.Flatten(), sn.Dropout(0.3),
        sn.Dense(8), sn.ReLU(), sn.Dense(4),
    ]  # fmt: skip
    return sn.Sequential(layers, (10, 10, 1), engine=engine, seed=2)


def fit(model, stripes, *callbacks, epochs=3, optimizer=None, **more):
    x, y = stripes
    options = {"batch_size": 8, "verbose": False, "validation_data": (x[60:], y[60:]), **more}
    return model.fit(
        x[:60], y[:60], epochs=epochs, optimizer=optimizer or sn.Adam(0.01), callbacks=callbacks, **options
    )


def bits(model):
    return {name: a.tobytes() for name, a in {**model.parameters(), **model.state()}.items()}


def live_of(stripes, **more):
    return Live(Observer(stripes[0][60:], stripes[1][60:]), **more)


def kinds(live):
    return [kind for _, kind, _ in live.feed.since(0)]


def told(live, kind):
    return [json.loads(text) for _, found, text in live.feed.since(0) if found == kind]


def do(server, what, value=None):
    body = json.dumps({"do": what, **({} if value is None else {"value": value})}).encode()
    return ask(server, "POST", "/training/control", body, content_type=JSON).status


@contextmanager
def training(model, stripes, live, **more):
    """The training in a thread, with the page's server beside it."""
    with served(model=small_model(), routes=lambda site: training_routes(site, live)) as server:
        thread = threading.Thread(target=fit, args=(model, stripes, live), kwargs=more, daemon=True)
        thread.start()
        yield server, thread
        with suppress(EndedError):
            live.ask("resume")
        thread.join(30)
        assert not thread.is_alive()


def wait_for(condition, seconds=10.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


@pytest.mark.parametrize("watched", ["snapshots", "live", "looked at in every step", "a page that reads and asks"])
def test_watching_changes_no_bit(stripes, tmp_path, watched, engine):
    alone = network(engine)
    fit(alone, stripes)
    model, live = network(engine), live_of(stripes)
    if watched == "snapshots":
        fit(model, stripes, Snapshots(tmp_path / "snapshots.json"))
    elif watched == "live":
        fit(model, stripes, live)
    elif watched == "looked at in every step":
        live.paused = False
        snapshots = sn.LambdaCallback(on_batch_end=lambda run, logs: live.snapshot(run, None))
        fit(model, stripes, live, snapshots)
        assert len(told(live, "snapshot")) > 24
    else:
        with training(model, stripes, live) as (server, _):
            assert do(server, "pause") == 204
            for _ in range(3):
                assert do(server, "step") == 204 and ask(server).status == 200
            assert live.weights().keys() == {**model.parameters(), **model.state()}.keys()
            do(server, "resume")
    assert bits(model) == bits(alone)


def test_what_is_told_is_what_happened(stripes):
    model, live = network(), live_of(stripes)
    history = fit(model, stripes, live)
    assert kinds(live)[:2] == ["begin", "snapshot"] and kinds(live)[-2:] == ["snapshot", "end"]
    (begin,) = told(live, "begin")
    assert (begin["epochs"], begin["batchesPerEpoch"], begin["watched"]["shape"]) == (3, 8, [10, 10, 1])
    epochs = told(live, "epoch")
    assert [logs["val_accuracy"] for logs in epochs] == history["val_accuracy"]
    last = told(live, "snapshot")[-1]
    x, y = stripes[0][60:], stripes[1][60:]
    predicted = model.predict(x).argmax(axis=1)
    assert last["accuracy"] == (predicted == y).mean() and np.sum(last["confusion"]) == 20
    for true, guess in zip(y, predicted, strict=True):
        assert last["confusion"][true][guess] > 0
    np.testing.assert_allclose(last["probabilities"], model.predict(x[:1])[0], atol=1e-4)
    assert told(live, "end") == [{"step": 24, "interrupted": False}] and told(live, "step")[-1]["step"] == 24


def unpack(part):
    """The numbers that `packed` put into 8 bits."""
    levels = np.frombuffer(base64.b64decode(part["levels"]), np.int8)
    return part["scale"] * levels.reshape(part["shape"]) / 127


def test_maps_filters_and_dead_units_are_those_of_the_network(stripes):
    model = network()
    model.layers[1].b = np.array([0, 0, -1e3, 0])  # this filter never fires
    observer = Observer(*stripes)
    seen = observer.snapshot(model)
    np.testing.assert_allclose(unpack(seen["filters"]), model.layers[1].W, atol=seen["filters"]["scale"] / 250)
    assert [part["name"] for part in seen["maps"]] == ["3.relu", "4.maxpool2d"]
    y = stripes[0][:1, ..., None]
    for layer in model.layers[:4]:
        y, _ = layer.forward(y, sn.layers.base.Context())
    np.testing.assert_allclose(unpack(seen["maps"][0]), y[0], atol=seen["maps"][0]["scale"] / 250)
    assert seen["dead"]["3.relu"] == 0.25 and set(seen["dead"]) == {"3.relu", "8.relu"}


def test_numbers_that_are_not_finite_can_be_told():
    feed = Feed()
    feed.publish("step", {"loss": float("nan"), "lr": float("inf")})
    assert feed.since(0) == [(1, "step", '{"loss": null, "lr": null}')]
    assert packed(np.array([np.nan, np.inf, 0.0]))["scale"] == 0.0


def test_a_feed_keeps_the_newest_and_many_threads_may_use_it():
    feed = Feed()
    threads = [threading.Thread(target=lambda: [feed.publish("step", {}) for _ in range(1000)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    seen = 0
    while any(thread.is_alive() for thread in threads):
        numbers = [number for number, _, _ in feed.since(seen)]
        assert numbers == sorted(set(numbers))
        seen = numbers[-1] if numbers else seen
    assert [number for number, _, _ in feed.since(0)] == list(range(2001, 4001))


# steering


def test_pause_single_steps_and_resume(stripes):
    model, live = network(), live_of(stripes)
    live.paused = True  # before the first batch is over
    with training(model, stripes, live) as (server, thread):
        wait_for(lambda: told(live, "step"))
        assert told(live, "step")[-1]["step"] == 1 and thread.is_alive()
        for step in (2, 3, 4):
            assert do(server, "step") == 204
            wait_for(lambda step=step: told(live, "step")[-1]["step"] == step)
        time.sleep(0.3)
        assert told(live, "step")[-1]["step"] == 4 and told(live, "snapshot")[-1]["step"] == 4
        assert do(server, "resume") == 204
        wait_for(lambda: live.ended)


def test_the_learning_rate_can_be_changed_and_that_is_noted(stripes):
    noted, optimizer = [], sn.SGD(0.1)
    model, live = network(), live_of(stripes, note=lambda changes: noted.append(list(changes)))
    live.paused = True
    with training(model, stripes, live, optimizer=optimizer) as (server, _):
        wait_for(lambda: told(live, "step"))
        assert do(server, "scale", 0.25) == 204
        wait_for(lambda: noted)
        assert do(server, "step") == 204
        wait_for(lambda: told(live, "step")[-1]["step"] == 2)
    assert optimizer.lr_scale == 0.25 and noted == [[{"step": 1, "lr_scale": 0.25}]]
    assert told(live, "step")[-1]["lr"] == 0.025


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b"{}", b'{"do": "dance"}', b'{"do": "scale"}', b'{"do": "scale", "value": 0}',
     b'{"do": "scale", "value": -1}', b'{"do": "scale", "value": NaN}', b'{"do": "scale", "value": 1e999}',
     b'{"do": "scale", "value": "2"}', b'{"do": "scale", "value": true}', b'{"do": "scale", "value": 1001}',
     b'{"do": "watch", "value": [1]}', b'{"do": {}}', b"[" * 256, b"9" * 256, b'{"do": "\xff"}', b"\x00"],
)  # fmt: skip
def test_what_is_no_order_is_refused(stripes, body):
    live = live_of(stripes)
    with served(routes=lambda site: training_routes(site, live)) as server:
        assert ask(server, "POST", "/training/control", body, content_type=JSON).status == 400
        assert ask(server, "POST", "/training/control", b" " * 257, content_type=JSON).status == 413
        assert ask(server, "POST", "/training/control", b'{"do": "pause"}', content_type="text/plain").status == 415
        assert ask(server, "POST", "/training/watch", b"abc", content_type=BYTES).status == 400
    assert live.asked.empty()


def test_another_image_can_be_watched(stripes, rng):
    model, live = network(), live_of(stripes)
    live.paused = True
    drawn = rng.integers(0, 256, (10, 10, 1)).astype(np.uint8)
    with training(model, stripes, live) as (server, _):
        wait_for(lambda: told(live, "snapshot"))
        assert ask(server, "POST", "/training/watch", drawn.tobytes(), content_type=BYTES).status == 204
        wait_for(lambda: any(state["watched"] for state in told(live, "state")))
        p = told(live, "snapshot")[-1]["probabilities"]
        np.testing.assert_allclose(p, model.predict(drawn[None])[0], atol=1e-4)


def test_ctrl_c_ends_a_paused_training_at_once(stripes):
    model, live, sent = network(), live_of(stripes), []
    live.paused = True

    def press():
        wait_for(lambda: told(live, "step"))
        time.sleep(0.2)
        sent.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=press, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        fit(model, stripes, live)
    assert time.monotonic() - sent[0] < 1
    assert told(live, "end") == [{"step": 1, "interrupted": True}]


def test_after_the_end_orders_are_refused(stripes):
    live = live_of(stripes)
    fit(network(), stripes, live, epochs=1)
    with served(routes=lambda site: training_routes(site, live)) as server:
        assert do(server, "pause") == 409
        assert ask(server, "POST", "/training/watch", bytes(100), content_type=BYTES).status == 409


def test_outside_of_a_training_no_signal_is_waiting(stripes):
    asked = []
    fit(network(), stripes, sn.LambdaCallback(on_train_begin=lambda run: asked.append(run.interrupted())))
    assert asked == [False]


def test_copies_of_the_weights_are_of_one_moment(stripes):
    model, live = network(), live_of(stripes)
    live.paused = True
    with training(model, stripes, live):
        wait_for(lambda: told(live, "step"))
        arrays = live.weights()
        assert {name: a.tobytes() for name, a in arrays.items()} == bits(model)
        assert not any(np.shares_memory(arrays[name], array) for name, array in model.parameters().items())
    assert live.weights() is None  # nothing is trained any more


# the stream


async def read_events(port, seconds, last=None):
    """The events of one stream within some seconds: [(id, kind, data)]; and whether the server closed it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request("GET", "/training", port, **({"last_event_id": str(last)} if last else {})))
    text, closed = b"", False
    try:
        async with asyncio.timeout(seconds):
            while part := await reader.read(65536):
                text += part
            closed = True
    except TimeoutError:
        pass
    writer.close()
    found, event = [], {}
    for line in text.decode().splitlines():
        name, _, value = line.partition(": ")
        if name in ("id", "event", "data"):
            event[name] = value
        if name == "data":
            found.append((int(event["id"]), event["event"], json.loads(event["data"])))
    return found, closed, text


def test_a_stream_tells_everything_and_goes_on_where_it_was_lost(stripes):
    live = live_of(stripes)
    fit(network(), stripes, live)
    with served(routes=lambda site: training_routes(site, live)) as server:
        found, closed, text = asyncio.run(read_events(server.door.port, 0.5))
        later, _, _ = asyncio.run(read_events(server.door.port, 0.5, last=found[2][0]))
        strange, _, _ = asyncio.run(read_events(server.door.port, 0.5, last="9" * 400))
    assert b"content-type: text/event-stream" in text and not closed
    assert [number for number, _, _ in found] == [number for number, _, _ in live.feed.since(0)]
    assert later == found[3:] and strange == found


def test_of_one_client_four_streams_are_open_so_that_a_browser_has_connections_left(stripes):
    live = live_of(stripes)
    fit(network(), stripes, live)

    async def six(server):
        streams = []
        for _ in range(6):
            streams.append(asyncio.ensure_future(read_events(server.door.port, 3)))
            await asyncio.sleep(0.2)
        await asyncio.sleep(0.5)
        done = [stream.done() for stream in streams]
        return done, await asyncio.gather(*streams)

    with served(routes=lambda site: training_routes(site, live)) as server:
        done, found = asyncio.run(six(server))
    assert done == [True, True, False, False, False, False]
    assert [len(events) for events, _, _ in found] == [len(live.feed.since(0))] * 6  # the oldest had told everything


def test_streams_of_ten_pages_end_with_the_server(stripes):
    live = live_of(stripes)
    fit(network(), stripes, live)

    async def watch_and_stop(server):
        streams = [asyncio.ensure_future(read_events(server.door.port, 10)) for _ in range(10)]
        await asyncio.sleep(0.5)
        start = time.monotonic()
        await asyncio.to_thread(server.stop)
        found = await asyncio.gather(*streams)
        return time.monotonic() - start, found

    with served(routes=lambda site: training_routes(site, live)) as server:
        seconds, found = asyncio.run(watch_and_stop(server))
    assert seconds < 3 and all(closed and events for events, closed, _ in found)


# what is kept in the folder


def test_steps_are_spaced_by_ratio():
    assert steps_to_keep(1) == [0, 1] and steps_to_keep(0) == [0, 1]
    kept = steps_to_keep(2150)
    assert kept[:4] == [0, 1, 2, 3] and kept[-1] == 2150 and len(kept) <= 24
    assert max(np.diff(kept)) == kept[-1] - kept[-2]


def test_snapshots_are_small_and_a_resumed_run_continues_them(stripes, tmp_path):
    path, folder = tmp_path / "snapshots.json", tmp_path / "checkpoint.safetensors"
    fit(network(), stripes, Snapshots(path), sn.Checkpoint(folder), epochs=6)
    whole = read_snapshots(path)
    assert [snapshot["step"] for snapshot in whole["snapshots"]] == steps_to_keep(48)
    assert path.stat().st_size < 24 * 20_000

    path.unlink(), folder.unlink()
    fails = sn.LambdaCallback(on_batch_end=lambda run, logs: 1 / (run.optimizer.steps < 19))
    with pytest.raises(ZeroDivisionError):
        fit(network(), stripes, Snapshots(path), sn.Checkpoint(folder), fails, epochs=6)
    assert [snapshot["step"] for snapshot in read_snapshots(path)["snapshots"]] == [
        k for k in steps_to_keep(48) if k <= 16
    ]
    fit(network(), stripes, Snapshots(path), epochs=6, resume=folder)
    assert read_snapshots(path) == whole


DAMAGED = [
    b"", b"{}", b"[]", b'{"format": 2, "snapshots": []}', b'{"format": 1}', b"[" * 9999, b"\xff",
    b'{"format": 1, "snapshots": [{}]}',
]  # fmt: skip


@pytest.mark.parametrize("content", DAMAGED)
def test_a_damaged_file_of_snapshots_is_no_file(tmp_path, content):
    path = tmp_path / "snapshots.json"
    assert read_snapshots(path) is None
    path.write_bytes(content)
    assert read_snapshots(path) is None


def test_a_disk_that_is_full_costs_a_warning_and_no_training(stripes, tmp_path):
    with pytest.warns(UserWarning, match=r"could not be written.*Training continues"):
        fit(network(), stripes, Snapshots(tmp_path / "nowhere" / "snapshots.json"), epochs=1)


def test_without_held_out_images_nothing_is_kept(stripes, tmp_path):
    fit(network(), stripes, Snapshots(tmp_path / "snapshots.json"), validation_data=None)
    assert not list(tmp_path.iterdir())


def test_a_page_that_leaves_does_not_disturb_the_training(stripes):
    model, live = network(), live_of(stripes)
    live.paused = True
    with training(model, stripes, live) as (server, _):
        assert send(server, request("GET", "/training", server.door.port), timeout=5).status == 200
        live.ask("resume")
        wait_for(lambda: live.ended)
        wait_for(lambda: not server.uvicorn.server_state.tasks)
