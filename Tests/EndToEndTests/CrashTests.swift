import Foundation
import RoostClient
import Testing

/// Real processes that are killed, paused and started again.
@Suite(.serialized) struct CrashTests {
  private static func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

  @Test(.timeLimit(.minutes(4)))
  func noAcknowledgedPutIsLostWhileLeadersAreKilled() async throws {
    let servers = try Servers(3)
    defer { servers.end() }
    _ = try await servers.leader()
    let cluster = try servers.client()
    var acknowledged: [Int] = []
    var crashed = 0
    for number in 0..<2000 {
      if number % 350 == 300, crashed < 5 {
        let leader = try await servers.leader()
        servers.crash(leader)
        try servers.start(leader)
        crashed += 1
      }
      try await cluster.put(Self.bytes("key \(number)"), Self.bytes("value \(number)"))
      acknowledged.append(number)
    }
    #expect(crashed == 5 && acknowledged.count == 2000)
    for number in acknowledged {
      let found = try await cluster.get(Self.bytes("key \(number)"))
      #expect(found?.value == Self.bytes("value \(number)"), "key \(number)")
      #expect(found?.version == 1, "key \(number) was written more than once")
    }
    let revisions = await cluster.status().compactMap(\.status?.revision)
    #expect(revisions.max() == 2000, "each put took effect exactly once")
  }

  @Test(.timeLimit(.minutes(2)))
  func everyNodeComesBackFromItsFiles() async throws {
    let servers = try Servers(3)
    defer { servers.end() }
    let cluster = try servers.client()
    for number in 0..<50 {
      try await cluster.put(Self.bytes("k\(number)"), Self.bytes("\(number)"))
    }
    for node in 1...3 { servers.crash(node) }
    for node in 1...3 { try servers.start(node) }
    _ = try await servers.leader()
    // Each node by itself: a follower asks the leader how new it must be, and answers from its own state.
    for node in 1...3 {
      let one = try servers.client(of: [node])
      let found = try await one.get(Self.bytes("k49"))
      #expect(found?.value == Self.bytes("49"), "node \(node)")
    }
  }

  @Test(.timeLimit(.minutes(2)))
  func aRestartedNodeCatchesUp() async throws {
    let servers = try Servers(3)
    defer { servers.end() }
    let leader = try await servers.leader()
    let follower = leader % 3 + 1
    servers.crash(follower)
    let cluster = try servers.client()
    for number in 0..<200 { try await cluster.put(Self.bytes("k\(number)"), Self.bytes("x")) }
    try servers.start(follower)
    let one = try servers.client(of: [follower])
    let found = try await one.get(Self.bytes("k199"))
    #expect(found?.value == Self.bytes("x"))
  }

  @Test(.timeLimit(.minutes(2)))
  func aPausedLeaderServesNothingOldWhenItWakes() async throws {
    let servers = try Servers(3)
    defer { servers.end() }
    let leader = try await servers.leader()
    let others = (1...3).filter { $0 != leader }
    let cluster = try servers.client(of: others)
    try await cluster.put(Self.bytes("k"), Self.bytes("old"))
    servers.pause(leader)
    try await cluster.put(Self.bytes("k"), Self.bytes("new"))
    // The question waits in the paused leader's socket, and is the first thing that it sees.
    let paused = try servers.client(of: [leader])
    async let answer = paused.get(Self.bytes("k"))
    try await Task.sleep(for: .milliseconds(300))
    servers.resume(leader)
    let found = try await answer
    #expect(found?.value == Self.bytes("new"))
  }

  @Test(.timeLimit(.minutes(2)))
  func aMinorityRefusesAndSaysThatNothingHappened() async throws {
    let servers = try Servers(3)
    defer { servers.end() }
    let leader = try await servers.leader()
    let others = (1...3).filter { $0 != leader }
    servers.crash(leader)
    servers.crash(others[0])
    let put = try Kvctl(["put", "a", "b"], endpoints: servers.endpoints)
    #expect(put.code == 6, "\(put.complaint)")
    #expect(put.complaint.contains("nothing was changed"))
    let local = try Kvctl(["get", "a", "--local"], endpoints: servers.endpoints)
    #expect(local.code == 3, "\(local.complaint)")
  }

