# A server of gRPC without messages of its own: bytes in, bytes out. It speaks HTTP/2 without TLS.

import json
import sys
from concurrent import futures

import grpc


def say(what):
    print(json.dumps(what), flush=True)


def authorization(context):
    return dict(context.invocation_metadata()).get("authorization", "")


def echo(request, context):
    context.set_trailing_metadata((("x-trailer", "behind it"),))
    return authorization(context).encode() + b"\n" + request


def count(request, context):
    for number in range(int(request)):
        yield str(number).encode()


def total(requests, context):
    return str(sum(len(request) for request in requests)).encode()


def fail(request, context):
    context.abort(grpc.StatusCode.FAILED_PRECONDITION, "not now, 100 %")


server = grpc.server(futures.ThreadPoolExecutor(max_workers=8))
server.add_generic_rpc_handlers((
    grpc.method_handlers_generic_handler("notes.Notes", {
        "Echo": grpc.unary_unary_rpc_method_handler(echo),
        "Count": grpc.unary_stream_rpc_method_handler(count),
        "Total": grpc.stream_unary_rpc_method_handler(total),
        "Fail": grpc.unary_unary_rpc_method_handler(fail),
    }),
))
say({"port": server.add_insecure_port("127.0.0.1:0")})
server.start()
sys.stdin.read()
