"""`http-json` by configuration alone: what leaves is what the configuration says, byte for byte, and answers are read by
it. Each test ends with what the peer received."""

import hashlib
import json
import os
import subprocess
import time

import pytest

from lib.daemon import Daemon, ini
from lib.peer import Answer, HangUp, Peer
from lib.process import DRAY, clean_env
from lib.wait import wait_until
from lib.world import QUICK, QUEUE

ORDER = '{"ref": "A-1", "total": 9.990, "big": 1853726451928473601, "name": "Zo\\u00eb"}'
BASE = {"provider": "http-json", "queue": QUEUE, "token": "sesame", "create_path": "/orders", "key_pointer": "/ref",
        "id_pointer": "/id", **QUICK}


class Api:
    """A worker with the one http-json account `shop`; `account` changes BASE, None takes a key away."""

    def __init__(self, redis, base_url, account, env=None):
        self.db = redis.client
        self.config = {"redis": {"url": redis.url}, "worker": {"log_level": "debug", "log_format": "json"},
                       "admin": {"listen": "off"}, "account shop": {**BASE, "base_url": base_url, **account}}
        self.daemon = Daemon(self.config, env=env)

    def __enter__(self):
        self.daemon.__enter__()
        return self

    def __exit__(self, *rest):
        self.daemon.__exit__(*rest)

    def push(self, order=ORDER, id="job-1", **fields):
        rest = "".join(f", {json.dumps(k)}: {json.dumps(v)}" for k, v in fields.items())
        self.db.lpush(f"dray:{{{QUEUE}}}:jobs", f'{{"id": "{id}", "order": {order}{rest}}}')

    def result(self, deadline=15.0):
        raw = wait_until(lambda: self.db.rpop(f"dray:{{{QUEUE}}}:results"), deadline,
                         lambda: f"a result; the worker said:\n{self.daemon.process.tail(15)}")
        return json.loads(raw)

    def order(self, *args, **fields):
        self.push(*args, **fields)
        return self.result()


def check(account, base_url="https://h.example", env=None, tmp_path=None):
    """`dray config check` of one account: (exit code, what it said)."""
    settings = {k: v for k, v in {**BASE, "base_url": base_url, **account}.items() if v is not None}
    path = tmp_path / "dray.ini"
    path.write_text(ini({"account shop": settings}))
    run = subprocess.run([DRAY, "config", "check", "-c", str(path)], env=clean_env(env), capture_output=True, text=True)
    return run.returncode, run.stdout + run.stderr


def test_static_headers_a_query_and_the_account_in_the_path(empty_redis, peer, tmp_path):
    secret = tmp_path / "api-key"
    secret.write_text("top secret\n")
    account = {"header X-Store-Id": "12", "header_file X-Api-Key": str(secret), "header Accept": "application/vnd.api+json",
               "header X-Empty-Looking": "a; b, c: d", "create_path": "/{account}/orders?confirm=1&tag=a%20b"}
    peer.default = Answer(201, {"id": 7})
    with Api(empty_redis, peer.url + "/v2", account) as api:
        assert api.order()["order_id"] == "7"
        log = api.daemon.process.tail(1000)
    request, = peer.requests
    assert (request.method, request.target) == ("POST", "/v2/shop/orders?confirm=1&tag=a%20b")
    assert request.body == ORDER.encode()
    for name, value in {"x-store-id": "12", "x-api-key": "top secret", "accept": "application/vnd.api+json",
                        "x-empty-looking": "a; b, c: d", "content-type": "application/json",
                        "authorization": "Bearer sesame"}.items():
        assert request.headers[name] == value
    assert request.headers["user-agent"].startswith("dray/")
    assert "top secret" not in log and "sesame" not in log


