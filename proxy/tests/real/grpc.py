"""gRPC by its own library on both sides: calls and streams of all kinds pass, and what is refused is read as gRPC says it."""
# needs: pip:grpcio==1.85.3
import concurrent.futures
import json
import sys
import threading
import time

# This file has the library's name.
HERE = sys.path.pop(0)
import grpc  # noqa: E402

sys.path.insert(0, HERE)
from stage import EVERYBODY, Stage, check, free_port  # noqa: E402

APPS = """
[[app]]
id = "calls"
hosts = ["calls.test"]
upstreams = [{{ url = "http://127.0.0.1:{port}", protocol = "h2" }}]

[[app]]
id = "gone"
hosts = ["gone.test"]
upstreams = [{{ url = "http://127.0.0.1:{nobody}", protocol = "h2" }}]

[[app]]
id = "hasty"
hosts = ["hasty.test"]
upstreams = [{{ url = "http://127.0.0.1:{port}", protocol = "h2" }}]
timeouts = {{ stream-idle = "1s" }}
"""
POLICIES = EVERYBODY + """
[[policy]]
id = "nobody-pays"
users = { include = ["all"] }
apps = { include = ["all"] }
grant = "block"
conditions = { request = { paths = ["/real.Calls/Pay"] } }
"""
HOSTS = ["calls.test", "gone.test", "hasty.test"]
LARGE = b"x" * (3 << 20)
cancelled = threading.Event()


def unary(request, context):
    context.send_initial_metadata((("x-first", "1"),))
    context.set_trailing_metadata((("x-last", "2"), ("x-bytes-bin", b"\0\xff")))
    return request


def told(_request, context):
    """What the call says of itself."""
    return json.dumps({"left": context.time_remaining(), **dict(context.invocation_metadata())}, default=repr).encode()


def fail(_request, context):
    context.abort(grpc.StatusCode.NOT_FOUND, "no such thing: \u00e4")


def many(request, _context):
    for number in range(int(request)):
        yield b"%d" % number


def together(requests, _context):
    return b"%d" % sum(len(request) for request in requests)


def talk(requests, _context):
    for request in requests:
        yield request.upper()


def hang(_request, context):
    context.add_callback(cancelled.set)
    while context.is_active():
        time.sleep(0.02)
    return b""


def hang_at_once(_request, context):
    yield from ()
    while context.is_active():
        time.sleep(0.02)


CALLS = {
    "Unary": grpc.unary_unary_rpc_method_handler(unary),
    "Pay": grpc.unary_unary_rpc_method_handler(unary),
    "Told": grpc.unary_unary_rpc_method_handler(told),
    "Fail": grpc.unary_unary_rpc_method_handler(fail),
    "Hang": grpc.unary_unary_rpc_method_handler(hang),
    "Many": grpc.unary_stream_rpc_method_handler(many),
    "HangAtOnce": grpc.unary_stream_rpc_method_handler(hang_at_once),
    "Together": grpc.stream_unary_rpc_method_handler(together),
    "Talk": grpc.stream_stream_rpc_method_handler(talk),
}


def serve(port):
    """A server that ends its connections after a short time, as those behind load balancers do."""
    pool = concurrent.futures.ThreadPoolExecutor(32)
    server = grpc.server(pool, options=[("grpc.max_connection_age_ms", 700), ("grpc.max_connection_age_grace_ms", 20_000)])
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("real.Calls", CALLS),))
    assert server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    return server


def status(call):
    """What a call ends with, once it was read."""
    try:
        value = call()
        if hasattr(value, "__iter__") and not isinstance(value, bytes):
            list(value)
    except grpc.RpcError as error:
        return error.code(), error.details()
    return grpc.StatusCode.OK, ""


