/// Who opens a connection.
package enum Role: UInt8, Sendable {
  case client = 1
  case member = 2
}

/// The first bytes that the side which opened a connection sends, before any frame.
///
///     offset  size  field
///     0       8     magic            89 52 4F 4F 53 54 0D 0A  ("\x89ROOST\r\n")
///     8       2     oldest version   that the sender speaks
///     10      2     newest version
///     12      1     role             1 client, 2 member
///     13      3     reserved         0
///     16      8     cluster          that the sender means; a client may send 0: any
///     24      8     sender           a member's id; 0 from a client
///     32      8     receiver         the member that is meant; 0: any
///     40      4     checksum         CRC-32C of bytes 0..<40
///
/// The magic begins with a byte that no text protocol begins with, and ends with a line break that a
/// translating path would spoil.
package struct Hello: Equatable, Sendable {
  package static let byteCount = 44
  package static let magic: UInt64 = 0x0A0D_5453_4F4F_5289
  /// The only version so far.
  package static let version: UInt16 = 1

  package let oldestVersion: UInt16
  package let newestVersion: UInt16
  package let role: Role
  package let cluster: ClusterID
  package let sender: NodeID
  package let receiver: NodeID

  package init(role: Role, cluster: ClusterID, sender: NodeID = .zero, receiver: NodeID = .zero) {
    precondition((role == .member) == (sender > .zero), "members, and only they, have an id")
    oldestVersion = Self.version
    newestVersion = Self.version
    self.role = role
    self.cluster = cluster
    self.sender = sender
    self.receiver = receiver
  }
}

extension Hello: WireCodable {
  package init(decoding input: inout Span<UInt8>) throws(WireError) {
    guard input.count >= Self.byteCount else {
      throw .truncated(needed: Self.byteCount, available: input.count)
    }
    let covered = input.extracting(first: Self.byteCount - 4)
    guard try input.read(UInt64.self) == Self.magic else { throw .invalid("magic") }
    oldestVersion = try input.read()
    newestVersion = try input.read()
    let role = try input.read(UInt8.self)
    guard try input.read(UInt8.self) == 0, try input.read(UInt16.self) == 0 else {
      throw .invalid("reserved bytes")
    }
    cluster = try ClusterID(decoding: &input)
    sender = try NodeID(decoding: &input)
    receiver = try NodeID(decoding: &input)
    guard try input.read(UInt32.self) == CRC32C(of: covered).value else { throw .checksum }
    guard let role = Role(rawValue: role) else { throw .invalid("role") }
    self.role = role
    guard oldestVersion <= newestVersion else { throw .invalid("version range") }
    guard (role == .member) == (sender > .zero) else { throw .invalid("sender") }
  }

  package func encode(into output: inout [UInt8]) {
    let start = output.count
    output.append(littleEndian: Self.magic)
    output.append(littleEndian: oldestVersion)
    output.append(littleEndian: newestVersion)
    output.append(role.rawValue)
    output.append(littleEndian: UInt8(0))
    output.append(littleEndian: UInt16(0))
    cluster.encode(into: &output)
    sender.encode(into: &output)
    receiver.encode(into: &output)
    output.append(littleEndian: CRC32C(of: output.span.extracting(start...)).value)
  }
}

/// Whether a hello was accepted.
package enum HelloVerdict: UInt8, Sendable {
  case accepted = 0
  /// No common version; the answer's version is the newest that the node speaks.
  case unknownVersion = 1
  /// The node belongs to another cluster.
  case otherCluster = 2
  /// The node is not the member that was meant.
  case otherMember = 3
  /// The sender is not a member that the node knows.
  case unknownMember = 4
  /// The node has as many connections as it takes.
  case busy = 5
}

/// The answer to a ``Hello``; frames follow if it is accepted, the end of the connection if not.
///
///     offset  size  field
///     0       8     magic         as in the hello
///     8       2     version       that both will speak
///     10      1     verdict       0 accepted, 1 unknown version, 2 other cluster, 3 other member,
///                                 4 unknown member, 5 busy
///     11      5     reserved      0
///     16      8     cluster       of the node
///     24      8     node          the node's id
///     32      8     leader        that the node knows of; 0: none
///     40      8     cluster time  of the newest entry that the node has applied
///     48      4     checksum      CRC-32C of bytes 0..<48
package struct HelloReply: Equatable, Sendable {
  package static let byteCount = 52

  package let version: UInt16
  package let verdict: HelloVerdict
  package let cluster: ClusterID
  package let node: NodeID
  package let leader: NodeID
  package let clusterTime: ClusterTime

  package init(
    verdict: HelloVerdict,
    cluster: ClusterID,
    node: NodeID,
    leader: NodeID,
    clusterTime: ClusterTime
  ) {
    version = Hello.version
    self.verdict = verdict
    self.cluster = cluster
    self.node = node
    self.leader = leader
    self.clusterTime = clusterTime
  }
}

extension HelloReply: WireCodable {
  package init(decoding input: inout Span<UInt8>) throws(WireError) {
    guard input.count >= Self.byteCount else {
      throw .truncated(needed: Self.byteCount, available: input.count)
    }
    let covered = input.extracting(first: Self.byteCount - 4)
    guard try input.read(UInt64.self) == Hello.magic else { throw .invalid("magic") }
    version = try input.read()
    guard let verdict = HelloVerdict(rawValue: try input.read()) else { throw .invalid("verdict") }
    self.verdict = verdict
    guard try input.readBytes(5) == [0, 0, 0, 0, 0] else { throw .invalid("reserved bytes") }
    cluster = try ClusterID(decoding: &input)
    node = try NodeID(decoding: &input)
    leader = try NodeID(decoding: &input)
    clusterTime = try ClusterTime(decoding: &input)
    guard try input.read(UInt32.self) == CRC32C(of: covered).value else { throw .checksum }
  }

  package func encode(into output: inout [UInt8]) {
    let start = output.count
    output.append(littleEndian: Hello.magic)
    output.append(littleEndian: version)
    output.append(verdict.rawValue)
    output.append(contentsOf: [0, 0, 0, 0, 0])
    cluster.encode(into: &output)
    node.encode(into: &output)
    leader.encode(into: &output)
    clusterTime.encode(into: &output)
    output.append(littleEndian: CRC32C(of: output.span.extracting(start...)).value)
  }
}
