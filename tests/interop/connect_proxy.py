"""An HTTP proxy that does CONNECT (RFC 9110 section 9.3.6) and nothing else, and remembers what it was asked for."""

import socket
import threading


class ConnectProxy:
    def __init__(self, authorization=None, refuse=()):
        self.authorization, self.refuse = authorization, set(refuse)
        self.asked, self.refused = [], []
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        try:
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                octet = client.recv(1)
                if not octet:
                    return
                head += octet
            line, *fields = head.decode().split("\r\n")
            verb, target, _ = line.split(" ")
            if self.authorization and f"Proxy-Authorization: {self.authorization}" not in fields:
                client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
                return
            if verb != "CONNECT" or target in self.refuse:
                self.refused.append(target)
                client.sendall(b"HTTP/1.1 403 Forbidden\r\n\r\n")
                return
            self.asked.append(target)
            host, port = target.rsplit(":", 1)
            server = socket.create_connection((host.strip("[]"), int(port)), 20)
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=self.copy, args=(server, client), daemon=True)
            back.start()
            self.copy(client, server)
            back.join()
            server.close()
        except OSError:
            pass
        finally:
            client.close()

    @staticmethod
    def copy(source, target):
        try:
            while octets := source.recv(65536):
                target.sendall(octets)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self):
        self.socket.close()
