import RoostStateMachine
import RoostWire
import Testing

extension ReplicatedState {
  /// All chunks of a snapshot.
  func snapshotChunks() -> [[UInt8]] {
    var writer = SnapshotWriter(of: self)
    var chunks: [[UInt8]] = []
    while let chunk = writer.nextChunk() { chunks.append(chunk) }
    return chunks
  }

  init(chunks: [[UInt8]]) throws {
    var reader = SnapshotReader()
    for chunk in chunks { try reader.add(chunk) }
    self = try reader.finish()
  }
}

extension StateLimits {
  /// So small that every limit is met.
  static var tiny: StateLimits {
    var limits = StateLimits()
    limits.requestWindow = 16
    limits.storedReplyBytes = 600
    limits.sessions = 5
    limits.leases = 12
    limits.claims = 20
    limits.bindings = 3
    limits.oneShots = 10
    limits.oneShotBytes = 500
    limits.allStoredReplyBytes = 2000
    limits.oneShotAhead = 1_500_000_000
    limits.replyBytes = 700
    limits.operations = 12
    limits.clearingSteps = 3
    limits.historyRevisions = 20
    limits.historyAge = 1_000_000_000
    limits.historyBytes = 4000
    limits.pageKeys = 6
    limits.pageBytes = 400
    limits.listed = 4
    return limits
  }
}

@Suite struct SnapshotTests {
  /// Both go on alike, byte for byte, whatever comes.
  @Test(arguments: UInt64(1)...12)
  func aRestoredStateGoesOnLikeTheOriginal(seed: UInt64) throws {
    var workload = RandomWorkload(seed: seed)
    var original = Driver(limits: seed % 2 == 0 ? .tiny : StateLimits())
    var restored = original
    for step in 0..<600 {
      if workload.random.chance(1, in: 40) {
        let chunks = original.state.snapshotChunks()
        restored.state = try ReplicatedState(chunks: chunks)
        #expect(restored.state.snapshotChunks() == chunks)
      }
      let batch = workload.batch()
      original.time = workload.time
      restored.time = workload.time
      let replies = try original.apply(batch)
      #expect(try restored.apply(batch) == replies)
      #expect(restored.output.eventBytes == original.output.eventBytes)
      #expect(restored.state.stateHash == original.state.stateHash, "step \(step)")
      #expect(restored.state.nextDeadline == original.state.nextDeadline)
      for reply in replies { workload.learn(reply) }
      let query = workload.query()
      let answers = try (restored.read(query), original.read(query))
      try #require(answers.0 == answers.1, "\(query) \(answers)")
    }
    #expect(restored.state.snapshotChunks() == original.state.snapshotChunks())
  }
}
