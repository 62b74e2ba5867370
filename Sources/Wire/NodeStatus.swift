/// What a node is in the present term.
package enum NodeRole: UInt8, Sendable {
  case follower = 0
  case candidate = 1
  case leader = 2
  case learner = 3
  /// No member: it waits to be added, or was removed.
  case outsider = 4
}

/// A number that a node tells of itself; the number of a kind is never used again for another.
package enum StatusField: UInt16, CaseIterable, Sendable {
  /// The version of the membership in force.
  case membershipVersion = 1
  /// 0: no change is under way; 1: new members learn the log; 2: old and new voters decide together.
  case membershipPhase = 2
  /// Of this node's data directory: what a change that makes it a member must name.
  case incarnation = 3
  /// 1 if the newest membership that this node knows was committed.
  case membershipCommitted = 4
  /// Of the state as it is behind the last applied entry: equal on all nodes that have applied the same.
  case stateHash = 5

  /// Connections now, of clients and members.
  case connections = 16
  case clientConnections = 17
  /// Watches of its clients.
  case watches = 18
  /// Bytes that wait for readers.
  case waitingBytes = 19

  /// Connections that were accepted since the start.
  case accepted = 32
  /// Connections that were refused since there were too many.
  case refusedBusy = 33
  /// Hellos that were refused for another reason.
  case refusedHellos = 34
  /// Connections that ended since their bytes follow no protocol.
  case malformed = 35
  /// Connections that ended since a frame was over its limit.
  case oversized = 36
  /// Connections that ended without a hello, or that stopped in the middle of a frame.
  case silent = 37
  /// Connections that ended since they did not read.
  case slow = 38
  /// Times that a connection was not read for a while since it asked too much at once.
  case flooding = 39
  /// Times that the system had no descriptor for another connection.
  case acceptFailures = 40
  /// Events that were handed to connections.
  case events = 41
  /// Bytes of snapshots that came from a leader.
  case snapshotBytes = 42
}

/// A member as one node sees it.
package struct MemberSummary: Equatable, Sendable {
  package static let addressLimit = 255

  package let id: NodeID
  package let isVoter: Bool
  package let address: String
  /// The last entry that the leader knows the member to hold; 0 where the answering node does not lead.
  package let matched: LogIndex
  /// What it shall be once the change under way is done.
  package var goal: MemberGoal
  package var priority: UInt8 = 1
  /// Of its data directory.
  package var incarnation: UInt64 = 0

  package init(id: NodeID, isVoter: Bool, address: String, matched: LogIndex) {
    precondition(address.utf8.count <= Self.addressLimit, "an address keeps its limit")
    self.id = id
    self.isVoter = isVoter
    self.address = address
    self.matched = matched
    goal = isVoter ? .voter : .learner
  }
}

/// How a node is: the answer to a status frame.
///
///     offset  size  field
///     0       8     node
///     8       8     cluster
///     16      1     role           0 follower, 1 candidate, 2 leader, 3 learner, 4 no member
///     17      8     term
///     25      8     leader         0: none known
///     33      8     first index    of the log in memory
///     41      8     last index
///     49      8     committed
///     57      8     applied
///     65      8     revision       of the store
///     73      8     cluster time   nanoseconds
///     81      8     quiet for      nanoseconds since the leader, or as leader a quorum, was heard
///     89      8     up for         nanoseconds since the start
///     97      1+n   journal        back end in use: a length and that many bytes of UTF-8
///     ...     2     members        how many follow, each: id 8, voter 1, matched 8, address 1+n
///     ...     1     sections       how many follow, each: kind 1, length 4, and that many bytes
///
/// Section 1: fields, each: number 2 (as in `StatusField`), value 8; ordered by number. Section 2: for each member, in the
/// order from above: goal 1, priority 1, incarnation 8. Later versions add fields and sections: skip what is unknown.
package struct NodeStatus: Equatable, Sendable {
  package static let memberLimit = 256

  package var node: NodeID = .zero
  package var cluster: ClusterID = .zero
  package var role: NodeRole = .follower
  package var term: Term = .zero
  package var leader: NodeID = .zero
  package var firstIndex: LogIndex = .zero
  package var lastIndex: LogIndex = .zero
  package var committed: LogIndex = .zero
  package var applied: LogIndex = .zero
  package var revision: Revision = .zero
  package var clusterTime: ClusterTime = .zero
  package var quietNanoseconds: UInt64 = 0
  package var upNanoseconds: UInt64 = 0
  package var journal: String = ""
  package var members: [MemberSummary] = []
  /// Further numbers, by ``StatusField`` where this version knows them.
  package var fields: [UInt16: UInt64] = [:]

  package init() {}

  package subscript(field: StatusField) -> UInt64 {
    get { fields[field.rawValue] ?? 0 }
    set { fields[field.rawValue] = newValue }
  }
}

