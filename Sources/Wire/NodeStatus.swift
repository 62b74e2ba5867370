/// What a node is in the present term.
package enum NodeRole: UInt8, Sendable {
  case follower = 0
  case candidate = 1
  case leader = 2
  case learner = 3
}

/// A member as one node sees it.
package struct MemberSummary: Equatable, Sendable {
  package static let addressLimit = 255

  package let id: NodeID
  package let isVoter: Bool
  package let address: String
  /// The last entry that the leader knows the member to hold; 0 where the answering node does not lead.
  package let matched: LogIndex

  package init(id: NodeID, isVoter: Bool, address: String, matched: LogIndex) {
    precondition(address.utf8.count <= Self.addressLimit, "an address keeps its limit")
    self.id = id
    self.isVoter = isVoter
    self.address = address
    self.matched = matched
  }
}

/// How a node is: the answer to a status frame.
///
///     offset  size  field
///     0       8     node
///     8       8     cluster
///     16      1     role           0 follower, 1 candidate, 2 leader, 3 learner
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

  package init() {}
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
