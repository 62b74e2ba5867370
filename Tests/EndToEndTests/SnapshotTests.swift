import Foundation
import RoostClient
import Testing

/// Logs that are cut behind snapshots, and members that need one.
@Suite(.serialized) struct SnapshotTests {
  private static func fill(_ cluster: Cluster, _ numbers: Range<Int>) async throws {
    for number in numbers {
      let value = [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: 100_000)
      try await cluster.put(Array("k\(number % 20)".utf8), value)
    }
  }

  private static func check(_ cluster: Cluster, _ last: Int) async throws {
    for number in (last - 19)...last {
      let found = try await cluster.get(Array("k\(number % 20)".utf8))
      #expect(found?.value.count == 100_000)
      #expect(found?.value.first == UInt8(truncatingIfNeeded: number), "k\(number % 20)")
    }
  }

  @Test(.timeLimit(.minutes(3)))
  func aMemberFarBehindGetsASnapshotAndGoesOn() async throws {
    let servers = try Servers(3, ["--snapshot-mb", "1"])
    defer { servers.end() }
    let leader = try await servers.leader()
    let behind = leader % 3 + 1
    let cluster = try servers.client()
    try await Self.fill(cluster, 0..<20)
    servers.crash(behind)
    // More than eight times what the leader keeps in memory: for a member that it heard a moment ago it keeps that much.
    try await Self.fill(cluster, 20..<140)
    try servers.start(behind)
    let one = try servers.client(of: [behind])
    try await Self.check(one, 139)
    #expect(servers.log(behind).contains("received a snapshot"), "\(servers.log(behind))")
    try await Self.fill(cluster, 140..<160)
    try await Self.check(one, 159)
    // What it received it also finds again.
    servers.crash(behind)
    try servers.start(behind)
    try await Self.check(one, 159)
  }

  @Test(.timeLimit(.minutes(3)))
  func aClusterComesBackFromItsSnapshots() async throws {
    let servers = try Servers(3, ["--snapshot-mb", "1"])
    defer { servers.end() }
    let cluster = try servers.client()
    try await Self.fill(cluster, 0..<60)
    for node in 1...3 { servers.crash(node) }
    for node in 1...3 { try servers.start(node) }
    try await Self.check(cluster, 59)
    let revisions = await cluster.status().compactMap(\.status?.revision)
    #expect(revisions.max() == 60)
    #expect(servers.log(1).contains("has a snapshot through"))
  }

  @Test(.timeLimit(.minutes(1)))
  func aMemberThatLostItsDirectoryDoesNotStartOver() async throws {
    let servers = try Servers(3)
    defer { servers.end() }
    let leader = try await servers.leader()
    let lost = leader % 3 + 1
    servers.crash(lost)
    try FileManager.default.removeItem(atPath: "\(servers.folder)/d\(lost)")
    try servers.start(lost)
    #expect(servers.waitForEnd(of: lost) == 65)
    #expect(servers.log(lost).contains("may have forgotten a vote"))
  }
}