extension NodeStatus: WireCodable {
  package init(decoding input: inout Span<UInt8>) throws(WireError) {
    self.init()
    node = try NodeID(decoding: &input)
    cluster = try ClusterID(decoding: &input)
    guard let role = NodeRole(rawValue: try input.read()) else { throw .invalid("role") }
    self.role = role
    term = try Term(decoding: &input)
    leader = try NodeID(decoding: &input)
    firstIndex = try LogIndex(decoding: &input)
    lastIndex = try LogIndex(decoding: &input)
    committed = try LogIndex(decoding: &input)
    applied = try LogIndex(decoding: &input)
    revision = try Revision(decoding: &input)
    clusterTime = try ClusterTime(decoding: &input)
    quietNanoseconds = try input.read()
    upNanoseconds = try input.read()
    journal = try input.readShortText("journal back end")
    let count = Int(try input.read(UInt16.self))
    guard count <= Self.memberLimit else { throw .invalid("number of members") }
    for _ in 0..<count {
      let id = try NodeID(decoding: &input)
      let isVoter = try input.readFlag("voter flag")
      let matched = try LogIndex(decoding: &input)
      let address = try input.readShortText("address")
      members.append(MemberSummary(id: id, isVoter: isVoter, address: address, matched: matched))
    }
    try decodeSections(&input)
  }

  package func encode(into output: inout [UInt8]) {
    precondition(members.count <= Self.memberLimit, "a cluster keeps its limit")
    node.encode(into: &output)
    cluster.encode(into: &output)
    output.append(role.rawValue)
    term.encode(into: &output)
    leader.encode(into: &output)
    firstIndex.encode(into: &output)
    lastIndex.encode(into: &output)
    committed.encode(into: &output)
    applied.encode(into: &output)
    revision.encode(into: &output)
    clusterTime.encode(into: &output)
    output.append(littleEndian: quietNanoseconds)
    output.append(littleEndian: upNanoseconds)
    output.append(shortText: journal)
    output.append(littleEndian: UInt16(members.count))
    for member in members {
      member.id.encode(into: &output)
      output.append(member.isVoter ? 1 : 0)
      member.matched.encode(into: &output)
      output.append(shortText: member.address)
    }
    encodeSections(into: &output)
  }

  private mutating func decodeSections(_ input: inout Span<UInt8>) throws(WireError) {
    for _ in 0..<(try input.read(UInt8.self)) {
      let kind = try input.read(UInt8.self)
      let byteCount = Int(try input.read(UInt32.self))
      guard input.count >= byteCount else {
        throw .truncated(needed: byteCount, available: input.count)
      }
      var section = input.extracting(first: byteCount)
      input = input.extracting(droppingFirst: byteCount)
      switch kind {
      case 1: try decodeFields(&section)
      case 2: try decodeMemberDetails(&section)
      default: break
      }
    }
  }

  private mutating func decodeFields(_ input: inout Span<UInt8>) throws(WireError) {
    var last: UInt16 = 0
    while !input.isEmpty {
      let number = try input.read(UInt16.self)
      guard number > last else { throw .invalid("status field order") }
      last = number
      fields[number] = try input.read(UInt64.self)
    }
  }

  private mutating func decodeMemberDetails(_ input: inout Span<UInt8>) throws(WireError) {
    for place in members.indices {
      guard let goal = MemberGoal(rawValue: try input.read()) else { throw .invalid("member goal") }
      members[place].goal = goal
      members[place].priority = try input.read()
      members[place].incarnation = try input.read()
    }
  }

  private func encodeSections(into output: inout [UInt8]) {
    output.append(2)
    output.append(1)
    output.append(littleEndian: UInt32(fields.count * 10))
    for (number, value) in fields.sorted(by: { $0.key < $1.key }) {
      output.append(littleEndian: number)
      output.append(littleEndian: value)
    }
    output.append(2)
    output.append(littleEndian: UInt32(members.count * 10))
    for member in members {
      output.append(member.goal.rawValue)
      output.append(member.priority)
      output.append(littleEndian: member.incarnation)
    }
  }
}

extension Span<UInt8> {
  /// Takes UTF-8 behind a length of one byte from the front.
  package mutating func readShortText(_ what: String) throws(WireError) -> String {
    let byteCount = Int(try read(UInt8.self))
    guard let text = String(validating: try readBytes(byteCount), as: UTF8.self) else {
      throw .invalid("UTF-8 in \(what)")
    }
    return text
  }
}

extension [UInt8] {
  /// Appends UTF-8 behind a length of one byte.
  package mutating func append(shortText text: String) {
    let bytes = text.utf8
    precondition(bytes.count <= 255, "a short text keeps its limit")
    append(UInt8(bytes.count))
    append(contentsOf: bytes)
  }
}
