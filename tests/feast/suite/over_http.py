"""A pytest plug-in that sends over HTTP what Feast's own tests ask of its feature server: to the server itself, or through Featheredge.

Feast's tests call the server's application in their own process, start `feast serve`, or use the online store of their environment. Here the
application is served on a port, `feast serve` is started on that port, and the environment's online store is the remote one, with a feature server
over SQLite behind it. `scripts/feast-suite.mjs` runs it; nothing of Feast is changed but what its tests are handed.

Set in the environment:

FEAST_PORT      the port that the feature server under test is served on
FEAST_URL       where requests are sent: that port, or a Featheredge whose origin it is
OPERATOR_TOKEN  Featheredge's, if it stands between: its caches are emptied whenever another server takes the port
REMOTE_STORE    if set, environments use the remote online store
OUTCOMES        a file: a line of JSON for each test, {"test": its node id, "outcome": "passed" | "failed" | "skipped", "reason": text,
                "requests": how many it sent to FEAST_URL}
EXCHANGES       a file: a line of JSON for each of these requests
"""

import importlib
import json
import multiprocessing
import os
import threading

import fastapi.testclient
import pytest
import requests
import starlette.testclient
import uvicorn

PORT = int(os.environ["FEAST_PORT"])
URL = os.environ["FEAST_URL"]
TOKEN = os.environ.get("OPERATOR_TOKEN")
EXCERPT_CHARACTERS = 300
READY_SECONDS = 30


def append(name, line):
    with open(os.environ[name], "a") as lines:
        lines.write(json.dumps(line) + "\n")


class Exchanges:
    """The requests to FEAST_URL, whichever client sends them."""

    count = 0

    def __init__(self):
        self.send = requests.Session.request

    def record(self):
        def request(session, method, url, **options):
            response = self.send(session, method, url, **options)
            if str(url).startswith(URL):
                self.count += 1
                exchange = {
                    "test": os.environ.get("PYTEST_CURRENT_TEST"),
                    "request": f"{method} {url}",
                    "body": str(options.get("json") or options.get("data"))[:EXCERPT_CHARACTERS],
                    "status": response.status_code,
                    "cache_status": response.headers.get("cache-status"),
                    "answer": response.text[:EXCERPT_CHARACTERS],
                }
                append("EXCHANGES", exchange)
            return response

        requests.Session.request = request

    def post_unrecorded(self, url, **options):
        self.send(requests.Session(), "POST", url, **options).raise_for_status()


exchanges = Exchanges()


def empty_caches():
    """What changes past Featheredge, its operator tells it: another server has the port, or `feast apply` has deleted tables."""
    if TOKEN:
        headers = {"authorization": f"Bearer {TOKEN}"}
        exchanges.post_unrecorded(f"{URL}/v1/invalidate", json={"everything": True}, headers=headers)


class ServedApp:
    """The application on the port: the one of the test that runs."""

    app = None
    before_request = None
    is_serving = False

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            return await self.lifespan(receive, send)
        if self.before_request:
            self.before_request()
        await self.app(scope, receive, send)

    async def lifespan(self, receive, send):
        while True:
            phase = (await receive())["type"]
            await send({"type": f"{phase}.complete"})
            if phase == "lifespan.shutdown":
                return

    def serve(self, app, before_request=None):
        self.app, self.before_request = app, before_request
        if not self.is_serving:
            self.is_serving = True
            self.listen()
        empty_caches()

    def listen(self):
        started = threading.Event()

        class Server(uvicorn.Server):
            def install_signal_handlers(self):
                """Signals are pytest's."""

            async def startup(self, sockets=None):
                await super().startup(sockets)
                started.set()

        server = Server(uvicorn.Config(self, host="127.0.0.1", port=PORT, log_level="error", access_log=False))
        threading.Thread(target=server.run, daemon=True).start()
        if not started.wait(READY_SECONDS):
            raise RuntimeError(f"nothing is served on port {PORT} after {READY_SECONDS} s")


served = ServedApp()


class HttpClient:
    """Stands in for `TestClient`."""

    __test__ = False

    def __init__(self, app, *_, **__):
        self.app = app
        self.session = requests.Session()
        self.headers = self.session.headers
        served.serve(app)

    def request(self, method, path, follow_redirects=True, content=None, **options):
        if served.app is not self.app:
            served.serve(self.app)
        if content is not None:
            options["data"] = content
        return self.session.request(method, URL + path, allow_redirects=follow_redirects, **options)

    def get(self, path, **options):
        return self.request("GET", path, **options)

    def post(self, path, **options):
        return self.request("POST", path, **options)

    def put(self, path, **options):
        return self.request("PUT", path, **options)

    def delete(self, path, **options):
        return self.request("DELETE", path, **options)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