def test_headers_from_the_environment(empty_redis, peer, tmp_path):
    (tmp_path / "key").write_text("k2")
    env = {"DRAY_ACCOUNT_SHOP_HEADER_X_STORE_ID": "13", "DRAY_ACCOUNT_SHOP_HEADER_FILE_X_API_KEY": str(tmp_path / "key"),
           "DRAY_ACCOUNT_SHOP_USER_AGENT": "acme-shop/3"}
    peer.default = Answer(201, {"id": 7})
    with Api(empty_redis, peer.url, {"header X-Store-Id": "12"}, env=env) as api:
        assert api.order()["status"] == "created"
    request, = peer.requests
    assert (request.headers["x-store-id"], request.headers["x-api-key"]) == ("13", "k2")
    assert request.headers["user-agent"] == "acme-shop/3"


def test_a_header_file_that_changes_is_read_again(empty_redis, peer, tmp_path):
    secret = tmp_path / "api-key"
    secret.write_text("one")
    peer.default = lambda r: Answer(201, {"id": 7}) if r.headers["x-api-key"] == "two" else Answer(401)
    with Api(empty_redis, peer.url, {"header_file X-Api-Key": str(secret), "breaker_cooldown": "200ms"}) as api:
        api.push()
        peer.wait_posts(1)
        secret.write_text("two")
        assert api.result()["status"] == "created"
    assert [r.headers["x-api-key"] for r in peer.posts][-1] == "two"


@pytest.mark.parametrize("account, header, value", [
    ({"auth_prefix": "ShippoToken"}, "authorization", "ShippoToken sesame"),
    ({"auth_prefix": "Token token="}, "authorization", "Token token=sesame"),
    ({"auth": "header", "auth_header": "X-Auth", "auth_prefix": "key"}, "x-auth", "key sesame"),
    ({"auth": "header", "auth_header": "X-Auth"}, "x-auth", "sesame"),
])
def test_what_stands_before_the_token(empty_redis, peer, account, header, value):
    peer.default = Answer(201, {"id": 7})
    with Api(empty_redis, peer.url, account) as api:
        assert api.order()["status"] == "created"
    assert peer.requests[0].headers[header] == value


def test_idempotency_is_the_key_or_its_hash(empty_redis, peer):
    peer.default = Answer(201, {"id": 7})
    with Api(empty_redis, peer.url, {"idempotency_header": "Idempotency-Key"}) as api:
        api.order()
        api.order('{"ref": "Zo\\u00eb 5%"}', id="job-2")
    assert [r.headers["idempotency-key"] for r in peer.posts] == ["A-1", "Zo%C3%AB%205%25"]


def test_idempotency_hash(empty_redis, peer):
    peer.default = Answer(201, {"id": 7})
    keys = ["x" * n for n in (1, 55, 56, 63, 64, 65, 119, 120, 200)]
    with Api(empty_redis, peer.url, {"idempotency_header": "X-Once", "idempotency_value": "hash"}) as api:
        for key in keys:
            peer.default = Answer(201, {"id": len(key)})
            api.order(json.dumps({"ref": key}), id=f"job-{len(key)}")
    assert [r.headers["x-once"] for r in peer.posts] == [hashlib.sha256(k.encode()).hexdigest()[:32] for k in keys]


def test_the_same_key_is_sent_with_each_attempt(empty_redis, peer):
    peer.script = [Answer(503), Answer(201, {"id": 7})]
    with Api(empty_redis, peer.url, {"idempotency_header": "Idempotency-Key", "retry_codes": "http:503"}) as api:
        assert api.order()["status"] == "created"
    assert [r.headers["idempotency-key"] for r in peer.posts] == ["A-1", "A-1"]


def test_a_list_of_one_keeps_the_bytes(empty_redis, peer):
    peer.default = Answer(201, [{"id": 7}])
    with Api(empty_redis, peer.url, {"wrap": "array", "id_pointer": "/0/id"}) as api:
        assert api.order()["order_id"] == "7"
        assert api.order(id="job-2")["status"] == "duplicate"
    assert [r.body for r in peer.posts] == [f"[{ORDER}]".encode()]


