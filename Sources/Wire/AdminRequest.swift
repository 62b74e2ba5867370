/// What an operator asks of the cluster itself: the body of an admin frame.
///
///     offset  size  field
///     0       1     kind   1 change of members, 2 transfer of leadership
///     1       ...   body
///
/// Each says what shall be and not what to do, so it does no harm when it is sent again.
package enum AdminRequest: Hashable, Sendable {
  /// Kind 1: members join, leave, or get or lose their vote.
  case change(MembershipChange)
  /// Kind 2: leadership goes to that member, 8 bytes; 0: to whoever is best placed.
  case transferLeadership(NodeID)
}

/// What a member shall be.
package enum MemberGoal: UInt8, Hashable, Sendable {
  /// Gets the log, and has no vote.
  case learner = 0
  /// Votes; who is new learns the log first, and is promoted by itself.
  case voter = 1
  /// Is no member.
  case gone = 2
}

/// What one member shall be once a change is done.
///
///     size  field
///     8     id
///     1     goal         0 learner, 1 voter, 2 gone
///     1     priority     who should lead: the greatest among healthy voters; 0: not unless it must;
///                        255: as it is, and 1 for who is new
///     8     incarnation  of a new member's data directory, as its status tells it; else 0
///     2+n   address      where others reach a new member; empty: as it is
package struct MemberWish: Hashable, Sendable {
  package static let addressLimit = 255
  package static let samePriority: UInt8 = 255

  package let id: NodeID
  package let goal: MemberGoal
  package var priority: UInt8
  package var incarnation: UInt64
  package var address: [UInt8]

  package init(
    _ id: NodeID,
    _ goal: MemberGoal,
    priority: UInt8 = MemberWish.samePriority,
    incarnation: UInt64 = 0,
    address: [UInt8] = []
  ) {
    precondition(id > .zero, "0 is nobody")
    precondition(address.count <= Self.addressLimit, "an address keeps its limit")
    self.id = id
    self.goal = goal
    self.priority = priority
    self.incarnation = incarnation
    self.address = address
  }
}

/// Kind 1: what some members shall be; the others stay what they are.
///
/// All wishes come true in one step: who is new votes from the moment on in which who leaves votes no more.
///
///     size  field
///     1     flags    bit 0: answer as soon as it has begun, and not only when it is done
///     8     version  of the membership that it is meant for, as a status tells it; 0: any
///     2     count    of wishes, 1 to 64
///     ...   wishes   ordered by id, none twice
package struct MembershipChange: Hashable, Sendable {
  package static let wishLimit = 64

  package let wishes: [MemberWish]
  package var version: UInt64 = 0
  /// The answer comes when the change has begun.
  ///
  /// It goes on by itself, under later leaders too.
  package var answersAtOnce = false

  package init(_ wishes: [MemberWish]) {
    let ordered = wishes.sorted { $0.id < $1.id }
    precondition(!ordered.isEmpty && ordered.count <= Self.wishLimit, "a change keeps its limit")
    precondition(
      zip(ordered, ordered.dropFirst()).allSatisfy { $0.id < $1.id },
      "none is named twice"
    )
    self.wishes = ordered
  }
}

extension AdminRequest: WireCodable {
  package init(decoding input: inout Span<UInt8>) throws(WireError) {
    switch try input.read(UInt8.self) {
    case 1: self = .change(try MembershipChange(decoding: &input))
    case 2: self = .transferLeadership(try NodeID(decoding: &input))
    default: throw .invalid("admin request kind")
    }
  }

  package func encode(into output: inout [UInt8]) {
    switch self {
    case .change(let change):
      output.append(1)
      change.encode(into: &output)
    case .transferLeadership(let member):
      output.append(2)
      member.encode(into: &output)
    }
  }
}

extension MemberWish: WireCodable {
  package init(decoding input: inout Span<UInt8>) throws(WireError) {
    id = try NodeID(decoding: &input)
    guard id > .zero else { throw .invalid("member id") }
    guard let goal = MemberGoal(rawValue: try input.read()) else { throw .invalid("member goal") }
    self.goal = goal
    priority = try input.read()
    incarnation = try input.read()
    address = try input.readShortBytes("address", limit: Self.addressLimit)
  }

  package func encode(into output: inout [UInt8]) {
    id.encode(into: &output)
    output.append(goal.rawValue)
    output.append(priority)
    output.append(littleEndian: incarnation)
    output.append(short: address)
  }
}

extension MembershipChange: WireCodable {
  package init(decoding input: inout Span<UInt8>) throws(WireError) {
    let flags = try input.read(UInt8.self)
    guard flags < 2 else { throw .invalid("change flags") }
    answersAtOnce = flags & 1 != 0
    version = try input.read()
    let count = Int(try input.read(UInt16.self))
    guard count > 0, count <= Self.wishLimit else { throw .invalid("number of members") }
    var wishes: [MemberWish] = []
    for _ in 0..<count {
      let wish = try MemberWish(decoding: &input)
      if let last = wishes.last, last.id >= wish.id { throw .invalid("member order") }
      wishes.append(wish)
    }
    self.wishes = wishes
  }

  package func encode(into output: inout [UInt8]) {
    output.append(answersAtOnce ? 1 : 0)
    output.append(littleEndian: version)
    output.append(littleEndian: UInt16(wishes.count))
    for wish in wishes { wish.encode(into: &output) }
  }
}