fastapi.testclient.TestClient = HttpClient
starlette.testclient.TestClient = HttpClient

# The configuration of Feast's tests sets the method, which whatever was imported before may have set already.
set_start_method = multiprocessing.set_start_method
multiprocessing.set_start_method = lambda method, force=False: set_start_method(method, force=True)


def repo_configuration():
    for package in ("tests.universal", "tests.integration"):
        try:
            return importlib.import_module(f"{package}.feature_repos.repo_configuration")
        except ModuleNotFoundError as error:
            if not error.name.startswith(package):
                raise
    raise ModuleNotFoundError("this checkout of Feast has no repo_configuration")


def use_remote_store():
    """The environment's store asks the port, where a feature server over SQLite answers, with the same registry."""
    from feast import FeatureStore
    from feast.feature_server import get_app
    from feast.infra.online_stores.remote import RemoteOnlineStore
    from feast.infra.online_stores.sqlite import SqliteOnlineStore

    environment = repo_configuration().Environment
    set_up = environment.setup
    servers = {}

    def with_online_store(config, online_store):
        copy = config.model_copy(deep=True)
        copy._online_store = None
        copy.online_config = online_store
        return copy

    def setup(self):
        set_up(self)
        database = os.path.join(self.repo_dir_name, "online.db")
        server = FeatureStore(config=with_online_store(self.config, {"type": "sqlite", "path": database}))
        servers[self.config.project] = server
        self.config = with_online_store(self.config, {"type": "remote", "path": URL})
        self.feature_store = FeatureStore(config=self.config)
        served.serve(get_app(server), before_request=server.refresh_registry)

    # `apply` of a client makes no tables at its server, which `feast apply` does there.
    def update(_, config, *tables, **named):
        SqliteOnlineStore().update(servers[config.project].config, *tables, **named)
        empty_caches()

    def teardown(_, config, *tables, **named):
        SqliteOnlineStore().teardown(servers[config.project].config, *tables, **named)

    def write(self, config, *rows, **named):
        try:
            remote_write(self, config, *rows, **named)
        except NotImplementedError:
            # Clients before 0.50 only read, and tables are filled where the server is.
            SqliteOnlineStore().online_write_batch(servers[config.project].config, *rows, **named)
            empty_caches()

    environment.setup = setup
    remote_write = RemoteOnlineStore.online_write_batch
    RemoteOnlineStore.online_write_batch = write
    RemoteOnlineStore.update = update
    RemoteOnlineStore.teardown = teardown


class FeastServe:
    """`feast serve` on the port, started by the function of Feast's tests that starts it on any."""

    running = None

    def instead_of(self, start):
        def starts(repo_path, **_):
            self.stop()
            self.running = start(repo_path=repo_path, server_port=PORT)
            next(self.running)
            empty_caches()
            yield URL

        return starts

    def stop(self):
        if self.running is None:
            return
        # Feast's generator kills the parent alone, whose workers keep the port for a while.
        process = self.running.gi_frame.f_locals["feast_server_process"]
        process.terminate()
        process.wait()
        next(self.running, None)
        self.running = None


feast_serve = FeastServe()


def pytest_configure():
    exchanges.record()
    if "REMOTE_STORE" in os.environ:
        use_remote_store()


@pytest.hookimpl(tryfirst=True)
def pytest_generate_tests(metafunc):
    """Tests that name the stores which they are for run too: what the remote store cannot do fails without Featheredge as well."""
    for marker in metafunc.definition.own_markers:
        if marker.name == "universal_online_stores" and "REMOTE_STORE" in os.environ:
            marker.kwargs.pop("only", None)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    """TLS ends before Featheredge: the tests with it would be those without it once more."""

    def has_tls(item):
        return hasattr(item, "callspec") and item.callspec.params.get("tls_mode", ("False",))[0] == "True"

    items[:] = [item for item in items if not has_tls(item)]


def pytest_collection_finish(session):
    for module in {item.module for item in session.items}:
        for name in ("start_feature_server", "_start_feature_server"):
            if hasattr(module, name):
                setattr(module, name, feast_serve.instead_of(getattr(module, name)))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    if call.when == "setup":
        item.requests_before = exchanges.count
    report = (yield).get_result()
    # A test has an outcome when it was called, or when it could not be.
    if report.when == "call" or (report.when == "setup" and report.outcome != "passed"):
        outcome = {"test": report.nodeid, "outcome": report.outcome, "reason": str(report.longrepr or "")}
        append("OUTCOMES", {**outcome, "requests": exchanges.count - item.requests_before})


def pytest_sessionfinish():
    feast_serve.stop()
