#!/usr/bin/env python3
"""A client in another language, written from Docs/PROTOCOL.md and Docs/COMMANDS.md alone.

It shows that the two pages are enough: hello, a request that is sent twice and happens once, reads, a watch, sessions, a lock that
passes from one to the other, a guarded write, and a frame whose checksum is wrong. `foreign-client.py HOST:PORT`; exit code 0 if all of it went as the pages say.
"""

import os
import socket
import struct
import sys

TABLE = []
for number in range(256):
    for _ in range(8):
        number = number >> 1 ^ (0x82F63B78 if number & 1 else 0)
    TABLE.append(number)


def crc(data):
    value = 0xFFFFFFFF
    for byte in data:
        value = TABLE[(value ^ byte) & 0xFF] ^ value >> 8
    return value ^ 0xFFFFFFFF


def short(data):
    return struct.pack("<H", len(data)) + data


def long(data):
    return struct.pack("<I", len(data)) + data


class Connection:
    REQUEST, QUERY, REPLY, WATCH, EVENT = 1, 2, 3, 5, 7

    def __init__(self, address):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=10)
        self.asked = 0
        hello = bytes.fromhex("89524f4f53540d0a") + struct.pack("<HHB3xQQQ", 1, 1, 1, 0, 0, 0)
        self.socket.sendall(hello + struct.pack("<I", crc(hello)))
        answer = self.take(52)
        assert crc(answer[:48]) == struct.unpack("<I", answer[48:])[0], "the checksum of the hello"
        version, verdict = struct.unpack_from("<HB", answer, 8)
        assert (version, verdict) == (1, 0), "accepted"
        self.time = struct.unpack_from("<Q", answer, 40)[0]

    def take(self, count):
        data = b""
        while len(data) < count:
            piece = self.socket.recv(count - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data

    def send(self, kind, body, damage=0):
        self.asked += 1
        rest = struct.pack("<IBBHQ", len(body), kind, 0, 0, self.asked) + body
        self.socket.sendall(struct.pack("<I", crc(rest) ^ damage) + rest)
        return self.asked

    def frame(self):
        head = self.take(20)
        checksum, length, kind, _, _, correlation = struct.unpack("<IIBBHQ", head)
        body = self.take(length)
        assert checksum == crc(head[4:] + body), "the checksum of a frame"
        return kind, correlation, body

    def ask(self, kind, body):
        asked = self.send(kind, body)
        answer, correlation, reply = self.frame()
        while answer == self.EVENT:
            answer, correlation, reply = self.frame()
        assert (answer, correlation) == (self.REPLY, asked), "one question, one answer"
        return reply


def put(key, value):
    return b"\1\0" + short(key) + long(value)


def get(key):
    return b"\5" + short(key) + struct.pack("<Q", 0)


class Session:
    """Commands under a session, numbered from 1."""

    def __init__(self, address):
        self.connection = Connection(address)
        identity = struct.pack("<Q", 0) + os.urandom(16)
        identity += struct.pack("<Q", self.connection.time + 30 * 10**9)
        opened = self.connection.ask(1, identity + b"\x10" + struct.pack("<Q", 10_000) + short(b"foreign"))
        assert opened[:3] == b"\0\0\6", "a session is open"
        self.id = struct.unpack_from("<Q", opened, 3)[0]
        self.sequence = 0

    def request(self, command):
        self.sequence += 1
        return struct.pack("<QQQ", self.id, self.sequence, self.sequence) + command

    def run(self, command):
        return self.connection.ask(1, self.request(command))


def acquire(name, wait):
    return b"\x30\0" + struct.pack("<QQQH", 0, wait, 0, 1) + b"\0" + bytes(8) + short(name)


def release(name, token):
    return b"\x31" + struct.pack("<Q", token) + short(name)


def guarded(key, value, name, token):
    return b"\1\x10" + short(key) + long(value) + short(name) + struct.pack("<Q", token)


def locks(address, name):
    """One holds a lock, the other waits for it, and is told of its grant without asking."""
    first, second = Session(address), Session(address)
    state, token = struct.unpack("<BQ", first.run(acquire(name, 0))[3:])
    assert state == 1 and token > 0, "granted"
    state, ahead = struct.unpack("<BQ", second.run(acquire(name, 20_000))[3:])
    assert (state, ahead) == (0, 0), "nobody waits longer"
    waiting = second.sequence
    assert first.run(guarded(name, b"mine", name, token))[:3] == b"\0\0\1", "the token is good"
    assert first.run(release(name, token))[:3] == b"\0\0\x0a", "released"
    kind, session, event = second.connection.frame()
    assert (kind, session, event[0]) == (7, second.id, 1), "news of a lock"
    sequence, state, newer = struct.unpack("<Q3xBQ", event[1:])
    assert (sequence, state) == (waiting, 1) and newer > token, "a greater token"
    refused = struct.unpack_from("<H", first.run(guarded(name, b"late", name, token)))[0]
    assert refused == 14, "fenced"
    assert first.run(b"\x12")[:3] == second.run(b"\x12")[:3] == b"\0\0\0", "both sessions are closed"


def main(address):
    connection = Connection(address)
    key = b"foreign/" + os.urandom(6).hex().encode()

    # The same identity twice is one request: one revision, and the same reply.
    identity = struct.pack("<Q", 0) + os.urandom(16) + struct.pack("<Q", connection.time + 30 * 10**9)
    request = identity + put(key, b"one")
    first = connection.ask(Connection.REQUEST, request)
    code, kind, flags, revision, version = struct.unpack("<HBBQQ", first)
    assert (code, kind, flags, version) == (0, 1, 0, 1), "written, and new"
    assert connection.ask(Connection.REQUEST, request) == first, "a copy gets the one reply"

    # Read it, confirmed by a majority, and then from whatever this node has, which must be that new.
    value = connection.ask(Connection.QUERY, b"\0" + get(key))
    code, kind, _, present = struct.unpack_from("<HBQB", value)
    assert (code, kind, present) == (0, 3, 1), "the value is there"
    assert value[12:].startswith(short(key) + long(b"one")), "and is what was written"
    bound = struct.pack("<QQ", revision, 10 * 10**9)
    seen = connection.ask(Connection.QUERY, b"\3" + bound + get(key))
    code, kind, age = struct.unpack_from("<HBQ", seen)
    assert code == 106 or (code, kind) == (0, 13) and age < 10 * 10**9 and seen[11 + 12:] == value[12:]

    # A watch that begins in the past hears of it, and of what comes.
    end = key[:-1] + bytes([key[-1] + 1])
    watch = struct.pack("<QB", 7, 0) + short(key) + short(end) + struct.pack("<Q", revision)
    assert connection.ask(Connection.WATCH, watch)[:3] == b"\0\0\x0c", "watching"
    heard = connection.frame()
    assert heard[0] == Connection.EVENT and heard[2][0] == 16, "an event of a watch"
    assert struct.unpack_from("<IQ", heard[2], 1) == (1, 7), "for this watch"
    assert struct.unpack_from("<QBQI", heard[2], 13)[3] > 0 and short(key) + long(b"one") in heard[2]

    # Another of the same keys is told together with it; whichever way the node tells them, both hear it once.
    watch = struct.pack("<QB", 8, 0) + short(key) + short(end) + struct.pack("<Q", 0)
    assert connection.ask(Connection.WATCH, watch)[:3] == b"\0\0\x0c", "watching"
    writer = Session(address)
    assert writer.run(put(key, b"two"))[:3] == b"\0\0\1" and writer.run(b"\x12")[:3] == b"\0\0\0"
    told = []
    while len(told) < 2:
        kind, _, body = connection.frame()
        count = struct.unpack_from("<I", body, 1)[0]
        assert kind == Connection.EVENT and body[0] == 16 and short(key) + long(b"two") in body
        told += struct.unpack_from("<%dQ" % count, body, 5)
    assert sorted(told) == [7, 8], "both watches, once"

    locks(address, key)

    # A command that makes no sense is answered; a frame whose checksum is wrong ends the connection.
    code = struct.unpack_from("<H", connection.ask(Connection.QUERY, b"\0\xff"))[0]
    assert code in (1, 2), "malformed or unsupported"
    connection.send(Connection.QUERY, b"\0" + get(key), damage=1)
    try:
        connection.frame()
    except (EOFError, ConnectionResetError):
        print("revision %d" % revision)
        return
    raise AssertionError("a damaged frame was answered")


main(sys.argv[1])
