import Foundation
import RoostNode
import RoostPlatform
import RoostWire
import TestSupport
import Testing

/// Floods, dribbles and deaf peers: each costs itself, is counted, and the others are served.
@Suite(.serialized) struct LimitTests {
  private static func wait(
    for node: ClusterNode,
    _ condition: (NodeStatus) -> Bool
  ) async throws -> NodeStatus {
    let client = try WireClient(to: node.address)
    var status = try client.status()
    for _ in 0..<1000 where !condition(status) {
      try await Task.sleep(for: .milliseconds(5))
      status = try client.status()
    }
    return status
  }

  @Test(.timeLimit(.minutes(1)))
  func aFloodOfSilentConnectionsPushesItselfOut() async throws {
    try await withLoneNode {
      $0.limits.connections = 50
    } _: { node in
      var flood: [StillSocket] = []
      for _ in 0..<300 { flood.append(try StillSocket(to: node.address)) }
      // Who says hello at once gets in, and is served.
      let client = try WireClient(to: node.address)
      #expect(client.hello.verdict == .accepted)
      _ = try client.put("k", [1])
      let status = try client.status()
      #expect(status[.connections] <= 50 && status[.silent] >= 240, "\(status.fields)")
      #expect(status[.accepted] >= 300)
      _ = flood.count
    }
  }

  @Test(.timeLimit(.minutes(1)))
  func whoStopsInTheMiddleOfAFrameIsLeftAlone() async throws {
    try await withLoneNode {
      $0.limits.frameDeadline = .milliseconds(200)
    } _: { node in
      let client = try WireClient(to: node.address)
      var frame: [UInt8] = []
      frame.appendFrame(.status, correlation: 1) { _ in }
      // One byte at a time is not enough to go on for ever.
      for byte in frame.dropLast() {
        guard (try? client.send([byte])) != nil else { break }
        try await Task.sleep(for: .milliseconds(30))
      }
      #expect(try client.next(within: .seconds(5)) == nil && client.isEnded)
      let patient = try WireClient(to: node.address)
      try await Task.sleep(for: .milliseconds(500))
      #expect(try patient.status()[.silent] == 1, "who has said nothing may go on saying nothing")
    }
  }

  @Test(.timeLimit(.minutes(1)))
  func everyReasonToEndAConnectionIsCounted() async throws {
    try await withLoneNode { node in
      var spoiled: [UInt8] = []
      spoiled.appendFrame(.status, correlation: 1) { _ in }
      spoiled[0] ^= 1
      try WireClient(to: node.address).send(spoiled)
      var huge: [UInt8] = []
      huge.appendFrame(.request, correlation: 1) { _ in }
      huge.overwrite(at: 4, littleEndian: UInt32.max)
      try WireClient(to: node.address).send(huge)
      _ = try WireClient(to: node.address, Hello(role: .client, cluster: ClusterID(9)))
      let status = try await Self.wait(for: node) { $0[.malformed] + $0[.oversized] == 2 }
      #expect(status[.malformed] == 1 && status[.oversized] == 1)
      #expect(status[.refusedHellos] == 1 && status[.refusedBusy] == 0)
    }
  }

  /// Asks for far more than it reads: it is read from no more, and the node does not grow.
  @Test(.timeLimit(.minutes(1)))
  func whoAsksWithoutReadingIsNotBufferedFor() async throws {
    try await withLoneNode {
      $0.limits.outboxBytes = 1 << 20
    } _: { node in
      let writer = try WireClient(to: node.address)
      _ = try writer.put("k", [UInt8](repeating: 1, count: 200_000))
      let deaf = try WireClient(to: node.address)
      var query: [UInt8] = [ReadLevel.serializable.rawValue]
      Query.get(Get(key: Array("k".utf8))).encode(into: &query)
      var frames: [UInt8] = []
      for number in 0..<2000 {
        frames.appendFrame(.query, correlation: UInt64(number)) { $0 += query }
      }
      // All of it would be 400 MB of answers. What one reading brought in may be answered before the limit is seen.
      try? deaf.send(frames)
      let status = try await Self.wait(for: node) { $0[.flooding] + $0[.slow] > 0 }
      #expect(status[.flooding] + status[.slow] > 0)
      #expect(status[.waitingBytes] < 16 << 20, "\(status[.waitingBytes] >> 20) MiB")
      _ = try writer.put("k", [2])
    }
  }
}
