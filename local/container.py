"""The container engine of `sam local invoke`. Reached as SAM reaches it, over Docker's socket."""

import http.client
import ipaddress
import json
import os
import socket
import urllib.parse

import say


class Unusable(Exception):
    """The reason why no function can run in a container here."""


class Engine:
    def __init__(self):
        address = urllib.parse.urlsplit(os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock")
        if address.scheme != "unix":
            raise Unusable(
                "DOCKER_HOST names a container engine on another machine, which cannot reach the local stack; "
                "unset it to use the one on this machine"
            )
        self.socket = address.path
        if self.ask("/_ping") is None:
            raise Unusable(f"Docker does not answer at {self.socket}")

    def ask(self, path):
        """The answer to a GET, or None if its status is not 200."""
        connection = Connection(self.socket)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            text = answer.read()
            return text if answer.status == 200 else None
        except PermissionError:
            raise Unusable(
                f"this user may not use {self.socket}; join the group docker and log in again"
            ) from None
        except OSError:
            return None
        finally:
            connection.close()

    def has(self, image):
        return self.ask(f"/images/{image}/json") is not None

    def host_address(self):
        """This machine's address for a container on the engine's network."""
        network = json.loads(self.ask("/networks/bridge") or b"{}")
        for config in network.get("IPAM", {}).get("Config") or []:
            # Before its first restart Docker names no gateway. The gateway is then the network's first address.
            return config.get("Gateway") or str(next(ipaddress.ip_network(config["Subnet"]).hosts()))
        raise say.Failure("the container engine has no network `bridge` by which a container could reach this machine")


class Connection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path):
        super().__init__("localhost", timeout=10)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)
