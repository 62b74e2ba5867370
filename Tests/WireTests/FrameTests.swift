import RoostWire
import TestSupport
import Testing

@Suite struct FrameTests {
  private static func frame(_ body: [UInt8]) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.appendFrame(.request, correlation: 0x0102_0304_0506_0708) { $0 += body }
    return bytes
  }

  /// The frames that `bytes` holds, or nil where a decoder would close the connection.
  private static func bodies(in bytes: [UInt8], limit: Int = 1 << 20) -> [[UInt8]]? {
    var bodies: [[UInt8]] = []
    var input = bytes.span
    do throws(WireError) {
      while let header = try FrameHeader.next(in: &input, bodyLimit: limit) {
        bodies.append(try input.readBytes(header.bodyByteCount))
      }
      return bodies
    } catch {
      return nil
    }
  }

  @Test func framesComeBackInOrder() {
    let bytes = Self.frame([]) + Self.frame([1, 2, 3]) + Self.frame([9])
    #expect(Self.bodies(in: bytes) == [[], [1, 2, 3], [9]])
  }

  @Test func aFrameSplitAnywhereWaitsForItsRest() {
    let bytes = Self.frame([1, 2, 3, 4, 5])
    for byteCount in 0..<bytes.count {
      #expect(Self.bodies(in: [UInt8](bytes.prefix(byteCount))) == [])
    }
    #expect(Self.bodies(in: bytes) == [[1, 2, 3, 4, 5]])
  }

  @Test func noFlippedBitIsBelieved() {
    let body: [UInt8] = [1, 2, 3, 4, 5, 6, 7]
    Laws.flipEveryBit(of: Self.frame(body)) { flipped, position in
      // A longer length leaves the frame incomplete: the reader waits, and believes nothing.
      let bodies = Self.bodies(in: flipped) ?? []
      #expect(bodies.isEmpty, "bit \(position)")
    }
  }

  @Test func aLengthOverTheLimitIsRefusedBeforeItsBytesCome() {
    let bytes = Self.frame([UInt8](repeating: 7, count: 100))
    #expect(Self.bodies(in: [UInt8](bytes.prefix(FrameHeader.byteCount)), limit: 99) == nil)
    #expect(Self.bodies(in: bytes, limit: 100)?.count == 1)
  }

  @Test func theLengthCanBeSeenEarly() {
    let bytes = Self.frame([1, 2, 3])
    #expect(FrameHeader.totalByteCount(of: bytes.span.extracting(first: 7)) == nil)
    #expect(FrameHeader.totalByteCount(of: bytes.span.extracting(first: 8)) == bytes.count)
  }
}

@Suite struct HelloTests {
  private static let client = Hello(role: .client, cluster: .zero)
  private static let member = Hello(
    role: .member,
    cluster: ClusterID(0xC1),
    sender: NodeID(2),
    receiver: NodeID(3)
  )
  private static let reply = HelloReply(
    verdict: .accepted,
    cluster: ClusterID(0xC1),
    node: NodeID(3),
    leader: NodeID(1),
    clusterTime: ClusterTime(77)
  )

  @Test func hellosComeBack() {
    Laws.roundTrip(Self.client)
    Laws.roundTrip(Self.member)
    Laws.roundTrip(Self.reply)
  }

  @Test func noFlippedBitIsBelieved() {
    Laws.everyFlipIsRefused(Self.member)
    Laws.everyFlipIsRefused(Self.reply)
  }

  @Test func theSizesAreThoseOfThePage() {
    #expect(Self.client.encoded().count == Hello.byteCount)
    #expect(Self.reply.encoded().count == HelloReply.byteCount)
    #expect([UInt8](Self.client.encoded().prefix(8)) == [0x89] + Array("ROOST\r\n".utf8))
  }
}

@Suite struct NodeStatusTests {
  @Test func aStatusComesBack() {
    var status = NodeStatus()
    status.node = NodeID(1)
    status.role = .leader
    status.term = Term(4)
    status.journal = "fdatasync"
    status.members = [
      MemberSummary(id: NodeID(1), isVoter: true, address: "127.0.0.1:1", matched: LogIndex(9)),
      MemberSummary(id: NodeID(2), isVoter: false, address: "", matched: .zero),
    ]
    status.members[1].goal = .voter
    status.members[1].incarnation = 77
    status[.incarnation] = 5
    status[.slow] = 1
    Laws.roundTrip(status)
    Laws.everyBitCounts(status)
  }

  @Test func sectionsAndFieldsOfLaterVersionsAreSkipped() throws {
    var status = NodeStatus()
    status.fields[60_000] = 1
    var bytes = status.encoded()
    let sections = bytes.count - 1 - (5 + 10) - 5
    #expect(bytes[sections] == 2)
    bytes[sections] = 3
    bytes += [200, 3, 0, 0, 0, 1, 2, 3]
    #expect(try NodeStatus(decodingAll: bytes) == status)
    bytes.removeLast()
    #expect(throws: WireError.self) { try NodeStatus(decodingAll: bytes) }
  }
}
