import RoostRaft
import RoostWire

/// Carries out the directives of a script in a ``World``.
///
///     cluster 3 [tiny] [leases]     nodes 1, 2, 3 as voters, with one fixed timeout
///     cluster 3 drawn               the same, with timeouts as in life
///     priority 1 2                  founding priorities, in the order of the nodes (before cluster)
///     node 4 [2]                    a node that knows nobody, in its second life
///     timeout 1                     1's timer runs out
///     tick 1 | wait 50 | run 500    1 looks at the clock | it moves (ms) | and all nodes look at it
///     sync 1                        1's oldest write is on its disk
///     deliver 1 2 | drop | repeat   the oldest message from 1 to 2 arrives | is lost | arrives, and again
///     drop all                      what is on the wire is lost
///     settle [without 3 4]          all arrives and is synced, but nothing from or to 3 and 4
///     propose 1 x | read 1 7        x is a payload, 7 names the read
///     change 1 1 2 4 l5             1 shall make 1, 2, 4 the voters and 5 a learner
///     transfer 1 2 | resign 1       1 hands over to 2 | steps down
///     cut 1 3 | join                nothing arrives between 1 and 3 | all links are whole again
///     snapshot 1 2                  1 saves a snapshot, and keeps two entries behind it
///     crash 1 [8] | restart 1       1 loses what was not synced, and what it has of a snapshot behind 8 bytes
///     time 1                        the cluster time as 1 knows it
///     promised 1 2                  1's disk lost what is behind entry 2, and knows where its log ended
///     status | log 1 | wire | check what all know | 1's log | what is on the wire | the judge's word
///     quietly ...                   does it and answers nothing
struct Director {
  private var world = World()
  private var priorities: [UInt8] = []
  /// Pairs of nodes between which nothing arrives while a script settles or runs.
  private var cuts: Set<Set<NodeID>> = []
  #if PLANTED_BUGS
  /// A mistake in all nodes, to see whether the script would show it.
  var flaw: Flaw?
  #endif

  mutating func perform(_ line: String) -> [String] {
    var words = line.split(separator: " ").map(String.init)
    guard let verb = words.first else { return [] }
    words.removeFirst()
    if verb == "quietly" {
      _ = perform(words.joined(separator: " "))
      return []
    }
    world.trace = []
    let answer = perform(verb, words)
    return (world.trace ?? []) + answer
  }

  private mutating func perform(_ verb: String, _ words: [String]) -> [String] {
    let numbers = words.compactMap { UInt64($0) }
    let first = NodeID(numbers.first ?? 0)
    switch verb {
    case "priority": priorities = numbers.map { UInt8($0) }
    case "cluster": found(Int(numbers.first ?? 0), words)
    case "node":
      let incarnation = Incarnation(numbers.count > 1 ? numbers[1] : 0)
      world.crash(first, keeping: .nothing)
      world.add(first, SnapshotMark(founding: .none), incarnation: incarnation)
    case "timeout": world.expireTimer(first)
    case "tick": world.tick(first)
    case "wait": world.now = world.now.advanced(by: .milliseconds(Int64(numbers.first ?? 0)))
    case "run":
      let cuts = cuts
      world.run(for: .milliseconds(Int64(numbers.first ?? 0))) {
        cuts.contains([$0.sender, $0.recipient])
      }
    case "cut": cuts.insert([first, NodeID(numbers.count > 1 ? numbers[1] : 0)])
    case "join": cuts = []
    case "sync": world.sync(first)
    case "settle": settle(without: numbers.map { NodeID($0) })
    case "crash":
      world.crash(first, keeping: .nothing, part: numbers.count > 1 ? numbers[1] : nil)
    case "restart": world.restart(first)
    case "deliver", "drop", "repeat": return move(verb, words, numbers)
    case "status", "log", "wire", "check", "progress": return tell(verb, first)
    default: return ask(verb, first, Array(words.dropFirst()))
    }
    return []
  }

  private mutating func found(_ count: Int, _ words: [String]) {
    var settings = words.contains("tiny") ? Settings.tiny : Settings()
    settings.leaseReads = words.contains("leases")
    if !words.contains("drawn") {
      settings.electionTimeout = .milliseconds(300) ... .milliseconds(300)
    }
    world = World(settings: settings)
    world.trace = []
    let members = (1...count).map { id in
      Member(NodeID(UInt64(id)), priority: id <= priorities.count ? priorities[id - 1] : 1)
    }
    priorities = []
    cuts = []
    let mark = SnapshotMark(founding: Membership(founding: members))
    #if PLANTED_BUGS
    world.flaw = flaw
    #endif
    for member in members { world.add(member.id, mark) }
  }

  private mutating func settle(without silent: [NodeID]) {
    let cuts = cuts
    world.settle {
      silent.contains($0.sender) || silent.contains($0.recipient)
        || cuts.contains([$0.sender, $0.recipient])
    }
  }