def test_put_to_a_path_with_the_key(empty_redis, peer):
    peer.script = [Answer(200, {"id": 7}), Answer(200, {"id": 8})]
    account = {"method": "PUT", "create_path": "/orders/{key}?by={account}"}
    with Api(empty_redis, peer.url, account) as api:
        assert api.order()["status"] == "created"
        assert api.order('{"ref": "a/b ?#\\u00eb"}', id="job-2")["status"] == "created"
        assert api.order('{"ref": ".."}', id="job-3")["error"]["reason"] == "invalid"
    assert [(r.method, r.target) for r in peer.requests] == [("PUT", "/orders/A-1?by=shop"),
                                                             ("PUT", "/orders/a%2Fb%20%3F%23%C3%AB?by=shop")]
    assert peer.requests[0].body == ORDER.encode()


def test_a_put_is_never_repeated_below_us(empty_redis):
    """libcurl sends again what a kept connection swallowed; a PUT no more than a POST."""
    with Peer([Answer(200, {"id": 1}), HangUp("after"), Answer(200, {"id": 3})]) as peer:
        with Api(empty_redis, peer.url, {"method": "PUT", "create_path": "/orders/{key}"}) as api:
            assert api.order('{"ref": "one"}', id="1")["status"] == "created"
            result = api.order('{"ref": "two"}', id="2")
            assert result["error"]["reason"] == "unknown_outcome", result
        assert [r.target for r in peer.requests] == ["/orders/one", "/orders/two"]


@pytest.mark.parametrize("answer, status, code", [
    ({"errors": [], "id": 5}, "created", None),
    ({"errors": None, "id": 5}, "created", None),
    ({"errors": False, "id": 5}, "created", None),
    ({"errors": [{"code": "E7", "text": "no such item"}]}, "rejected", "E7"),
    ({"failed": True, "code": 12}, "rejected", "12"),
    ({"failed": "yes"}, "rejected", "refused"),
    ({"errors": [{"code": "E7"}], "id": 5}, "unknown_outcome", "contradictory_answer"),
    ({"errors": [], "failed": ""}, "unknown_outcome", "no_order_id"),
])
def test_what_says_no(empty_redis, peer, answer, status, code):
    account = {"reject_pointer": "/errors, /failed", "error_code_pointer": "/errors/0/code, /code",
               "message_pointer": "/message, /errors/0/text"}
    peer.default = Answer(200, answer)
    with Api(empty_redis, peer.url, account) as api:
        result = api.order()
    assert (result["status"] if status == "created" else result["error"]["reason"]) == status, result
    if code is not None:
        assert result["error"]["code"] == code
    if code == "E7" and status == "rejected":
        assert result["error"]["message"] == "no such item"
    assert len(peer.posts) == 1


def test_a_success_value_that_is_mistyped_doubles_nothing(empty_redis, peer):
    """The API says "Created", the configuration "created": the order is there, so its key is not free."""
    peer.default = Answer(200, {"outcome": "Created", "id": 5})
    with Api(empty_redis, peer.url, {"success_pointer": "/outcome", "success_value": "created"}) as api:
        result = api.order()
        assert (result["error"]["reason"], result["error"]["code"]) == ("unknown_outcome", "contradictory_answer"), result
        assert "success_value" in result["error"]["message"]
        assert api.order(id="again")["error"]["reason"] == "unknown_outcome"
    assert len(peer.posts) == 1


def test_another_header_says_how_long_to_wait(empty_redis, peer):
    peer.script = [Answer(429, {}, {"X-Rate-Limit-Reset": "1"}), Answer(200, {"id": 7})]
    with Api(empty_redis, peer.url, {"retry_after_header": "X-Rate-Limit-Reset"}) as api:
        assert api.order()["status"] == "created"
    first, second = peer.posts
    assert 0.9 < second.at - first.at < 10


def test_that_header_may_say_a_moment_in_unix_seconds(empty_redis, peer):
    peer.default = lambda r: (Answer(429, {}, {"X-RateLimit-Reset": str(int(time.time()) + 2)}) if len(peer.posts) == 1
                              else Answer(200, {"id": 7}))
    with Api(empty_redis, peer.url, {"retry_after_header": "X-RateLimit-Reset"}) as api:
        assert api.order()["status"] == "created"
    first, second = peer.posts
    assert 0.9 < second.at - first.at < 12


