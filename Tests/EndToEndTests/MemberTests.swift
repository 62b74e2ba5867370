import Foundation
import RoostClient
import RoostWire
import TestSupport
import Testing

/// Members that come and go while the cluster serves.
@Suite(.serialized) struct MemberTests {
  private static func change(_ wishes: [MemberWish], on servers: Servers) async throws -> Reply {
    let body = AdminRequest.change(MembershipChange(wishes)).encoded()
    // A new leader does not know at once what is committed, and then says that it is busy.
    for _ in 0..<100 {
      let client = try WireClient(to: servers.endpoint(try await servers.leader()))
      let reply = try Reply(decodingAll: try client.call(.admin, body).body)
      switch reply {
      case .failure(let failure)
      where [.busy, .leadershipLost, .notLeader, .noQuorum, .wouldLoseQuorum].contains(failure.code):
        try await Task.sleep(for: .milliseconds(50))
      default: return reply
      }
    }
    throw WireClient.Silence(waitedFor: "a leader that changes its members")
  }

  private static func wish(
    _ node: Int,
    _ goal: MemberGoal,
    on servers: Servers
  ) async throws
    -> MemberWish
  {
    let status = try WireClient(to: servers.endpoint(node)).status()
    #expect(status.node == NodeID(UInt64(node)))
    return MemberWish(
      status.node,
      goal,
      incarnation: status[.incarnation],
      address: Array(servers.endpoint(node).utf8)
    )
  }

  /// Waits until a node can be asked how it is.
  private static func waitFor(_ node: Int, on servers: Servers) async throws {
    for _ in 0..<200 {
      if (try? WireClient(to: servers.endpoint(node)).status()) != nil { return }
      try await Task.sleep(for: .milliseconds(20))
    }
    throw WireClient.Silence(waitedFor: "node \(node): \(servers.log(node))")
  }

  @Test(.timeLimit(.minutes(3)))
  func aMemberWhoseDirectoryIsLostIsReplacedAndNothingAcknowledgedIsMissing() async throws {
    let servers = try Servers(3)
    defer { servers.end() }
    let cluster = try servers.client()
    for number in 0..<300 {
      try await cluster.put(Array("k\(number)".utf8), Array("\(number)".utf8))
    }
    let lost = try await servers.leader()
    servers.crash(lost)
    try FileManager.default.removeItem(atPath: "\(servers.folder)/d\(lost)")
    try servers.join(4)
    try await Self.waitFor(4, on: servers)
    let newcomer = try WireClient(to: servers.endpoint(4))
    #expect(try newcomer.status().role == .outsider)
    let early = Failure(.notMember)
    #expect(try newcomer.once(.operation(.put(Put(key: [1], value: [])))) == .failure(early))
    let wishes = [
      try await Self.wish(4, .voter, on: servers), MemberWish(NodeID(UInt64(lost)), .gone),
    ]
    #expect(try await Self.change(wishes, on: servers) == .done)
    // A retry does no harm.
    #expect(try await Self.change(wishes, on: servers) == .done)
    let status = try WireClient(to: servers.endpoint(4)).status()
    let voters = status.members.filter(\.isVoter).map { Int($0.id.rawValue) }
    #expect(voters == ((1...3).filter { $0 != lost } + [4]).sorted())
    // The newcomer counts: with one of the old ones down it decides with the other.
    let old = try #require((1...3).first { $0 != lost })
    servers.crash(old)
    let others = try servers.client(of: (1...4).filter { $0 != lost && $0 != old })
    for number in 0..<300 {
      let found = try await others.get(Array("k\(number)".utf8))
      #expect(found?.value == Array("\(number)".utf8), "k\(number)")
    }
    try await others.put([1], [2])
    // What has joined comes back from its own directory.
    servers.crash(4)
    try servers.join(4)
    try await others.put([1], [3])
    let own = try servers.client(of: [4])
    let again = try await own.get([1])
    #expect(again?.value == [3])
  }