  private mutating func move(_ verb: String, _ words: [String], _ numbers: [UInt64]) -> [String] {
    if words == ["all"] {
      world.wire = []
      return []
    }
    guard numbers.count == 2,
      let place = world.wire.firstIndex(where: {
        $0.sender.rawValue == numbers[0] && $0.recipient.rawValue == numbers[1]
      })
    else { return ["there is no such message"] }
    let packet = verb == "repeat" ? world.wire[place] : world.wire.remove(at: place)
    if verb != "drop" { world.deliver(packet) }
    return []
  }

  // MARK: What is asked of a node

  private mutating func ask(_ verb: String, _ node: NodeID, _ words: [String]) -> [String] {
    if verb == "promised" { return damage(node, words) }
    let now = world.now
    let number = words.first.flatMap { UInt64($0) }
    switch verb {
    case "propose":
      let payload = [UInt8](words.joined(separator: " ").utf8)
      return refusal(of: node) { core, effects in
        do throws(ProposalRefusal) { _ = try core.propose(payload, now: now, into: &effects) } catch
        {
          return "\(error)"
        }
        return nil
      }
    case "read":
      let id = ReadID(number ?? 0)
      world.judge.didBeginRead(id, at: node)
      world.act(node) { $0.read(id, now: now, into: &$1) }
    case "change": return change(node, words)
    case "transfer":
      return refusal(of: node) { core, effects in
        let target = number.map { NodeID($0) }
        do throws(TransferRefusal) {
          try core.transferLeadership(to: target, now: now, into: &effects)
        } catch { return "\(error)" }
        return nil
      }
    case "time":
      let time = world.act(node) { core, _ in core.clusterTime(now: now) }
      return ["\((time?.rawValue ?? 0) / 1_000_000) ms"]
    case "resign": world.act(node) { $0.stepDown(now: now, into: &$1) }
    case "snapshot": world.saveSnapshot(node, keeping: number ?? 0)
    case "forget":
      world.act(node) { core, _ in
        core.forget(keeping: Int(number ?? 0), through: core.commitIndex, now: now)
      }
    default: return ["unknown directive"]
    }
    return []
  }

  private mutating func damage(_ node: NodeID, _ words: [String]) -> [String] {
    guard let slot = world.slot(node), let kept = words.first.flatMap({ UInt64($0) }) else {
      return ["no such node"]
    }
    world.nodes[slot].disk.promised = world.nodes[slot].disk.entries.last?.position ?? .start
    world.nodes[slot].disk.entries.removeAll { $0.index.rawValue > kept }
    return []
  }

  private mutating func refusal(
    of node: NodeID,
    _ input: (inout Consensus, inout Effects) -> String?
  ) -> [String] {
    guard let refusal = world.act(node, input) else { return ["\(node) is down"] }
    return refusal.map { ["refused: \($0)"] } ?? []
  }

  private mutating func change(_ node: NodeID, _ words: [String]) -> [String] {
    let now = world.now
    var version: UInt64?
    var members: [Member] = []
    for word in words {
      if word.hasPrefix("if") {
        version = UInt64(word.dropFirst(2))
      } else if let id = UInt64(word.drop { $0 == "l" }), let slot = world.slot(NodeID(id)) {
        let goal: Goal = word.hasPrefix("l") ? .learner : .voter
        let incarnation = world.nodes[slot].disk.incarnation
        let known = world.nodes.compactMap(\.core).first { $0.id == node }?.membership[NodeID(id)]
        members.append(
          known.map { member in
            var member = member
            member.goal = goal
            return member
          } ?? Member(NodeID(id), goal: goal, incarnation: incarnation)
        )
      }
    }
    return refusal(of: node) { core, effects in
      do throws(ChangeRefusal) {
        try core.change(
          to: members,
          ifVersion: version ?? core.membership.version,
          now: now,
          into: &effects
        )
      } catch { return "\(error)" }
      return nil
    }
  }

  // MARK: What there is to see

  private func tell(_ verb: String, _ node: NodeID) -> [String] {
    switch verb {
    case "status": return world.nodes.map(status)
    case "log":
      guard let slot = world.slot(node), let core = world.nodes[slot].core else { return ["down"] }
      var entries: [Entry] = []
      var index = core.firstIndex
      while let entry = core.entry(at: index) {
        entries.append(entry)
        index = LogIndex(index.rawValue + 1)
      }
      return ["from \(core.firstIndex): \(Story.text(entries))"]
    case "wire":
      return world.wire.map { "\($0.sender) -> \($0.recipient): \(Story.text($0.message))" }
    case "progress":
      guard let slot = world.slot(node), let core = world.nodes[slot].core else { return ["down"] }
      return core.memberStatus.map { "\($0.id): match \($0.match), next \($0.next)" }
    default: return [world.violation ?? "safe"]
    }
  }

  private func status(_ node: World.Node) -> String {
    guard let core = node.core else { return "\(node.id): down" }
    let vote = core.vote == .zero ? "" : ", voted for \(core.vote)"
    let leader = core.leader == .zero ? "" : ", follows \(core.leader)"
    return
      "\(node.id): \(core.role.rawValue) in term \(core.term)\(core.isLeader ? "" : leader)\(vote)"
      + ", log to \(Story.text(core.lastPosition)), on disk to \(core.durableIndex)"
      + ", committed \(core.commitIndex)"
  }
}