def test_a_client_certificate(empty_redis, tmp_path):
    with Peer(default=Answer(200, {"id": 7}), tls=True) as peer:
        peer.tls.verify_mode = __import__("ssl").CERT_REQUIRED
        peer.tls.load_verify_locations(peer.cert)
        key = peer.cert.replace("cert.pem", "key.pem")
        account = {"ca_file": peer.cert, "client_cert": peer.cert, "client_key": key}
        with Api(empty_redis, peer.url, account) as api:
            assert api.order()["status"] == "created"
        assert len(peer.posts) == 1


def test_files_are_relative_to_the_file_that_names_them(empty_redis, peer):
    """Wherever the program was started. In the environment no file says it: the working directory counts."""
    peer.default = Answer(200, {"id": 7})
    account = {"token": None, "token_file": "secrets/token", "header_file X-Key": "./secrets/key"}
    api = Api(empty_redis, peer.url, account, env={"DRAY_ACCOUNT_SHOP_HEADER_FILE_X_OTHER": "here"})
    folder, elsewhere = os.path.join(api.daemon.dir, "secrets"), os.path.join(api.daemon.dir, "elsewhere")
    os.makedirs(folder)
    os.makedirs(elsewhere)
    for path, text in ((folder + "/token", "t1"), (folder + "/key", "k1"), (elsewhere + "/here", "h1")):
        with open(path, "w") as f:
            f.write(text)
    api.daemon.cwd = elsewhere
    with api:
        assert api.order()["status"] == "created"
    headers = peer.requests[0].headers
    assert (headers["authorization"], headers["x-key"], headers["x-other"]) == ("Bearer t1", "k1", "h1")


CONTRADICTIONS = [
    ({"idempotency_value": "hash"}, "idempotency_value needs idempotency_header"),
    ({"method": "PUT"}, "method = PUT needs {key} in create_path"),
    ({"auth_header": "X-Auth"}, "auth_header is used by auth = header only"),
    ({"auth": "basic", "key": "k", "secret": "s", "auth_prefix": "Token"}, "auth_prefix is used by"),
    ({"auth": "none"}, "auth = none sends no token"),
    ({"auth": "header"}, "auth = header needs auth_header"),
    ({"header Authorization": "x"}, "header Authorization is set by auth too"),
    ({"header idempotency-key": "x", "idempotency_header": "Idempotency-Key"}, "is set by idempotency_header too"),
    ({"header Host": "x"}, "is a header that dray sets itself"),
    ({"header X Y": "x"}, "is no header's name"),
    ({"header": "x"}, "needs a name"),
    ({"header X-A": "1", "header x-a": "2"}, "stands already"),
    ({"code_pointer": "/a", "error_code_pointer": "/b"}, "is the older name of error_code_pointer"),
    ({"success_value": "1"}, "success_value needs success_pointer"),
    ({"id_pointer": None, "reject_pointer": "/errors"}, "success_pointer or id_pointer must say"),
    ({"success_pointer": "/a", "reject_pointer": "/a"}, "is both reject_pointer and success_pointer"),
    ({"create_path": "/orders/{id}"}, "knows {key} and {account}"),
    ({"client_cert": "/dev/null"}, "client_cert and client_key go together"),
    ({"header_file X-Key": "nowhere/key"}, "No such file"),
]


@pytest.mark.parametrize("account, said", CONTRADICTIONS, ids=[c[1] for c in CONTRADICTIONS])
def test_a_contradiction_is_named(account, said, tmp_path):
    code, text = check(account, tmp_path=tmp_path)
    assert code == 2 and said in text, text
    assert "dray.ini" in text and "shop" in text


def test_show_hides_what_headers_hold(tmp_path):
    path = tmp_path / "dray.ini"
    (tmp_path / "secret").write_text("hush-2")
    path.write_text(ini({"account shop": {**BASE, "base_url": "https://h.example", "header X-Shop": "hush-1",
                                          "header_file X-Key": "secret"}}))
    for more in ([], ["--json"]):
        run = subprocess.run([DRAY, "config", "show", "-c", str(path), *more], env=clean_env(), capture_output=True,
                             text=True, cwd="/", check=True)
        assert "hush" not in run.stdout
        assert "header X-Shop" in run.stdout and "header_file X-Key" in run.stdout
