"""Lets a container reach a server on 127.0.0.1: forwards connections from another address of this machine."""

import contextlib
import shutil
import socket
import socketserver
import threading

import say


@contextlib.contextmanager
def open_at(host, target):
    """Forwards connections to `target`, a (host, port), while the context lasts. Gives the port to use."""
    try:
        server = Relay((host, 0), PassOn)
    except OSError as error:
        raise say.Failure(
            f"{host}, by which containers reach this machine, cannot be listened on ({error.strerror}): the container "
            "engine runs rootless or in a virtual machine; use one that runs as root on this machine"
        ) from None
    server.target = target
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


class Relay(socketserver.ThreadingTCPServer):
    daemon_threads = True
    # Do not wait for a connection that a stopped container left open.
    block_on_close = False


class PassOn(socketserver.BaseRequestHandler):
    def handle(self):
        with socket.create_connection(self.server.target) as onward:
            back = threading.Thread(target=pour, args=(onward, self.request), daemon=True)
            back.start()
            pour(self.request, onward)
            back.join()


def pour(source, sink):
    """Copies until the source ends, then ends the sink."""
    with contextlib.suppress(OSError):
        with source.makefile("rb", buffering=0) as reader, sink.makefile("wb", buffering=0) as writer:
            shutil.copyfileobj(reader, writer)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
