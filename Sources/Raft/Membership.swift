package import RoostWire

/// One life of a node's journal.
///
/// Each new journal gets a number that none before it had. A node that lost its journal comes back with
/// another one, so its answers never count for the member that it was: what that member had promised is
/// forgotten, and only a membership change can let the node in again.
package struct Incarnation: WireNumber {
  package let rawValue: UInt64

  package init(_ rawValue: UInt64) { self.rawValue = rawValue }
}

/// What a member shall be once the change under way is done.
package enum Goal: UInt8, Sendable {
  /// Gets the log, and has no vote.
  case learner = 0
  case voter = 1
  /// Leaves the cluster.
  case gone = 2
}

/// A node of the cluster, as the log knows it.
package struct Member: Hashable, Sendable {
  /// The longest ``contact``.
  package static let contactLimit = 256

  package let id: NodeID
  package var incarnation: Incarnation
  /// Who should lead: the greatest number among healthy voters.
  ///
  /// A voter with 0 leads only while no other can, and hands over as soon as another has the log.
  package var priority: UInt8
  /// Where other nodes and clients reach it; opaque to the protocol.
  package var contact: [UInt8]
  /// Whether it has a vote in the voter set that was in force before the change under way.
  package internal(set) var votes: Bool
  package var goal: Goal

  /// A member as it is asked for in a change, or of a founding membership.
  package init(
    _ id: NodeID,
    goal: Goal = .voter,
    incarnation: Incarnation = .zero,
    priority: UInt8 = 1,
    contact: [UInt8] = []
  ) {
    precondition(id > .zero, "0 is nobody")
    precondition(contact.count <= Self.contactLimit, "a contact keeps its limit")
    self.id = id
    self.incarnation = incarnation
    self.priority = priority
    self.contact = contact
    self.votes = false
    self.goal = goal
  }
}

/// How far a change of the membership is.
package enum MembershipPhase: UInt8, Sendable {
  /// No change is under way.
  case settled = 0
  /// Future voters learn the log; the old voters decide alone.
  case catchingUp = 1
  /// Old and new voters decide together: each decision needs both majorities (thesis §4.3).
  case joint = 2
}

/// Who belongs to the cluster and who decides; in force as soon as it is in a node's log.
///
/// A change moves through the phases `catchingUp` (if somebody is new), `joint` (if voters change) and
/// `settled`. Each is one log entry with the whole membership, so a cut log restores the one before.
///
///     offset  size  field
///     0       8     version   grows by one with each entry
///     8       1     phase     0 settled, 1 catching up, 2 joint
///     9       2     count     of members, at most 64; ordered by id, none twice
///     11      ...   members   id 8, incarnation 8, priority 1, votes 1, goal 1, contact 4 + length
package struct Membership: Hashable, Sendable {
  package static let memberLimit = 64

  package internal(set) var version: UInt64
  package internal(set) var phase: MembershipPhase
  /// Ordered by id.
  package internal(set) var members: [Member]

  /// A membership without anyone: what a node knows that waits to be invited.
  package static let none = Membership(version: 0, phase: .settled, members: [])

  init(version: UInt64, phase: MembershipPhase, members: [Member]) {
    self.version = version
    self.phase = phase
    self.members = members
  }

  /// The membership that founds a cluster: whoever's goal is to vote does so at once.
  package init(founding members: [Member]) {
    precondition(members.count <= Self.memberLimit, "a cluster keeps its size limit")
    self.init(version: 1, phase: .settled, members: members.sorted { $0.id < $1.id })
    for index in self.members.indices {
      self.members[index].votes = self.members[index].goal == .voter
    }
    precondition(problem == nil, "a founding membership is sound")
  }

  /// A cluster of voters with nothing special about them.
  package init(voters: [NodeID]) {
    self.init(founding: voters.map { Member($0) })
  }

  package subscript(id: NodeID) -> Member? {
    for member in members where member.id == id { return member }
    return nil
  }

  package func contains(_ id: NodeID, _ incarnation: Incarnation) -> Bool {
    self[id]?.incarnation == incarnation
  }

  /// Whether the member's vote counts, in the old set of voters or in the new one.
  package func isVoter(_ id: NodeID) -> Bool {
    guard let member = self[id] else { return false }
    return member.votes || decidesAnew(member)
  }

  /// Whether each set of voters that has a say has a majority of which `holds` is true.
  package func hasQuorum(where holds: (NodeID) -> Bool) -> Bool {
    var old = Tally()
    var new = Tally()
    for member in members where isVoter(member.id) {
      let held = holds(member.id)
      if member.votes { old.count(held) }
      if decidesAnew(member) { new.count(held) }
    }
    return old.isMajority && (phase != .joint || new.isMajority)
  }

  /// Whether the member has a vote in the new set of a joint membership.
  func decidesAnew(_ member: Member) -> Bool { phase == .joint && member.goal == .voter }

  /// The rule that the membership breaks, if it does.
  var problem: String? {
    guard !members.isEmpty else { return nil }
    var earlier = NodeID.zero
    for member in members {
      guard member.id > earlier else { return "member order" }
      earlier = member.id
      if phase == .settled {
        guard member.goal != .gone, member.votes == (member.goal == .voter) else {
          return "settled member"
        }
      }
    }
    guard members.contains(where: { $0.votes }) else { return "no voter" }
    guard members.contains(where: { $0.goal == .voter }) else { return "no future voter" }
    return nil
  }
}

/// A count of voters and of those among them that agree.
struct Tally {
  private var voters = 0
  private var agreed = 0

  mutating func count(_ agrees: Bool) {
    voters += 1
    if agrees { agreed += 1 }
  }

  /// More than half agree; never true without voters.
  var isMajority: Bool { agreed * 2 > voters }
}

extension Member: WireCodable {
  package init(decoding input: inout Span<UInt8>) throws(WireError) {
    id = try NodeID(decoding: &input)
    incarnation = try Incarnation(decoding: &input)
    priority = try input.read()
    votes = try input.readFlag("votes")
    guard let goal = Goal(rawValue: try input.read()) else { throw .invalid("goal") }
    self.goal = goal
    contact = try input.readPrefixedBytes("contact", limit: Self.contactLimit)
    guard id > .zero else { throw .invalid("member id") }
  }

  package func encode(into output: inout [UInt8]) {
    id.encode(into: &output)
    incarnation.encode(into: &output)
    output.append(priority)
    output.append(votes ? 1 : 0)
    output.append(goal.rawValue)
    output.append(prefixed: contact)
  }
}

extension Membership: WireCodable {
  package init(decoding input: inout Span<UInt8>) throws(WireError) {
    version = try input.read()
    guard let phase = MembershipPhase(rawValue: try input.read()) else { throw .invalid("phase") }
    self.phase = phase
    let count = Int(try input.read(UInt16.self))
    guard count <= Self.memberLimit else {
      throw .tooLarge(what: "members", byteCount: UInt64(count), limit: Self.memberLimit)
    }
    members = []
    for _ in 0..<count { members.append(try Member(decoding: &input)) }
    if let problem { throw .invalid(problem) }
  }

  package func encode(into output: inout [UInt8]) {
    output.append(littleEndian: version)
    output.append(phase.rawValue)
    output.append(littleEndian: UInt16(members.count))
    for member in members { member.encode(into: &output) }
  }
}
