import Foundation
@testable import RoostClient
import RoostWire
import Testing

/// Replicas that tell what they hold, so that one that differs is noticed.
@Suite(.serialized) struct StateHashTests {
  private static func state(_ node: UInt64, applied: UInt64, hash: UInt64) -> MemberState {
    var status = NodeStatus()
    status.node = NodeID(node)
    status.applied = LogIndex(applied)
    status[.stateHash] = hash
    return MemberState(status)
  }

  @Test func statesThatDifferAreToldApart() {
    let (first, second) = (Self.state(1, applied: 7, hash: 1), Self.state(2, applied: 7, hash: 1))
    #expect([first, second].divergent == [])
    #expect([first, Self.state(2, applied: 8, hash: 2), second].divergent == [])
    #expect([Self.state(3, applied: 7, hash: 2), second, first].divergent == [1, 2, 3])
  }

  @Test(.timeLimit(.minutes(2)))
  func nodesThatAppliedTheSameSayTheSame() async throws {
    let servers = try Servers(3)
    defer { servers.end() }
    let leader = try await servers.leader()
    let cluster = try servers.client()
    for number in 0..<50 { try await cluster.put(Array("k\(number)".utf8), [UInt8(number)]) }
    let early = await cluster.status().compactMap(\.status?.stateHash)
    servers.crash(leader)
    for number in 50..<100 { try await cluster.put(Array("k\(number)".utf8), [UInt8(number)]) }
    try servers.start(leader)
    var states = await cluster.status().compactMap(\.status)
    for _ in 0..<400 where states.count < 3 || Set(states.map(\.applied)).count > 1 {
      try await Task.sleep(for: .milliseconds(25))
      states = await cluster.status().compactMap(\.status)
    }
    #expect(states.count == 3 && Set(states.map(\.applied)).count == 1)
    #expect(Set(states.map(\.stateHash)).count == 1 && states.divergent == [])
    #expect(!early.contains(states[0].stateHash), "the hash says nothing of what was written")
    let status = try Kvctl(["status"], endpoints: servers.endpoints)
    #expect(status.code == 0, "\(status.complaint)")
  }
}