  @Test(.timeLimit(.minutes(2)))
  func aRemovedMemberSaysSoAndTheOthersGoOn() async throws {
    let servers = try Servers(3)
    defer { servers.end() }
    let cluster = try servers.client()
    try await cluster.put([1], [1])
    let removed = try await servers.leader()
    let wish = MemberWish(NodeID(UInt64(removed)), .gone)
    #expect(try await Self.change([wish], on: servers) == .done)
    let client = try WireClient(to: servers.endpoint(removed))
    var role = try client.status().role
    for _ in 0..<200 where role != .outsider {
      try await Task.sleep(for: .milliseconds(20))
      role = try client.status().role
    }
    #expect(role == .outsider)
    #expect(servers.log(removed).contains("takes no part"), "\(servers.log(removed))")
    #expect(
      try client.once(.operation(.put(Put(key: [1], value: [])))) == .failure(Failure(.notMember))
    )
    let others = try servers.client(of: (1...3).filter { $0 != removed })
    try await others.put([1], [2])
    // Also after a restart it disturbs nobody.
    let before = try await servers.term()
    servers.crash(removed)
    try servers.start(removed)
    try await Task.sleep(for: .seconds(2))
    try await others.put([1], [3])
    #expect(try await servers.term() == before)
  }

  @Test(.timeLimit(.minutes(2)))
  func aMemberMovesToAnotherAddress() async throws {
    let servers = try Servers(3)
    defer { servers.end() }
    let leader = try await servers.leader()
    let cluster = try servers.client()
    try await cluster.put([1], [1])
    let (mover, other) = (leader % 3 + 1, (leader + 1) % 3 + 1)
    servers.crash(mover)
    let place = "unix:\(servers.folder)/elsewhere"
    try servers.start(mover, at: place)
    for _ in 0..<200 where (try? WireClient(to: place)) == nil { usleep(20_000) }
    let strange = try Kvctl(["member", "move", "\(other)", place], endpoints: servers.endpoints)
    #expect(strange.code == 2 && strange.complaint.contains("is member \(mover)"), "\(strange)")
    let moved = try Kvctl(["member", "move", "\(mover)", place], endpoints: servers.endpoints)
    #expect(moved.code == 0, "\(moved.complaint)")
    let last = try Kvctl(["member", "priority", "\(mover)", "0"], endpoints: servers.endpoints)
    #expect(last.code == 0, "\(last.complaint)")
    let list = try Kvctl(["member", "list", "--json"], endpoints: servers.endpoints).output
    #expect(list.contains(place) && list.contains("\"priority\":0"), "\(list)")
    // With the other one down, what is written needs the one that moved.
    servers.crash(other)
    try await cluster.put([1], [2])
    // It finds its way back with its old command line too.
    servers.crash(mover)
    try servers.start(mover, at: place)
    try await cluster.put([1], [3])
    let found = try await cluster.get([1])
    #expect(found?.value == [3])
  }

  @Test(.timeLimit(.minutes(2)))
  func leadershipGoesWhereItIsWanted() async throws {
    let servers = try Servers(3)
    defer { servers.end() }
    let leader = try await servers.leader()
    let target = leader % 3 + 1
    // Asked at a member that does not lead: it hands the request on.
    let third = try #require((1...3).first { $0 != leader && $0 != target })
    try await Self.waitFor(third, on: servers)
    let client = try WireClient(to: servers.endpoint(third))
    let body = AdminRequest.transferLeadership(NodeID(UInt64(target))).encoded()
    let reply = try Reply(decodingAll: try client.call(.admin, body).body)
    #expect(try await servers.leader() == target, "\(reply)")
    #expect([.done, .failure(Failure(.leadershipLost))].contains(reply))
    #expect(try Reply(decodingAll: try client.call(.admin, body).body) == .done)
    let nobody = AdminRequest.transferLeadership(NodeID(9)).encoded()
    #expect(
      try Reply(decodingAll: try client.call(.admin, nobody).body)
        == .failure(Failure(.noSuccessor))
    )
  }

  @Test(.timeLimit(.minutes(2)))
  func aChangeThatMakesNoSenseIsRefusedWithTheReason() async throws {
    let servers = try Servers(3)
    defer { servers.end() }
    _ = try await servers.leader()
    func code(_ wishes: [MemberWish]) async throws -> ErrorCode? {
      guard case .failure(let failure) = try await Self.change(wishes, on: servers) else {
        return nil
      }
      return failure.code
    }
    #expect(try await code([MemberWish(NodeID(9), .voter)]) == .unsoundMembership)
    let nowhere = MemberWish(NodeID(9), .voter, address: Array("nowhere".utf8))
    #expect(try await code([nowhere]) == .unsoundMembership)
    #expect(try await code((1...3).map { MemberWish(NodeID($0), .gone) }) == .unsoundMembership)
    #expect(try await code([MemberWish(NodeID(2), .voter, incarnation: 77)]) == .memberInUse)
    var guarded = MembershipChange([MemberWish(NodeID(3), .learner)])
    guarded.version = 40
    let client = try WireClient(to: servers.endpoint(try await servers.leader()))
    let reply = try client.call(.admin, AdminRequest.change(guarded).encoded()).reply
    #expect(reply == .failure(Failure(.otherMembership, detail: 1)))
    guarded.version = 1
    #expect(try client.call(.admin, AdminRequest.change(guarded).encoded()).reply != reply)
  }
}
