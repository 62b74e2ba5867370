import Foundation
import RoostClient
import RoostNode
import RoostPlatform
import RoostWire
import TestSupport
import Testing

/// A malformed, oversized or silent peer costs its own connection, and never the node.
@Suite(.serialized) struct HostilePeerTests {
  /// A node of its own, on a free port and in a folder that goes with it.
  private static func withNode(
    _ change: (inout NodeConfiguration) -> Void = { _ in },
    _ body: (ClusterNode) async throws -> Void
  ) async throws {
    try await withLoneNode(change) { node in
      try await serves(node)
      try await body(node)
      // Whatever a peer did, the node still serves.
      try await serves(node)
    }
  }

  private static func serves(_ node: ClusterNode) async throws {
    let cluster = try Cluster(ClientConfiguration(endpoints: [node.address]))
    try await cluster.put([1], [2])
    let found = try await cluster.get([1])
    #expect(found?.value == [2])
    await cluster.close()
  }

  /// Sends bytes and answers what comes back until the node closes or `limit` bytes are there; nil if neither happens in time.
  private static func talk(
    _ bytes: [UInt8],
    to node: ClusterNode,
    until limit: Int = .max
  ) throws -> [UInt8]? {
    let address = try #require(SocketAddress(node.address))
    let socket = try Socket.connecting(to: address)
    let deadline = Machine.monotonicNanoseconds() + 10_000_000_000
    var sent = 0
    var received: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while Machine.monotonicNanoseconds() < deadline {
      do throws(SystemError) {
        if sent < bytes.count { sent += try socket.send(bytes, from: sent) }
        switch try socket.receive(into: &buffer) {
        case .bytes(let count):
          received += buffer[..<count]
          if received.count >= limit { return received }
        case .end: return received
        case .nothing: usleep(1000)
        }
      } catch  where error.isNotConnectedYet {
        usleep(1000)
      } catch {
        // A reset: the node closed while bytes were on their way.
        return received
      }
    }
    return nil
  }

  private static let hello = Hello(role: .client, cluster: .zero).encoded()

  private static func frame(_ kind: FrameKind, _ body: [UInt8]) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.appendFrame(kind, correlation: 1) { $0 += body }
    return bytes
  }

  @Test(.timeLimit(.minutes(1)))
  func whatIsNoHelloEndsTheConnectionAtOnce() async throws {
    try await Self.withNode { node in
      for bytes in [Array("GET / HTTP/1.1\r\n\r\n".utf8), [0x89, 0x52, 0], [0], [0x16, 3, 1]] {
        let answer = try Self.talk(bytes, to: node)
        #expect(answer == [], "\(bytes)")
      }
      var spoiled = Self.hello
      spoiled[20] ^= 1
      let answer = try Self.talk(spoiled, to: node)
      #expect(answer == [])
    }
  }

  @Test(.timeLimit(.minutes(1)))
  func anotherClusterAndAStrangerAreRefusedWithTheReason() async throws {
    try await Self.withNode { node in
      let greetings: [(Hello, HelloVerdict)] = [
        (Hello(role: .client, cluster: ClusterID(9)), .otherCluster),
        (Hello(role: .client, cluster: .zero, receiver: NodeID(2)), .otherMember),
        (Hello(role: .member, cluster: ClusterID(0xC1), sender: NodeID(7)), .unknownMember),
      ]
      for (hello, verdict) in greetings {
        let answer = try #require(try Self.talk(hello.encoded(), to: node))
        let reply = try HelloReply(decodingAll: answer)
        #expect(reply.verdict == verdict)
      }
    }
  }

  @Test(.timeLimit(.minutes(1)))
  func aBadFrameEndsItsConnection() async throws {
    try await Self.withNode { node in
      var spoiled = Self.frame(.status, [])
      spoiled[0] ^= 1
      var huge = Self.frame(.request, [])
      huge.overwrite(at: 4, littleEndian: UInt32.max)
      let frames = [
        spoiled, huge, Self.frame(.consensus, [1, 2, 3]), Self.frame(.forward, []),
        Self.frame(.reply, []), Self.frame(.status, [1]),
      ]
      for bytes in frames {
        let answer = try Self.talk(Self.hello + bytes, to: node)
        #expect(answer?.count == HelloReply.byteCount, "only the hello is answered")
      }
    }
  }

  @Test(.timeLimit(.minutes(1)))
  func nonsenseInsideAGoodFrameIsAnswered() async throws {
    try await Self.withNode { node in
      let malformed = Failure(.malformed).encoded()
      let byteCount = HelloReply.byteCount + FrameHeader.byteCount + malformed.count
      for (kind, body) in [(FrameKind.query, [UInt8]()), (.query, [9]), (.query, [0, 255])] {
        let bytes = Self.hello + Self.frame(kind, body)
        let answer = try #require(try Self.talk(bytes, to: node, until: byteCount))
        #expect([UInt8](answer.suffix(malformed.count)) == malformed, "\(body)")
      }
      let request = Self.frame(.request, [1, 2, 3])
      let answer = try #require(try Self.talk(Self.hello + request, to: node, until: byteCount))
      #expect([UInt8](answer.suffix(malformed.count)) == malformed)
    }
  }

  /// Whoever hangs up on its answers ends its connection, and no process.
  @Test(.timeLimit(.minutes(1)))
  func whoHangsUpOnItsAnswersEndsItsConnectionAlone() async throws {
    try await Self.withNode { node in
      for _ in 0..<20 {
        let rude = try WireClient(to: node.address)
        for _ in 0..<200 { try rude.ask(.status, []) }
      }
      let client = try WireClient(to: node.address)
      var status = try client.status()
      for _ in 0..<500 where status[.connections] > 1 {
        usleep(10_000)
        status = try client.status()
      }
      #expect(status[.connections] == 1)
    }
  }

  @Test(.timeLimit(.minutes(1)))
  func whoeverSaysNothingIsLeftAlone() async throws {
    try await Self.withNode {
      $0.limits.helloDeadline = .milliseconds(100)
    } _: { node in
      let silent = try Self.talk([], to: node)
      #expect(silent == [])
      let slow = try Self.talk([UInt8](Self.hello.prefix(20)), to: node)
      #expect(slow == [])
    }
  }

  @Test(.timeLimit(.minutes(1)))
  func moreClientsThanTheLimitAreToldThatTheNodeIsBusy() async throws {
    try await Self.withNode {
      $0.limits.connections = 2
    } _: { node in
      var accepted: [WireClient] = []
      // The connections of before may take a moment to go.
      for _ in 0..<500 where accepted.count < 2 {
        let client = try WireClient(to: node.address)
        if client.hello.verdict == .accepted { accepted.append(client) } else { usleep(10_000) }
      }
      #expect(accepted.count == 2)
      let answer = try #require(try Self.talk(Self.hello, to: node))
      let reply = try HelloReply(decodingAll: answer)
      #expect(reply.verdict == .busy)
      accepted = []
      try await Task.sleep(for: .milliseconds(100))
    }
  }
}
