# A client of gRPC: each kind of call, with a good token and with one that is refused.

import json
import sys

import grpc


def say(what):
    print(json.dumps(what), flush=True)


say({"ready": True})
settings = json.loads(sys.stdin.readline())
with open(settings["authority"], "rb") as file:
    credentials = grpc.ssl_channel_credentials(file.read())
channel = grpc.secure_channel(settings["gateway"], credentials)
good = (("authorization", "Bearer " + settings["good"]),)
bad = (("authorization", "Bearer nonsense"),)


def refusal(call, *arguments, **options):
    try:
        call(*arguments, timeout=20, **options)
    except grpc.RpcError as error:
        return [error.code().name, error.details()]
    return ["OK", ""]


echo = channel.unary_unary("/notes.Notes/Echo")
answer, call = echo.with_call(b"hello", metadata=good, timeout=20)
seen, _, said = answer.partition(b"\n")
fail = channel.unary_unary("/notes.Notes/Fail")
say({"result": {
    "seen": seen.decode(),
    "said": said.decode(),
    "trailers": [value for name, value in call.trailing_metadata() if name == "x-trailer"],
    "counted": sum(1 for _ in channel.unary_stream("/notes.Notes/Count")(b"1000", metadata=good, timeout=20)),
    "total": channel.stream_unary("/notes.Notes/Total")((b"a" * 10_000 for _ in range(100)), metadata=good, timeout=20).decode(),
    "failed": refusal(fail, b"", metadata=good),
    "refused": refusal(echo, b"", metadata=bad),
    "missing": refusal(echo, b""),
    "elsewhere": refusal(channel.unary_unary("/other.Notes/Echo"), b"", metadata=good),
}})