def try_all(channel, token, way):
    metadata = (("authorization", f"Bearer {token}"), ("x-mine", "3"))
    one = channel.unary_unary("/real.Calls/Unary")
    answer, call = one.with_call(b"hello", metadata=metadata, timeout=20)
    trailing = {entry.key: entry.value for entry in call.trailing_metadata()}
    check(answer == b"hello" and ("x-first", "1") in [tuple(entry) for entry in call.initial_metadata()]
          and trailing.get("x-last") == "2" and trailing.get("x-bytes-bin") == b"\0\xff",
          f"{way}: a call is answered, with what comes before and behind")
    check(one(LARGE, metadata=metadata, timeout=30) == LARGE, f"{way}: a call of 3 MiB comes back whole")
    said = json.loads(channel.unary_unary("/real.Calls/Told")(b"", metadata=metadata, timeout=20))
    check(15 < said["left"] < 21 and said["x-mine"] == "3" and "authorization" not in said and said["x-request-id"],
          f"{way}: the app sees the deadline and what the client said, and no token: {said}")
    answers = channel.unary_stream("/real.Calls/Many")(b"2000", metadata=metadata, timeout=30)
    check([int(answer) for answer in answers] == list(range(2000)), f"{way}: 2,000 messages come in order")
    sent = channel.stream_unary("/real.Calls/Together")(iter([b"x" * 1000] * 500), metadata=metadata, timeout=30)
    check(sent == b"500000", f"{way}: 500 messages go")
    turns, received = threading.Semaphore(1), []

    def requests():
        for turn in range(100):
            turns.acquire()
            yield b"turn %d" % turn
    for answer in channel.stream_stream("/real.Calls/Talk")(requests(), metadata=metadata, timeout=30):
        received.append(answer)
        turns.release()
    check(received == [b"TURN %d" % turn for turn in range(100)], f"{way}: both sides speak in turn, 100 times")
    code, details = status(lambda: channel.unary_unary("/real.Calls/Fail")(b"", metadata=metadata, timeout=20))
    check(code == grpc.StatusCode.NOT_FOUND and details == "no such thing: \u00e4", f"{way}: the app's own failure is told")
    code, details = status(lambda: one(b"", timeout=20))
    check(code == grpc.StatusCode.UNAUTHENTICATED and "reference" in details, f"{way}: without a token it is 16: {details}")
    code, details = status(lambda: channel.unary_unary("/real.Calls/Pay")(b"", metadata=metadata, timeout=20))
    check(code == grpc.StatusCode.PERMISSION_DENIED and "[53003" in details, f"{way}: what a policy blocks is 7: {details}")
    for path, make in [("Many", channel.unary_stream), ("Talk", channel.stream_stream)]:
        argument = b"1" if path == "Many" else iter([b"1"])
        code, _ = status(lambda make=make, path=path, argument=argument: make(f"/real.Calls/{path}")(argument, timeout=20))
        check(code == grpc.StatusCode.UNAUTHENTICATED, f"{way}: a stream without a token, {path}, is 16")


def main():
    with Stage() as stage:
        port, nobody = free_port(), free_port()
        server = serve(port)
        plain = stage.portcullis(APPS.format(port=port, nobody=nobody), POLICIES, tls=HOSTS)
        token = stage.token()
        metadata = (("authorization", f"Bearer {token}"),)
        roots = grpc.ssl_channel_credentials((stage.folder / "chain.pem").read_bytes())

        def secure(host):
            return grpc.secure_channel(f"127.0.0.1:{stage.tls}", roots, [("grpc.ssl_target_name_override", host),
                                                                         ("grpc.max_receive_message_length", -1)])
        with secure("calls.test") as channel:
            try_all(channel, token, "TLS")
            call = channel.unary_unary("/real.Calls/Hang").future(b"", metadata=metadata, timeout=20)
            time.sleep(0.5)
            call.cancel()
            check(cancelled.wait(10), "a call that is given up is cancelled at the app")
            code, _ = status(lambda: channel.unary_unary("/real.Calls/Hang")(b"", metadata=metadata, timeout=0.5))
            check(code == grpc.StatusCode.DEADLINE_EXCEEDED, "a call whose deadline passes ends by it")
        options = [("grpc.default_authority", "calls.test"), ("grpc.max_receive_message_length", -1)]
        with grpc.insecure_channel(f"127.0.0.1:{plain}", options) as channel:
            try_all(channel, token, "h2c")
        with secure("gone.test") as channel:
            code, details = status(lambda: channel.unary_unary("/real.Calls/Unary")(b"", metadata=metadata, timeout=20))
            check(code == grpc.StatusCode.UNAVAILABLE and "reference" in details, f"an app that is not there is 14: {details}")
        with secure("hasty.test") as channel:
            for path, make in [("Hang", channel.unary_unary), ("HangAtOnce", channel.unary_stream)]:
                begun = time.monotonic()
                code, details = status(lambda make=make, path=path: make(f"/real.Calls/{path}")(b"", metadata=metadata, timeout=20))
                took = time.monotonic() - begun
                check(code == grpc.StatusCode.DEADLINE_EXCEEDED and took < 10,
                      f"an app that is silent for too long is 4, {path}, after {took:.1f} s: {details}")
        with secure("calls.test") as channel, concurrent.futures.ThreadPoolExecutor(16) as pool:
            one = channel.unary_unary("/real.Calls/Unary")
            end = time.monotonic() + 6
            codes = {}

            def repeat(worker):
                while time.monotonic() < end:
                    text = b"%d %f" % (worker, time.monotonic())
                    code, details = status(lambda: one(text, metadata=metadata, timeout=20))
                    codes.setdefault((code, details), []).append(1)
            list(pool.map(repeat, range(16)))
            counts = {str(code): len(all) for code, all in codes.items()}
            check(list(code for code, _ in codes) == [grpc.StatusCode.OK],
                  f"none of the calls is lost while the app ends its connections every 0.7 s: {counts}")
        with secure("calls.test") as channel, concurrent.futures.ThreadPoolExecutor(8) as pool:
            # The library says of each message that it was taken, more than once.
            def in_turn(_):
                turns, count = threading.Semaphore(1), 0

                def requests():
                    for _ in range(1250):
                        turns.acquire()
                        yield b"turn"
                for answer in channel.stream_stream("/real.Calls/Talk")(requests(), metadata=metadata, timeout=60):
                    count += answer == b"TURN"
                    turns.release()
                return count
            said = sum(pool.map(in_turn, range(8)))
            check(said == 10_000, f"10,000 short messages go there and come back in turn, on eight streams: {said}")
        server.stop(None)


main()
