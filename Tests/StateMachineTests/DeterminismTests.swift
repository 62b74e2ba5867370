import RoostStateMachine
import RoostWire
import Testing

/// The same log means the same in every process, whatever seed its hash tables have.
@Suite struct DeterminismTests {
  /// The state after a log that a seed determines.
  static func hash(seed: UInt64) throws -> UInt64 {
    var workload = RandomWorkload(seed: seed)
    var driver = Driver(limits: .tiny)
    for _ in 0..<600 {
      driver.time = workload.time
      for reply in try driver.apply(workload.batch()) { workload.learn(reply) }
    }
    let snapshot = driver.state.snapshotChunks().flatMap { $0 }
    return driver.state.stateHash ^ UInt64(CRC32C(of: snapshot.span).value)
  }

  @Test(arguments: UInt64(1)...3)
  func processesWithOtherHashSeedsAgree(seed: UInt64) async throws {
    let hash = try Self.hash(seed: seed)
    // An exit test is a process of its own, with its own seed for dictionaries and sets.
    await #expect(processExitsWith: .success) { [hash = hash as UInt64, seed = seed as UInt64] in
      let other = try DeterminismTests.hash(seed: seed)
      #expect(other == hash)
    }
  }
}
