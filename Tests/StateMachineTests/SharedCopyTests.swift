import RoostStateMachine
import RoostWire
import Testing

/// A copy is read by another thread while the original is written.
///
/// Run with the thread sanitizer too.
@Suite struct SharedCopyTests {
  @Test func aSnapshotIsWrittenWhileTheOriginalGoesOn() async throws {
    var driver = Driver()
    let session = try driver.openSession(ttl: 1_000_000)
    var random = SplitMix64(seed: 3)
    var sequence: UInt64 = 0
    for round in 0..<6 {
      let copy = driver.state
      let hash = copy.stateHash
      let writer = Task.detached { () -> UInt64 in
        let chunks = copy.snapshotChunks()
        return try ReplicatedState(chunks: chunks).stateHash
      }
      for _ in 0..<40 {
        var requests: [Request] = []
        for _ in 0..<20 {
          sequence += 1
          let key = "k\(random.below(3000))"
          let command: Command =
            random.chance(1, in: 4)
            ? .operation(.delete(Delete(key: Array(key.utf8)))) : put(key, "\(sequence)")
          requests.append(Request(at(session, sequence, acked: sequence), command))
        }
        _ = try driver.apply(requests)
      }
      #expect(try await writer.value == hash, "round \(round)")
      #expect(copy.stateHash == hash)
    }
  }
}