  @Test(.timeLimit(.minutes(2)))
  func aReadWithABoundIsNotAnsweredByANodeThatIsCutOff() async throws {
    let servers = try Servers(3)
    defer { servers.end() }
    let leader = try await servers.leader()
    let others = (1...3).filter { $0 != leader }
    let cluster = try servers.client()
    try await cluster.put(Self.bytes("k"), Self.bytes("v"))
    let fresh = try await cluster.observe(Self.bytes("k"), within: .seconds(5))
    #expect(fresh.value?.value == Self.bytes("v") && fresh.revision == 1)
    #expect(try #require(fresh.age) < .seconds(5))
    servers.crash(leader)
    servers.crash(others[0])
    try await Task.sleep(for: .milliseconds(600))
    let old = try await servers.client(of: [others[1]]).observe(Self.bytes("k"))
    #expect(old.value?.value == Self.bytes("v"))
    #expect(try #require(old.age) >= .milliseconds(500))
    let local = try Kvctl(["get", "k", "--local", "--max-age", "60"], endpoints: servers.endpoints)
    #expect(local.code == 0 && local.output == "v", "\(local.complaint)")
    let young = ["get", "k", "--local", "--max-age", "0.2"]
    let refused = try Kvctl(young, endpoints: servers.endpoints)
    #expect(refused.code == 6, "\(refused.complaint)")
    let alone = try Kvctl(["get", "k", "--max-age", "1"], endpoints: servers.endpoints)
    #expect(alone.code == 2 && alone.complaint.contains("--max-age goes with --local"))
  }

  @Test(.timeLimit(.minutes(1)))
  func aLeaderThatIsStoppedHandsOver() async throws {
    let servers = try Servers(3)
    defer { servers.end() }
    let leader = try await servers.leader()
    let others = (1...3).filter { $0 != leader }
    let cluster = try servers.client(of: others)
    try await cluster.put(Self.bytes("k"), Self.bytes("v"))
    #expect(servers.stop(leader) == 0)
    let next = try await servers.leader()
    #expect(others.contains(next))
    // Who is asked to take over does not ask around first.
    let log = servers.log(next)
    let end = log.components(separatedBy: "follows \(leader)").last ?? ""
    #expect(end.contains("leads in term") && !end.contains("asks whether"), "\(log)")
    let found = try await cluster.get(Self.bytes("k"))
    #expect(found?.value == Self.bytes("v"))
  }

  /// A loop that is woken again and again for nothing would take a whole core.
  @Test(.timeLimit(.minutes(1)))
  func anIdleNodeSleeps() async throws {
    let servers = try Servers(3)
    defer { servers.end() }
    let cluster = try servers.client()
    for number in 0..<20 { try await cluster.put(Self.bytes("k\(number)"), Self.bytes("v")) }
    await cluster.close()
    let before = try (1...3).map { try servers.processorTicks(of: $0) }
    try await Task.sleep(for: .seconds(2))
    let after = try (1...3).map { try servers.processorTicks(of: $0) }
    let used = zip(before, after).map { $1 - $0 }
    #expect(used.allSatisfy { $0 < 40 }, "hundredths of a second in two seconds: \(used)")
  }

  @Test(.timeLimit(.minutes(1)))
  func aNodeStopsCleanlyAndIsStartedAgain() async throws {
    let servers = try Servers(1)
    defer { servers.end() }
    let cluster = try servers.client()
    try await cluster.put(Self.bytes("k"), Self.bytes("v"))
    #expect(servers.stop(1) == 0)
    try servers.start(1)
    let found = try await cluster.get(Self.bytes("k"))
    #expect(found?.value == Self.bytes("v"))
  }
}
