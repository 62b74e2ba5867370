import Foundation
import RoostClient
import RoostWire
import TestSupport
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

  /// The receiver of a long snapshot is killed in the middle: what had arrived does not come again.
  @Test(.timeLimit(.minutes(3)))
  func aReceiverThatIsKilledGoesOnWithWhatHadArrived() async throws {
    let servers = try Servers(3, ["--snapshot-mb", "1"])
    defer { servers.end() }
    let leader = try await servers.leader()
    let behind = leader % 3 + 1
    let cluster = try servers.client()
    try await cluster.put(Array("first".utf8), [1])
    servers.crash(behind)
    let value = [UInt8](repeating: 7, count: 500_000)
    for number in 0..<120 { try await cluster.put(Array("k\(number)".utf8), value) }

    try servers.start(behind)
    while servers.partialByteCount(of: behind) < 16 << 20 { usleep(500) }
    servers.crash(behind)
    let arrived = servers.partialByteCount(of: behind)
    #expect(!servers.log(behind).contains("received a snapshot"))

    try servers.start(behind)
    let one = try servers.client(of: [behind])
    #expect(try await one.get(Array("k119".utf8))?.value == value)
    let words = /has ([0-9]+) of ([0-9]+) bytes of a snapshot/
    let found = try #require(try words.firstMatch(in: servers.log(behind)))
    let (had, whole) = (try #require(Int(found.1)), try #require(Int(found.2)))
    #expect(had > arrived - (1 << 18) - 8 && had <= arrived)
    let came = try WireClient(to: servers.endpoint(behind)).status()[.snapshotBytes]
    #expect(Int(came) == whole - had, "\(came) of \(whole) bytes came after the restart")
    #expect(servers.log(behind).contains("received a snapshot"))
    #expect(servers.partialByteCount(of: behind) == 0)
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
