import RoostPlatform
import RoostWire
import Testing

@testable import kvbench

/// What the load sends, to the byte, beside what each system's own description says.
@Suite struct EncodingTests {
  /// A link of one slot that has never been connected, after `body` has sent on it.
  private static func sent(
    _ system: System,
    _ work: Work,
    _ more: [String] = [],
    body: (Link) throws -> Void = { _ in }
  ) throws -> [UInt8] {
    let words = ["--system", system.rawValue, "--endpoints", "127.0.0.1:1"]
    let sizes = ["--key-bytes", "8", "--value-bytes", "0"]
    let load = try Load(try LoadOptions(.put, parsing: words + sizes + more))
    load.addLinks(1, to: load.options.endpoints)
    let link = load.links[0]
    try body(link)
    load.slots[0].work = work
    load.slots[0].key = 42
    try link.send(0)
    return try link.out.withBytes { bytes throws(LoadError) in bytes.copiedBytes() }
  }

  @Test func aPutIsWhatTheWireModuleMakesOfIt() throws {
    let bytes = try Self.sent(.roost, .put) { ($0 as? RoostLink)?.session = SessionID(7) }
    let identity = RequestIdentity.session(
      SessionID(7),
      SequenceNumber(1),
      firstIncomplete: SequenceNumber(1)
    )
    let put = Put(key: Array("k0000042".utf8), value: [])
    var expected: [UInt8] = []
    expected.appendFrame(.request, correlation: 0) {
      Request(identity, .operation(.put(put))).encode(into: &$0)
    }
    #expect(bytes == expected)
  }

  @Test(arguments: [(Work.get, ReadLevel.linearizable), (.staleGet, .serializable)])
  func aGetIsWhatTheWireModuleMakesOfIt(work: Work, level: ReadLevel) throws {
    let bytes = try Self.sent(.roost, work)
    var expected: [UInt8] = []
    expected.appendFrame(.query, correlation: 0) {
      $0.append(level.rawValue)
      Query.get(Get(key: Array("k0000042".utf8))).encode(into: &$0)
    }
    #expect(bytes == expected)
  }

  @Test func aLockIsAskedForInTheSession() throws {
    let bytes = try Self.sent(.roost, .lock) { ($0 as? RoostLink)?.session = SessionID(7) }
    var input = bytes.span
    let header = try #require(try FrameHeader.next(in: &input, bodyLimit: 1 << 20))
    #expect(header.kind == .request)
    let request = try Request(decoding: &input)
    guard case .acquire(let acquire) = request.command else {
      Issue.record("\(request.command) is no acquire")
      return
    }
    #expect(acquire.wait == 0 && acquire.wants.count == 1)
  }

  @Test func redisGetsItsCommandsInRESP() throws {
    let put = try Self.sent(.redis, .put, ["--replicas", "1"])
    #expect(
      String(decoding: put, as: UTF8.self)
        == "*3\r\n$3\r\nSET\r\n$8\r\nk0000042\r\n$0\r\n\r\n"
        + "*3\r\n$4\r\nWAIT\r\n$1\r\n1\r\n$4\r\n5000\r\n"
    )
    let get = try Self.sent(.redis, .get)
    #expect(String(decoding: get, as: UTF8.self) == "*2\r\n$3\r\nGET\r\n$8\r\nk0000042\r\n")
  }

  @Test func etcdGetsHeadersAndAMessage() throws {
    let bytes = try Self.sent(.etcd, .put)
    let text = { (string: String) in [UInt8(string.utf8.count)] + Array(string.utf8) }
    // POST and http from the common table; the rest named by its place there, or spelled out, and kept.
    var block: [UInt8] = [0x83, 0x86, 0x44] + text("/etcdserverpb.KV/Put")
    block += [0x41] + text("localhost") + [0x5F] + text("application/grpc")
    block += [0x40] + text("te") + text("trailers")
    // Not compressed, 12 bytes: field 1 of 8 bytes, field 2 of none.
    let message: [UInt8] = [0, 0, 0, 0, 12, 0x0A, 8] + Array("k0000042".utf8) + [0x12, 0]
    var expected: [UInt8] = [0, 0, UInt8(block.count), 1, 4, 0, 0, 0, 1] + block
    expected += [0, 0, UInt8(message.count), 0, 1, 0, 0, 0, 1] + message
    #expect(bytes == expected)
  }

  @Test func whatAConnectionHasSaidIsANumberAfterwards() {
    var headers = HeaderBlocks()
    _ = headers.block(path: "/a")
    #expect(headers.block(path: "/a") == [0x83, 0x86, 0xC1, 0xC0, 0xBF, 0xBE])
    // Another path takes the newest place, and the older ones move up.
    #expect(headers.block(path: "/b") == [0x83, 0x86, 0x44, 2, 0x2F, 0x62, 0xC1, 0xC0, 0xBF])
    #expect(headers.block(path: "/a") == [0x83, 0x86, 0xC2, 0xC1, 0xC0, 0xBF])
  }

  @Test func theSkeletonGetsFourNumbersAndTheBytes() throws {
    let bytes = try Self.sent(.skeleton, .put)
    #expect(
      bytes == [20, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 8, 0, 0, 0] + Array("k0000042".utf8)
    )
  }

  @Test func zookeeperGetsSetDataInJute() throws {
    let bytes = try Self.sent(.zookeeper, .put)
    let path = Array("/b/k0000042".utf8)
    var expected: [UInt8] = [0, 0, 0, 31, 0, 0, 0, 1, 0, 0, 0, 5, 0, 0, 0, 11] + path
    expected += [0, 0, 0, 0, 255, 255, 255, 255]
    #expect(bytes == expected)
  }

  @Test func tarantoolGetsAReplaceInMessagePack() throws {
    let bytes = try Self.sent(.tarantool, .put)
    var expected: [UInt8] = [0xCE, 0, 0, 0, 28, 0x82, 0, 3, 1, 0xCE, 0, 0, 0, 0]
    expected += [0x82, 0x10, 0xCE, 0, 0, 2, 0, 0x21, 0x92, 0xA8] + Array("k0000042".utf8) + [0xA0]
    #expect(bytes == expected)
  }

  @Test func natsGetsAPublicationWithItsInbox() throws {
    let text = String(decoding: try Self.sent(.nats, .put), as: UTF8.self)
    #expect(text.hasPrefix("PUB $KV.bench.k0000042 _INBOX."))
    #expect(text.hasSuffix(".0.0 0\r\n\r\n"))
  }

  @Test func protocolBufferFieldsAreFound() {
    var message: [UInt8] = []
    message.append(field: 1, 300)
    message.append(field: 2, Array("ab".utf8))
    #expect(message == [0x08, 0xAC, 0x02, 0x12, 0x02, 0x61, 0x62])
    #expect(ProtobufField.first(1, in: message.span)?.value == 300)
    #expect(ProtobufField.first(2, in: message.span)?.bytes == 5..<7)
    #expect(ProtobufField.first(3, in: message.span) == nil)
    let cut = Array(message.dropLast())
    #expect(ProtobufField.first(2, in: cut.span) == nil)
  }
}
