import RoostRaft
import RoostWire
import Testing

/// The way of a write, from nothing to an applied entry, and what faults do to it.
@Suite struct ClusterTests {
  @Test func aClusterElectsOneLeader() {
    var world = World(voters: 3)
    world.run(for: .seconds(2))
    #expect(world.leaders.count == 1)
    #expect(world.violation == nil)
    #expect(world.nodes.allSatisfy { $0.core?.leader == world.leader })
  }

  @Test func aSingleNodeLeadsAndCommitsAlone() throws {
    var world = World(voters: 1)
    world.run(for: .seconds(1))
    let proposed = world.propose(NodeID(1), "a")
    let place = try #require(proposed)
    #expect(world[1].commitIndex < place.index, "nothing is committed before the disk has it")
    world.settle()
    #expect(world[1].commitIndex == place.index)
  }

  @Test func aProposalReachesEveryNode() throws {
    var world = World(voters: 5)
    world.run(for: .seconds(2))
    let leader = try #require(world.leader)
    let proposed = world.propose(leader, "a")
    let place = try #require(proposed)
    world.run(for: .milliseconds(10))
    #expect(world.nodes.allSatisfy { $0.core?.commitIndex == place.index })
    #expect(world.violation == nil)
  }

  /// A late part of an older snapshot took the place of the newer one, which the disk was about to name.
  ///
  /// The disk then had a
  /// snapshot that the core knew nothing of: it refused all further ones, or another state was loaded than was meant.
  @Test func aSnapshotThatIsBeingCheckedIsNotGivenUpForAnother() {
    let ids = (1...3).map { NodeID(UInt64($0)) }
    let membership = Membership(voters: ids)
    let now = Instant(nanoseconds: 1)
    var node = Consensus(
      id: NodeID(3),
      settings: .tiny,
      restored: Restored(mark: SnapshotMark(founding: membership)),
      random: SplitMix64(seed: 1),
      now: now
    )
    func snapshot(at index: UInt64) -> SnapshotDescriptor {
      let mark = SnapshotMark(
        index: LogIndex(index),
        term: Term(1),
        time: .zero,
        membership: membership
      )
      return SnapshotDescriptor(mark: mark, byteCount: 4, checksum: index)
    }
    func receive(_ snapshot: SnapshotDescriptor) -> Effects {
      var effects = Effects()
      let chunk = SnapshotChunk(snapshot: snapshot, offset: 0, bytes: [1, 2, 3, 4])
      let message = Message(term: Term(1), incarnation: .zero, body: .snapshotChunk(chunk))
      node.step(message, from: NodeID(1), now: now, into: &effects)
      return effects
    }
    let (older, newer) = (snapshot(at: 5), snapshot(at: 6))
    #expect(receive(newer).snapshotToCheck == newer)
    let late = receive(older)
    #expect(late.snapshotChunks.isEmpty)
    #expect(late.snapshotToCheck == nil)
    var effects = Effects()
    node.didReceiveSnapshot(newer, isValid: true, now: now, into: &effects)
    #expect(effects.snapshotToLoad == newer)
    #expect(node.commitIndex == LogIndex(6))
  }

  @Test func lostMessagesAreMadeUpFor() throws {
    var world = World(voters: 3)
    world.run(for: .seconds(2))
    let leader = try #require(world.leader)
    var dice = SplitMix64(seed: 7)
    for round in 0..<50 {
      world.propose(world.leader ?? leader, "\(round)")
      world.run(for: .milliseconds(20)) { _ in dice.chance(1, in: 3) }
    }
    world.run(for: .seconds(3))
    let last = try #require(world.leader)
    #expect(world[last.rawValue].commitIndex == world[last.rawValue].lastIndex)
    #expect(world.nodes.allSatisfy { $0.core?.commitIndex == world.judge.commitIndex })
    #expect(world.judge.commitIndex.rawValue >= 40)
    #expect(world.violation == nil)
  }

  @Test func aClusterSurvivesTheCrashOfAnyNode() throws {
    for victim in 1...3 as ClosedRange<UInt64> {
      var world = World(voters: 3, seed: victim)
      world.run(for: .seconds(2))
      world.propose(try #require(world.leader), "before")
      world.settle()
      world.crash(NodeID(victim))
      world.run(for: .seconds(3))
      let leader = try #require(world.leader)
      world.propose(leader, "while it was down")
      world.settle()
      world.restart(NodeID(victim))
      world.run(for: .seconds(3))
      #expect(world.nodes.allSatisfy { $0.core?.commitIndex == world.judge.commitIndex })
      let payloads = world.judge.committed.map { String(decoding: $0.payload, as: UTF8.self) }
      #expect(payloads.filter { !$0.isEmpty } == ["before", "while it was down"])
      #expect(world.violation == nil)
    }
  }

  @Test func aLeaderWithoutQuorumStepsDown() throws {
    var world = World(voters: 3)
    world.run(for: .seconds(2))
    let old = try #require(world.leader)
    world.run(for: .seconds(3)) { $0.sender == old || $0.recipient == old }
    #expect(world.leaders.count == 1)
    #expect(world.leader != old)
    world.run(for: .seconds(1))
    #expect(world[old.rawValue].leader == world.leader)
    #expect(world.violation == nil)
  }

  @Test func readsAreAnsweredOnEveryNode() throws {
    var world = World(voters: 3)
    world.run(for: .seconds(2))
    world.propose(try #require(world.leader), "a")
    world.settle()
    let now = world.now
    for id in 1...3 as ClosedRange<UInt64> {
      world.judge.didBeginRead(ReadID(id), at: NodeID(id))
      world.act(NodeID(id)) { $0.read(ReadID(id), now: now, into: &$1) }
    }
    world.settle()
    #expect(world.judge.readCount == 3)
    #expect(world.violation == nil)
  }
}
